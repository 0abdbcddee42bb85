"""The support table: ``op_support.yaml``, with the user's overlays above it.

Reading YAML and checking every word takes a second or more for thousands of entries, so what was read and found right
is kept in a parsed form: in the wheel beside the table, else in the user's cache folder, under a hash of the content.
An edited table has another hash and is read and checked anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ovpart.capability.source import MAX_BYTES, Lines, lines_of, read_yaml
from ovpart.capability.validate import validate
from ovpart.capability.verdict import State
from ovpart.errors import TableError

SHIPPED = "op_support.yaml"
PARSED = "op_support.parsed.json"
"""File name of the packaged parsed form, beside the table in the wheel."""
FORM = 1
"""Version of the parsed form."""

Rows: TypeAlias = Mapping[str, Mapping[str, Sequence[tuple[int, Mapping[str, Any]]]]]
"""Operator → device → entries, each with its line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a table: what holds for an operator on a device under conditions.

    Attributes
    ----------
    op, device : str
        As the table has them: the operator's id or ``"*"``; the device, perhaps the one that was inherited from.
    file : str
        ``"op_support.yaml"``, or the overlay as the user named it.
    line : int
        Line in the file, 1-based; for an overlay that is a mapping the number of the entry.
    row : mapping
        The entry itself: conditions and results. Never modified.
    """

    op: str
    device: str
    file: str
    line: int
    row: Mapping[str, Any]

    @property
    def state(self) -> State | None:
        """The answer; ``None`` for an entry that adds a guard only."""
        return State(self.row["state"]) if "state" in self.row else None

    @property
    def rule(self) -> str:
        """``"op_support.yaml:212"``."""
        return f"{self.file}:{self.line}"

    @property
    def is_guard(self) -> bool:
        """Whether the entry only adds a guard to what other entries say."""
        return "state" not in self.row


@dataclass(frozen=True, slots=True)
class Layer:
    """One file of a table: the shipped one or an overlay.

    Attributes
    ----------
    name : str
        What rules and errors call it.
    digest : str
        Hash of the content.
    devices : mapping
        Device → what holds for the device as a whole.
    measured_with : mapping
        What its measured entries were measured with.
    rows : mapping
        The entries.
    """

    name: str
    digest: str
    devices: Mapping[str, Mapping[str, Any]]
    measured_with: Mapping[str, Any]
    rows: Rows


@dataclass(frozen=True, slots=True)
class Table:
    """Support tables laid over each other.

    Attributes
    ----------
    layers : tuple of Layer
        The uppermost first; the shipped table last.
    """

    layers: tuple[Layer, ...]
    _found: dict[tuple[str, str], tuple[Entry, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def digest(self) -> str:
        """Hash of all layers: two tables with one digest give the same verdicts."""
        return hashlib.blake2b("\n".join(layer.digest for layer in self.layers).encode(), digest_size=16).hexdigest()

    @property
    def name(self) -> str:
        """What rules call the table as a whole: the name of the lowest layer."""
        return self.layers[-1].name if self.layers else SHIPPED

    @property
    def measured_with(self) -> Mapping[str, Any]:
        """What the measured entries of the lowest layer were measured with."""
        return self.layers[-1].measured_with if self.layers else {}

    def entries(self, op: str, device: str) -> tuple[Entry, ...]:
        """Return the entries that speak of an operator on a device, in the order in which they are looked at.

        Layer by layer; in a layer those of ``"*"`` first; those of the device itself (``GPU.0``) before those of the
        device that it inherits from (``GPU``).

        Parameters
        ----------
        op : str
            The operator's id: ``"Conv"``, ``"com.microsoft.Gelu"``; ``"*"`` for those of every operator only.
        device : str
            As the user named it.
        """
        found = self._found.get((op, device))
        if found is None:
            names = ("*",) if op == "*" else ("*", op)
            found = tuple(
                Entry(name, place, layer.name, line, row)
                for layer in self.layers
                for name in names
                for place in lineage(device)
                for line, row in layer.rows.get(name, {}).get(place, ())
            )
            self._found[op, device] = found
        return found

    def knows(self, op: str) -> bool:
        """Whether some layer has entries for an operator, on whatever device."""
        return any(op in layer.rows for layer in self.layers)

    def operators(self) -> tuple[str, ...]:
        """Return the ids of all operators with entries, sorted, without ``"*"``."""
        return tuple(sorted({op for layer in self.layers for op in layer.rows} - {"*"}))

    def line_of(self, op: str, device: str) -> str:
        """Return the rule of the first entry of an operator on a device, ``""`` where it has none of its own."""
        return next((e.rule for e in self.entries(op, device) if e.op == op), "")

    def unknown(self, device: str) -> str:
        """Return what ``unknown`` means on a device if the user says nothing: ``"delegate"`` or ``"fallback"``."""
        for layer in self.layers:
            for place in lineage(device):
                effect = layer.devices.get(place, {}).get("unknown")
                if effect is not None:
                    return str(effect)
        return "fallback"


def lineage(device: str) -> tuple[str, ...]:
    """Return a device and what it inherits from.

    Examples
    --------
    >>> lineage("GPU.0")
    ('GPU.0', 'GPU')
    """
    base = device.split(".")[0]
    return (device,) if base == device else (device, base)


def load_table(overlays: Sequence[str | os.PathLike[str] | Mapping[str, Any]] = (), *, shipped: bool = True) -> Table:
    """Load the shipped table and lay the user's own over it.

    Parameters
    ----------
    overlays : sequence of path or mapping
        Tables of the same format; a later one stands above an earlier one. Of a mapping, errors and rules give the
        number of the entry where they give the line of a file.
    shipped : bool
        Whether the shipped table is the lowest layer. Without it the overlays are all that is known, which makes a
        device of one's own for tests.

    Raises
    ------
    TableError
        Where a table cannot be read or is not right: ``file:line: what``, a line for each problem.
    """
    layers: list[Layer] = []
    if shipped:
        path = shipped_path()
        layers.append(_file_layer(path, SHIPPED, packaged=path.with_name(PARSED)))
    for number, overlay in enumerate(overlays, start=1):
        declared = [device for layer in layers for device in layer.devices]
        if isinstance(overlay, Mapping):
            layers.append(_mapping_layer(overlay, f"overlay {number}", declared))
        else:
            layers.append(_file_layer(Path(overlay), os.fspath(overlay), devices=declared))
    return Table(tuple(reversed(layers)))


def shipped_path() -> Path:
    """Return where the shipped table lies: in the package (a wheel), else at the top of the checkout."""
    here = Path(__file__).resolve().parent
    for path in (here / SHIPPED, here.parents[1] / SHIPPED):
        if path.is_file():
            return path
    raise TableError(
        f"{SHIPPED}:1: not found in {here} nor in {here.parents[1]}; the installation is broken: install ovpart again"
    )


def write_parsed(source: Path, target: Path) -> None:
    """Write the packaged parsed form of a table: what the wheel carries beside it.

    Names of inputs and attributes are not looked up, so that a build needs no ``onnx``: the tests do that.
    """
    content = _read(source, source.name)
    target.write_text(json.dumps(_parse(content, source.name, words=False), separators=(",", ":")), encoding="utf-8")


# --- one file ------------------------------------------------------------------------------------------------------


def _file_layer(path: Path, name: str, *, packaged: Path | None = None, devices: Sequence[str] = ()) -> Layer:
    content = _read(path, name)
    digest = _digest(content)
    form = _kept(packaged, digest) if packaged else None
    if form is None:
        cached = cache_folder() / f"table-{digest}.json"
        form = _kept(cached, digest)
        if form is None:
            # The shipped table speaks of operators that an older onnx lacks: its words are the tests' to check.
            form = _parse(content, name, devices=devices, words=packaged is None)
            _keep(cached, form)
    return _layer(form, name)


def _mapping_layer(overlay: Mapping[str, Any], name: str, devices: Sequence[str]) -> Layer:
    try:
        text = json.dumps(overlay)
    except (TypeError, ValueError) as error:
        raise TableError(f"{name}:1: the mapping holds what a table file could not: {error}") from error
    data = json.loads(text)
    lines = _numbered(data)
    validate(data, lines, name, devices=devices)
    return _layer(_form(data, lines, _digest(text.encode())), name)


def _numbered(data: Any) -> Lines:
    """Return lines for a mapping: the number of the entry that a piece stands in."""
    numbers = itertools.count(1)

    def table(piece: Any, depth: int) -> Lines:
        if depth == 3 and isinstance(piece, list):
            return Lines(1, {}, {index: lines_of(row, next(numbers)) for index, row in enumerate(piece)})
        if depth < 3 and isinstance(piece, dict):
            return Lines(1, dict.fromkeys(piece, 1), {key: table(below, depth + 1) for key, below in piece.items()})
        return lines_of(piece)

    return table(data, 0)


def _layer(form: Mapping[str, Any], name: str) -> Layer:
    return Layer(name, form["digest"], form["devices"], form["measured_with"], form["ops"])


def _parse(content: bytes, name: str, *, devices: Sequence[str] = (), words: bool = True) -> dict[str, Any]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TableError(f"{name}:{line}: not UTF-8: {error.reason}") from error
    data, lines = read_yaml(text, name)
    validate(data, lines, name, devices=devices, words=words)
    return _form(data, lines, _digest(content))


def _form(data: Mapping[str, Any], lines: Lines, digest: str) -> dict[str, Any]:
    """Return the parsed form of a table that was found right: plain data, each entry beside its line."""
    ops = {
        op: {
            device: [[lines.at(["ops", op, device, index]), row] for index, row in enumerate(rows)]
            for device, rows in by_device.items()
        }
        for op, by_device in data["ops"].items()
    }
    return {
        "form": FORM,
        "digest": digest,
        "devices": data.get("devices", {}),
        "measured_with": data.get("measured_with", {}),
        "ops": ops,
    }


def _read(path: Path, name: str) -> bytes:
    """Read a table's bytes; a folder, a pipe, a device or a huge file is refused before it is opened."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise TableError(f"{name}:1: not a regular file")
        if about.st_size > MAX_BYTES:
            raise TableError(f"{name}:1: larger than {MAX_BYTES // 2**20} MB, which no table is")
        return path.read_bytes()
    except OSError as error:
        raise TableError(f"{name}:1: cannot be read: {error.strerror or error}") from error


# --- the parsed form -----------------------------------------------------------------------------------------------


def _digest(content: bytes) -> str:
    """Hash a table's content, and with it the format that it was checked against."""
    rules = Path(__file__).with_name("schema.json").read_bytes()
    return hashlib.blake2b(
        content, digest_size=16, key=hashlib.blake2b(rules + bytes([FORM]), digest_size=16).digest()
    ).hexdigest()


def cache_folder() -> Path:
    """Return the folder in which the user's system keeps what can be made again, ours in it."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "ovpart"


def _kept(path: Path, digest: str) -> dict[str, Any] | None:
    """Return the parsed form kept at `path` if it is of this content; a missing or broken one is made anew."""
    try:
        form: Any = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return form if isinstance(form, dict) and form.get("form") == FORM and form.get("digest") == digest else None


def _keep(path: Path, form: Mapping[str, Any]) -> None:
    # A cache that cannot be written costs a second at the next start and nothing else, so it is no error.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with open(handle, "w", encoding="utf-8") as file:
            json.dump(form, file, separators=(",", ":"))
        os.replace(temporary, path)


if __name__ == "__main__":
    _parse(_read(shipped_path(), SHIPPED), SHIPPED)
    print(f"{shipped_path()}: every entry is right")
