"""Checks a support table: its shape against ``schema.json``, its words against the operators' schemas.

All that is wrong is reported at once, each with ``file:line:`` and the closest right word.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ovpart.capability.source import Lines
from ovpart.capability.spelling import did_you_mean
from ovpart.errors import TableError

MOST_ERRORS = 20
"""How many errors one message lists."""

KNOWN_DEVICES = ("CPU", "GPU", "NPU")

GROUPS = ("in", "out", "all")
"""What stands for all inputs, all outputs, both, where a formal's name may stand."""

NAMES_WITHOUT_SCHEMA = (
    "ATen", "Affine", "Crop", "DynamicSlice", "GRUUnit", "GivenTensorFill", "ImageScaler", "ParametricSoftplus",
    "Scale", "ScaledTanh", "SinFloat",
)  # fmt: skip
"""Operators of the default domain that documents name although onnx has no schema for them: experimental ones that onnx
dropped with 1.5, and ``SinFloat``, which never was one."""

_FORMALS_KEYS = ("types", "rank", "value", "may_hold", "dynamic", "empty", "const", "not_const", "given", "omitted")

Problem = tuple[int, str]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a table."""
    loaded: dict[str, Any] = json.loads((resources.files("ovpart.capability") / "schema.json").read_text("utf-8"))
    return loaded


def validate(data: Any, lines: Lines, name: str, *, devices: Iterable[str] = (), words: bool = True) -> None:
    """Check a table.

    Parameters
    ----------
    data : object
        The table, as :func:`ovpart.capability.source.read_yaml` gives it.
    lines : Lines
        Where its pieces stand.
    name : str
        What errors call the file.
    devices : iterable of str
        Devices that other layers of the table declare.
    words : bool
        Whether to check names of operators, inputs, outputs and attributes too, which needs ``onnx``.

    Raises
    ------
    TableError
        Names the first problems, each as ``file:line: what``.
    """
    problems = list(_shape_problems(data, lines))
    if not problems:  # what follows relies on the shape
        problems = [*_device_problems(data, lines, devices), *_entry_problems(data, lines)]
        if words:
            problems += _word_problems(data, lines)
    if problems:
        problems.sort()
        told = [f"{name}:{line}: {text}" for line, text in problems[:MOST_ERRORS]]
        if len(problems) > MOST_ERRORS:
            told.append(f"and {len(problems) - MOST_ERRORS} more")
        raise TableError("\n".join(told))


def entries(data: Mapping[str, Any]) -> Iterator[tuple[str, str, int, dict[str, Any]]]:
    """Walk over all entries of a table of right shape: operator, device, index, entry."""
    for op, by_device in data["ops"].items():
        for device, rows in by_device.items():
            for index, row in enumerate(rows):
                yield op, device, index, row


# --- shape ---------------------------------------------------------------------------------------------------------


def _shape_problems(data: Any, lines: Lines) -> Iterator[Problem]:
    import jsonschema

    for error in jsonschema.Draft202012Validator(schema()).iter_errors(data):
        path = list(error.absolute_path)
        if error.validator == "additionalProperties":
            known = error.schema.get("properties", {})
            for key in error.instance:
                if key not in known:
                    yield (
                        lines.at([*path, key], key=True),
                        f"unknown key {key!r}{did_you_mean(key, known) or _one_of(known)}",
                    )
        elif error.validator == "pattern" and "propertyNames" in error.absolute_schema_path:
            yield (
                lines.at([*path, error.instance], key=True),
                f"{error.instance!r} is no device name, such as CPU or GPU.0",
            )
        else:
            yield lines.at(path), _words_for(error, path)


def _words_for(error: Any, path: list[Any]) -> str:
    """Say in words what a jsonschema error means."""
    where = ".".join(str(step) for step in path if not isinstance(step, int)) or "the table"
    got = _short(error.instance)
    if error.validator == "enum":
        known = [str(x) for x in error.validator_value]
        hint = did_you_mean(str(error.instance), known) if isinstance(error.instance, str) else ""
        return (
            f"{path[-1] if path and isinstance(path[-1], str) else where}: {got} is not known{hint or _one_of(known)}"
        )
    if error.validator == "required":
        missing = [x for x in error.validator_value if x not in error.instance]
        return f"{where} lacks {', '.join(map(repr, missing))}"
    if error.validator == "anyOf" and {"required": ["state"]} in error.validator_value:
        return "an entry needs a state: supported, unsupported or unknown"
    if error.validator == "const":
        return f"{where} must be {error.validator_value!r}, not {got}"
    about = error.schema.get("description", "") if isinstance(error.schema, Mapping) else ""
    if error.validator == "type":
        return f"{where} must be {_kind(error.validator_value)}, not {got}"
    if error.validator in ("minItems", "minProperties", "minLength"):
        return f"{where} is empty"
    return f"{where}: {got} does not fit" + (f" ({about})" if about else f": {error.message}")


def _kind(names: str | list[str]) -> str:
    kinds = {"object": "a mapping", "array": "a list", "string": "text", "integer": "a whole number"}
    listed = [names] if isinstance(names, str) else names
    return " or ".join(kinds.get(n, f"a {n}") for n in listed)


def _one_of(known: Iterable[str]) -> str:
    return f"; it may be one of {', '.join(known)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


# --- meaning -------------------------------------------------------------------------------------------------------


def _device_problems(data: Mapping[str, Any], lines: Lines, declared: Iterable[str]) -> Iterator[Problem]:
    known = {*KNOWN_DEVICES, *declared, *data.get("devices", {})}
    for op, by_device in data["ops"].items():
        for device in by_device:
            if device not in known and device.split(".")[0] not in known:
                hint = did_you_mean(device, known) or "; declare it under devices"
                yield lines.at(["ops", op, device], key=True), f"unknown device {device!r}{hint}"


def _entry_problems(data: Mapping[str, Any], lines: Lines) -> Iterator[Problem]:
    for op, device, index, row in entries(data):
        line = lines.at(["ops", op, device, index])
        state = row.get("state")
        if state in ("unsupported", "unknown") and "reason" not in row:
            yield line, f"an entry that is {state} needs a reason"
        if state is None and op != "*":
            yield line, 'an entry needs a state; a guard alone stands under "*" only'
        if op == "*" and state not in (None, "unsupported"):
            yield line, f'under "*" stand vetoes (state: unsupported) and guards only, not state: {state}'
        if state in ("unsupported", "unknown") and "guard" in row:
            yield line, f"a guard has no meaning with state: {state}"
        for key in ("opset", "inputs"):
            low, high = bounds(row.get(key, ".."))
            if low > high:
                yield line, f"{key}: {row[key]!r} holds no number"
        for name, wanted in row.get("rank", {}).items():
            if not isinstance(wanted, list) and bounds(wanted)[0] > bounds(wanted)[1]:
                yield line, f"rank.{name}: {wanted!r} holds no number"


def bounds(text: int | str) -> tuple[int, int]:
    """Read a range: ``13``, ``"13.."``, ``"7..12"``, ``"..6"``, ``".."``; both ends belong to it.

    Examples
    --------
    >>> bounds("7..12")
    (7, 12)
    """
    if isinstance(text, int):
        return text, text
    low, _, high = text.partition("..")
    return int(low) if low else 0, int(high) if high else NO_END


NO_END = 2**31 - 1
"""Upper end of an open range."""


def split_op(op: str) -> tuple[str, str]:
    """Split an operator's id into domain and type: ``"com.microsoft.Gelu"`` → ``("com.microsoft", "Gelu")``."""
    domain, _, kind = op.rpartition(".")
    return domain, kind


