"""What ``ovpart ops`` prints."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ovpart.cli.exits import Exit

if TYPE_CHECKING:
    from ovpart.capability.table import Table
    from ovpart.probe.case import Case, Key
    from ovpart.probe.coverage import Coverage
    from ovpart.probe.diff import Line
    from ovpart.probe.drift import Drift
    from ovpart.probe.measurement import Measurement, Record
    from ovpart.probe.run import Progress

_EXAMPLES = 3
"""Cases that are shown of each line."""
_EVERY_S = 10.0
"""Without a progress bar a line is written so often."""


def show_entries(table: Table, op: str, device: str) -> Exit:
    """Print the entries that speak of an operator on a device."""
    import yaml

    entries = table.entries(op, device)
    if not table.knows(op):
        click.echo(f"the table has no entry for {op}", err=True)
        return Exit.USAGE
    for entry in entries:
        row = yaml.safe_dump(dict(entry.row), default_flow_style=True, sort_keys=False, width=10**6).strip()
        click.echo(f"{entry.rule:<22} {entry.op:<3} {row}")
    return Exit.DONE


@contextmanager
def op_progress() -> Iterator[Progress]:
    """Give a callback that tells how far a run of the probe is, on standard error."""
    if sys.stderr.isatty() and importlib.util.find_spec("rich") is not None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        with Bar(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("")
            yield lambda done, total, last: bar.update(
                task, completed=done, total=total, description=str(last.key) if last is not None else ""
            )
        return
    told = [time.monotonic()]

    def tell(done: int, total: int, last: Measurement | None) -> None:
        if time.monotonic() - told[-1] > _EVERY_S or (done == total and len(told) > 1):
            told.append(time.monotonic())
            click.echo(f"{done} of {total} cases{f', {last.key}' if last is not None else ''}", err=True)

    yield tell


def show_differences(record: Record, lines: Sequence[Line], cases: Mapping[Key, Case]) -> Exit:
    """Print what was measured, where the table says otherwise, and entries that would say so."""
    from ovpart.probe.propose import proposals

    counts = Counter(one.outcome for one in record.measurements.values())
    click.echo(f"{len(record.measurements)} cases: " + ", ".join(f"{n} {what}" for what, n in counts.most_common()))
    bold = [line for line in lines if line.is_too_bold]
    for title, mine in (
        ("sent to the device, and not right there", bold),
        ("kept back, and right in every case", [line for line in lines if line.is_too_shy]),
        ("unknown, and measured now", [line for line in lines if line.is_open]),
    ):
        if mine:
            click.echo(f"\n{title}")
        for line in mine:
            _show_line(line)
    doubtful = [one for line in lines if line.is_too_bold or line.is_open for one in (*line.good, *line.bad)]
    if doubtful:
        click.echo("\nlines that would say so (the reasons are yours to write)")
        for proposal in proposals(doubtful, cases):
            click.echo(proposal)
    return Exit.GATE_FAILED if bold else Exit.DONE


def _show_line(line: Line) -> None:
    counted = f"{len(line.good)} right, {len(line.bad)} not" + (f", {len(line.open)} open" if line.open else "")
    click.echo(f"  {line.rule}  {line.state}  {line.reason}  ({counted})")
    for one in (line.bad or line.good)[:_EXAMPLES]:
        click.echo(f"      {one.key}  {one.outcome}  {one.words}")


def show_drift(record: Record, drifts: Sequence[Drift], table: Table, *, as_json: bool) -> Exit:
    """Print what differs from the time when the table was measured."""
    from ovpart.capability.measured import differences

    lost = [drift for drift in drifts if drift.is_loss]
    gained = [drift for drift in drifts if drift.is_gain]
    other = [drift for drift in drifts if not drift.is_loss and not drift.is_gain]
    elsewhere = [str(one) for one in differences(table.measured_with)]
    status = Exit.GATE_FAILED if lost else Exit.DONE
    if as_json:
        sides = {"lost": lost, "gained": gained, "changed": other}
        told = {side: [_drift_row(drift) for drift in mine] for side, mine in sides.items()}
        counted = {"cases": len(record.measurements), "about": dict(record.about), "differs": elsewhere}
        click.echo(json.dumps({**counted, **told}, indent=2, ensure_ascii=False))
        return status
    click.echo(", ".join(f"{name} {value}" for name, value in record.about.items()))
    for words in elsewhere:
        click.echo(f"differs: {words}")
    counts = Counter(one.outcome for one in record.measurements.values())
    click.echo(f"{len(record.measurements)} cases: " + ", ".join(f"{n} {what}" for what, n in counts.most_common()))
    for title, mine in (
        ("sent to the device, and not right there", lost),
        ("right now, and not when the table was measured", gained),
        ("otherwise than when the table was measured", other),
    ):
        if mine:
            click.echo(f"\n{title}: {len(mine)}")
        for drift in mine:
            one = drift.measurement
            was = drift.before or "not measured"
            click.echo(f"  {one.key}  {was} → {one.outcome}  {drift.verdict.rule}  {one.words}")
    if not drifts:
        click.echo("the table holds")
    return status


def _drift_row(drift: Drift) -> dict[str, object]:
    one = drift.measurement
    row = {**one.key._asdict(), "before": drift.before, "now": one.outcome, "words": one.words}
    return {**row, "state": drift.verdict.state, "rule": drift.verdict.rule}


def show_coverage(found: Coverage, *, as_json: bool) -> None:
    """Print how much the table knows."""
    counts = found.counts()
    if as_json:
        row = {"device": found.device, "known": found.known, **{str(state): n for state, n in counts.items()}}
        unknown = [{"op": op, "version": version, "dtype": dtype} for op, version, dtype in found.unknown()]
        click.echo(json.dumps({**row, "unknown_of": unknown}, indent=2))
        return
    told = ", ".join(f"{n:,} {state}" for state, n in counts.most_common())
    click.echo(f"{found.device}: {len(found.states):,} operator × version × dtype: {told}; {found.known:.1%} known")
    groups: dict[tuple[str, int], list[str]] = {}
    for op, version, dtype in found.unknown():
        groups.setdefault((op, version), []).append(dtype)
    for (op, version), dtypes in groups.items():
        click.echo(f"  unknown  {op}-{version}  {' '.join(dtypes)}")
