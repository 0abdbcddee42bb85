"""A run of the probe: which cases, where results are kept, what is left after an interruption."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ovpart.capability.measured import this_machine
from ovpart.errors import DeviceNotFound, OptionError
from ovpart.probe.cases import cases, recipes, trial_of
from ovpart.probe.measurement import Measurement, Record, read_lines, to_line
from ovpart.probe.node_tests import NodeTest, node_tests
from ovpart.probe.watch import measure_all

if TYPE_CHECKING:
    from ovpart.probe.case import Case, Key
    from ovpart.probe.judge import Trial

Progress = Callable[[int, int, Measurement | None], None]
"""Called with: cases done, cases in all, the last measurement."""


@dataclass(frozen=True, slots=True)
class Job:
    """Cases to be measured on a device.

    Attributes
    ----------
    device : str
        As the engine calls it.
    trials : mapping of Key to callable
        Each makes its trial when its turn has come.
    engine : str
        Name of the backend that has the device.
    """

    device: str
    trials: Mapping[Key, Callable[[], Trial]]
    engine: str = "openvino"


def about(device: str) -> Mapping[str, str]:
    """Return with what a run measures: packages, instruction set, date."""
    return {"device": device, **this_machine(), "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat()}


def check_device(device: str, engine: str = "openvino") -> None:
    """Raise where an engine has no such device.

    Raises
    ------
    DeviceNotFound
        Saying which there are.
    """
    from ovpart.backend.registry import backend

    found = [one.name for one in backend(engine).devices()]
    if device not in found and not any(name.startswith(f"{device}.") for name in found):
        raise DeviceNotFound(f"{engine} has no device {device!r} here. Available: {', '.join(found)}")


def chosen(ops: Collection[str] = ()) -> dict[Key, Case]:
    """Return the probe's own cases of operators, all by default.

    Raises
    ------
    OptionError
        If there is no recipe for one of them.
    """
    check_ops(ops)
    return {case.key: case for case in cases(ops)}


def check_ops(ops: Collection[str]) -> None:
    """Raise where there is no recipe for an operator.

    Raises
    ------
    OptionError
        Naming those.
    """
    unknown = sorted(set(ops) - set(recipes()))
    if unknown:
        raise OptionError(f"there are no probes for {', '.join(unknown)}: `ovpart ops list` names the operators")


def chosen_tests(ops: Collection[str] = ()) -> dict[Key, NodeTest]:
    """Return onnx's tests of single nodes, of all operators by default."""
    return {test.key: test for test in node_tests(ops)}


def job_of(device: str, mine: Mapping[Key, Case], tests: Mapping[Key, NodeTest] | None = None) -> Job:
    """Return what measures cases and tests of onnx."""
    own: dict[Key, Callable[[], Trial]] = {key: partial(trial_of, case) for key, case in mine.items()}
    return Job(device, {**own, **{key: test.trial for key, test in (tests or {}).items()}})


def run(
    job: Job,
    out: Path | None = None,
    *,
    resume: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Record:
    """Measure, and write each measurement at once.

    Parameters
    ----------
    job : Job
        What to measure.
    out : path, optional
        A file of JSON lines; a run that was interrupted is taken up from it with `resume`.
    resume : bool
        Leave out what `out` has already.
    workers : int, optional
        Processes that measure.
    progress : callable, optional
        Told after every case.

    Raises
    ------
    OptionError
        If `out` was written with other packages or for another device, or is there without `resume`.
    """
    facts = about(job.device)
    done = _before(out, facts, resume)
    total = len(job.trials)
    left = [make for key, make in job.trials.items() if key not in done]
    found = {key: done[key] for key in job.trials if key in done}
    if progress is not None:
        progress(len(found), total, None)
    for one in _kept(measure_all(left, job.device, engine=job.engine, workers=workers), out, facts):
        found[one.key] = one
        if progress is not None:
            progress(len(found), total, one)
    return Record(facts, found)


def _before(out: Path | None, facts: Mapping[str, str], resume: bool) -> Mapping[Key, Measurement]:
    if out is None or not out.exists():
        return {}
    if not resume:
        raise OptionError(f"{out} is there already: --resume goes on with it, --out names another")
    record = read_lines(out)
    was = {name: record.about.get(name, value) for name, value in facts.items() if name != "date"}
    other = [f"{name} {value}" for name, value in was.items() if value != facts[name]]
    if other:
        raise OptionError(f"{out} was measured with {', '.join(other)}: --out names another file")
    return record.measurements


def _kept(found: Iterator[Measurement], out: Path | None, facts: Mapping[str, str]) -> Iterator[Measurement]:
    if out is None:
        yield from found
        return
    fresh = not out.exists() or not out.stat().st_size
    with out.open("a", encoding="utf-8") as file:
        if fresh:
            file.write(json.dumps({"about": dict(facts)}) + "\n")
        elif not out.read_bytes().endswith(b"\n"):
            file.write("\n")
        for one in found:
            file.write(to_line(one) + "\n")
            file.flush()
            yield one
