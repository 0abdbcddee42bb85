"""What a measurement says, and how measurements are kept: lines of JSON while they are made, a small table after."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from importlib import resources
from pathlib import Path

from ovpart.errors import OptionError
from ovpart.probe.case import PLAIN, Key


class Outcome(StrEnum):
    """How a device did on a case."""

    RIGHT = "right"
    WRONG = "wrong"
    DISPUTED = "disputed"
    """It agrees with one of onnxruntime and onnx.reference, which differ."""
    REFUSED = "refused"
    FAILED = "failed"
    """It compiled, and raised an error in a run."""
    CRASHED = "crashed"
    HUNG = "hung"
    UNJUDGED = "unjudged"
    """Neither onnxruntime nor onnx.reference computes the case."""
    ACCEPTED = "accepted"
    """The device's plugin said that it takes the case and built it; nothing ran."""


BAD = frozenset({Outcome.WRONG, Outcome.REFUSED, Outcome.FAILED, Outcome.CRASHED, Outcome.HUNG})
"""What speaks against delegating."""
GOOD = frozenset({Outcome.RIGHT, Outcome.ACCEPTED})
"""What speaks for it."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """How a device did on one case.

    Attributes
    ----------
    key : Key
        The case.
    outcome : Outcome
        How it ended.
    kind : str
        What the values of the case ask for, see :data:`ovpart.probe.case.KINDS`.
    words : str
        What differed, or the engine's own words.
    """

    key: Key
    outcome: Outcome
    kind: str = PLAIN
    words: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """Measurements of one device, and with what they were made.

    Attributes
    ----------
    about : mapping of str to str
        ``device``, ``openvino``, ``onnxruntime``, ``onnx``, ``isa``, ``date`` ...
    measurements : mapping of Key to Measurement
        In the order in which they were made.
    """

    about: Mapping[str, str] = field(default_factory=dict)
    measurements: Mapping[Key, Measurement] = field(default_factory=dict)


# --- lines of JSON: what a run writes as it goes -------------------------------------------------------------------


def to_line(measurement: Measurement) -> str:
    """Return a measurement as one line of JSON."""
    row = {**measurement.key._asdict(), **asdict(measurement)}
    del row["key"]
    return json.dumps(row, ensure_ascii=False)


def read_lines(path: Path) -> Record:
    """Read what a run wrote; a last line that was cut off is left out.

    Raises
    ------
    OptionError
        If the file is no such record.
    """
    about: dict[str, str] = {}
    found: dict[Key, Measurement] = {}
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            if "about" in row:
                about.update(row["about"])
                continue
            key = Key(*(row.pop(name) for name in Key._fields))
            found[key] = Measurement(key, Outcome(row["outcome"]), row["kind"], row["words"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if number == len(lines):
                break
            raise OptionError(f"{path}:{number}: no measurement of `ovpart ops probe`: {error}") from error
    return Record(about, found)


# --- the shipped table of measurements ------------------------------------------------------------------------------


def write_record(record: Record, path: Path) -> None:
    """Write measurements as a table of text: a line for each outcome of a case, with its forms and dtypes."""
    dtypes: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    for one in sorted(record.measurements.values(), key=lambda m: m.key):
        op, version, dtype, tag, form = one.key
        dtypes[(op, f"{version:02}", tag, one.outcome, one.kind, _flat(one.words)), form].append(dtype)
    forms: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    for (names, form), alike in dtypes.items():
        forms[names, " ".join(alike)].append(form)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for name, value in record.about.items():
            file.write(f"# {name}: {value}\n")
        file.write("op\tversion\ttag\tforms\tdtypes\toutcome\tkind\twords\n")
        for (names, dtype_names), shapes in sorted(forms.items()):
            operator, number, tag, outcome, kind, words = names
            cells = (operator, str(int(number)), tag, " ".join(shapes), dtype_names, outcome, kind, words)
            file.write("\t".join(cells).rstrip() + "\n")


def read_record(path: Path) -> Record:
    """Read a table that :func:`write_record` wrote."""
    about: dict[str, str] = {}
    found: dict[Key, Measurement] = {}
    for one in _rows(path.read_text(encoding="utf-8").splitlines(), about):
        found[one.key] = one
    return Record(about, found)


def recorded(device: str) -> Record:
    """Return the shipped measurements of a device, empty where there are none.

    Parameters
    ----------
    device : str
        ``"GPU.0"`` has those of ``"GPU"``.
    """
    folder = resources.files("ovpart.probe") / "measurements"
    with resources.as_file(folder / f"{device.partition('.')[0]}.tsv") as path:
        return read_record(path) if path.is_file() else Record()


def _rows(lines: Iterable[str], about: dict[str, str]) -> Iterator[Measurement]:
    for line in lines:
        if line.startswith("# "):
            name, _, value = line[2:].partition(": ")
            about[name] = value
        elif not line.startswith("op\t"):
            op, version, tag, forms, dtypes, outcome, kind, *words = line.split("\t")
            for form in forms.split(" "):
                for dtype in dtypes.split(" "):
                    key = Key(op, int(version), dtype, tag, form)
                    yield Measurement(key, Outcome(outcome), kind, "".join(words))


_NUMBERS = re.compile(r"\d+ of \d+ differ, .* is right")
_PLACES = re.compile(r"\b(?:node|name) '[^']*'|_\d{3,}")
"""What differs from run to run: values, and the names that engines give to nodes."""


def _flat(words: str) -> str:
    """Return an engine's words on one line, cut to what tells causes apart and is the same for every dtype."""
    told = _NUMBERS.sub("other values", " ".join(words.split()))
    return _PLACES.sub("", told.lstrip("; ").replace("; ;", ";"))[:100].strip()