@dataclass(frozen=True, slots=True)
class _Version:
    """The names that one version of an operator has."""

    since: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[str, ...]


@cache
def _onnx_operators() -> dict[tuple[str, str], tuple[_Version, ...]]:
    """All operators of onnx: (domain, operator) → versions, ascending; those that only deprecate are left out."""
    import onnx.defs

    found: dict[tuple[str, str], list[_Version]] = {}
    for one in onnx.defs.get_all_schemas_with_history():
        if not one.deprecated:
            names = tuple(p.name for p in one.inputs), tuple(p.name for p in one.outputs), tuple(one.attributes)
            found.setdefault((one.domain, one.name), []).append(_Version(one.since_version, *names))
    return {key: tuple(sorted(many, key=lambda v: v.since)) for key, many in found.items()}


def _versions(op: str) -> tuple[_Version, ...]:
    """Return the versions of an operator, ascending; none where neither onnx nor the contrib table describes it."""
    from ovpart.model.forms import form_of, is_contrib

    domain, kind = split_op(op)
    found = _onnx_operators().get((domain, kind))
    if found is None and is_contrib(kind, domain):
        forms = {f.since: f for f in (form_of(kind, domain, n) for n in range(1, _LAST_VERSION)) if f is not None}
        found = tuple(
            _Version(n, tuple(p.name for p in f.inputs), tuple(p.name for p in f.outputs), tuple(f.attributes))
            for n, f in sorted(forms.items())
        )
    return found or ()


