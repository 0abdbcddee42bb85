"""What onnx's schemas say of operators: versions in force, and the types that each takes."""

from __future__ import annotations

from functools import cache
from typing import Any

from ovpart.model.types import DTYPES
from ovpart.probe.case import LEAST_OPSET

_SHORT = {
    "float": "f32", "double": "f64", "float16": "f16", "bfloat16": "bf16", "complex64": "c64", "complex128": "c128",
    "float8e4m3fn": "f8e4m3fn", "float8e4m3fnuz": "f8e4m3fnuz", "float8e5m2": "f8e5m2", "float8e8m0": "f8e8m0",
    "float8e5m2fnuz": "f8e5m2fnuz", "float4e2m1": "f4e2m1", "bool": "bool", "string": "string",
    **{f"{kind}{bits}": f"{kind[0]}{bits}" for kind in ("int", "uint") for bits in (2, 4, 8, 16, 32, 64)},
}  # fmt: skip
"""Types as schemas spell them → short names."""


@cache
def versions(op: str) -> tuple[int, ...]:
    """Return the versions of an operator that are in force at opset 7 or later, oldest first; deprecated ones not.

    Empty for operators that onnx has no schema for.
    """
    found = _history().get(op, ())
    numbers = [schema.since_version for schema in found]
    after = [*numbers[1:], 10**6]
    least = 1 if "." in op else LEAST_OPSET
    return tuple(
        schema.since_version
        for schema, later in zip(found, after, strict=True)
        if not schema.deprecated and later > least
    )


@cache
def allowed(op: str, version: int, type_name: str) -> tuple[str, ...]:
    """Return the dtypes of tensors that a schema allows for one of its type names (``"T"``) or formal inputs.

    In the order of ONNX's own numbers.
    """
    schema = next(s for s in _history()[op] if s.since_version == version)
    wanted = next((port.type_str for port in (*schema.inputs, *schema.outputs) if port.name == type_name), type_name)
    kinds = next((list(c.allowed_type_strs) for c in schema.type_constraints if c.type_param_str == wanted), [wanted])
    names = {_SHORT.get(kind.removeprefix("tensor(").removesuffix(")")) for kind in kinds if kind.startswith("tensor(")}
    return tuple(name for name in DTYPES if name in names)


def first_type(op: str, version: int) -> str:
    """Return the formal name of an operator's first input, ``""`` where it has none."""
    schema = next(s for s in _history()[op] if s.since_version == version)
    return schema.inputs[0].name if schema.inputs else ""


def operators() -> tuple[str, ...]:
    """Return the ids of all operators of onnx that have a version in force at opset 7 or later, sorted."""
    return tuple(sorted(op for op in _history() if versions(op)))


@cache
def _history() -> dict[str, tuple[Any, ...]]:
    """Return operator → its schemas, oldest first."""
    import onnx.defs

    found: dict[str, list[Any]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        found.setdefault(f"{schema.domain}.{schema.name}" if schema.domain else schema.name, []).append(schema)
    return {op: tuple(sorted(schemas, key=lambda s: int(s.since_version))) for op, schemas in found.items()}