_LAST_VERSION = 64
"""A version of a domain that none has reached."""


def _in_force(versions: tuple[_Version, ...], opset: int | str) -> list[_Version]:
    """Return the versions of an operator that some opset of the range uses."""
    low, high = bounds(opset)
    ends = [v.since - 1 for v in versions[1:]] + [NO_END]
    return [v for v, end in zip(versions, ends, strict=True) if v.since <= high and end >= low]


def _word_problems(data: Mapping[str, Any], lines: Lines) -> Iterator[Problem]:
    known = _onnx_operators()
    domains = {domain for domain, _ in known}
    for op in data["ops"]:
        domain, kind = split_op(op)
        at = lines.at(["ops", op], key=True)
        if domain == "ai.onnx":
            yield at, f"{op!r}: operators of the default domain are written without it: {kind!r}"
        elif op not in ("*", *NAMES_WITHOUT_SCHEMA) and domain in domains and not _versions(op):
            names = [f"{d}.{k}" if d else k for d, k in known]
            yield at, f"unknown operator {op!r}{did_you_mean(op, names)}"
        elif not kind:
            yield at, f"{op!r} is no operator"
    for op, device, index, row in entries(data):
        path = ["ops", op, device, index]
        versions = _versions(op)
        if not versions:
            yield from _unnamed_problems(op, row, lines, path)
            continue
        force = _in_force(versions, row.get("opset", ".."))
        if not force:
            since = ", ".join(str(v.since) for v in versions)
            yield (
                lines.at([*path, "opset"]),
                f"no version of {op} is in force in opset {row['opset']!r} (versions: {since})",
            )
            continue
        yield from _name_problems(op, row, force, lines, path)


def _positional(name: str) -> bool:
    return (name.startswith("in") and name[2:].isdigit()) or (name.startswith("out") and name[3:].isdigit())


def _formals_of(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Formals that an entry names: key of the entry, formal."""
    for key in _FORMALS_KEYS:
        named = row.get(key, ())
        if not isinstance(named, bool):
            for name in named:
                yield key, name


def _unnamed_problems(op: str, row: Mapping[str, Any], lines: Lines, path: list[Any]) -> Iterator[Problem]:
    """Problems of an operator without a schema: its inputs and outputs are known by position only."""
    for key, name in _formals_of(row):
        if not _positional(name) and not (key == "types" and name in GROUPS):
            about = '"*" stands for every operator' if op == "*" else f"nobody describes {op}"
            yield lines.at([*path, key]), f"{key}: {name!r} has no meaning, since {about}: use in0, in1, out0 ..."


def _name_problems(
    op: str, row: Mapping[str, Any], force: list[_Version], lines: Lines, path: list[Any]
) -> Iterator[Problem]:
    inputs = {name for v in force for name in v.inputs}
    outputs = {name for v in force for name in v.outputs}
    attributes = {name for v in force for name in v.attributes}
    for key, name in _formals_of(row):
        both = key in ("types", "rank", "dynamic", "empty", "given", "omitted")
        names = inputs | outputs if both else inputs
        if name in names or _positional(name) or (key == "types" and name in GROUPS):
            continue
        kinds = "input or output" if both else "input"
        hint = did_you_mean(name, names) or _one_of(sorted(names))
        yield lines.at([*path, key]), f"{key}: {op} has no {kinds} {name!r}{hint}"
    for name in row.get("when", {}):
        if name not in attributes:
            hint = did_you_mean(name, attributes) or _one_of(sorted(attributes))
            yield lines.at([*path, "when", name], key=True), f"when: {op} has no attribute {name!r}{hint}"
