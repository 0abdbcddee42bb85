"""What is measured: one operator, in one version, with one dtype, on given values, in one form."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ovpart.model.types import dtype_number, dtype_of_array

if TYPE_CHECKING:
    import onnx

    from ovpart.backend.base import Array

STATIC, DYNAMIC, STATIC_CONST, DYNAMIC_CONST = "static", "dynamic", "static+const", "dynamic+const"
FORMS = (STATIC, DYNAMIC, STATIC_CONST, DYNAMIC_CONST)
"""All inputs at run time with numbers for dims, or with symbols; the same with all inputs but the first constant."""

PLAIN, NAN, WIDE32, WIDE64 = "plain", "nan", "wide32", "wide64"
KINDS = (PLAIN, NAN, WIDE32, WIDE64)
"""What the values ask for: nothing; NaN kept; 32-bit integers beyond 2**24; 64-bit integers beyond 32 bits."""

LEAST_OPSET = 7
"""Opsets before it are converted when a model is read; cases of older forms import it."""


class Key(NamedTuple):
    """Names one case; the same names give the same case on every machine.

    Attributes
    ----------
    op : str
        The operator's id: ``"Resize"``, ``"com.microsoft.Gelu"``.
    version : int
        The version of the operator's form (``since_version``).
    dtype : str
        The dtype that is varied.
    tag : str
        Which attributes and values; for a test of onnx its name.
    form : str
        One of :data:`FORMS`.
    """

    op: str
    version: int
    dtype: str
    tag: str
    form: str

    def __str__(self) -> str:
        return f"{self.op}-{self.version}/{self.dtype}/{self.tag}/{self.form}"


@dataclass(frozen=True, slots=True)
class Draft:
    """Values and attributes for one operator, before a form is chosen.

    Attributes
    ----------
    tag : str
        Names the draft among those of its operator.
    inputs : sequence of array, list, tuple or None
        One an input, ``None`` where it is left out; a list is a sequence, a tuple of one an optional.
    attributes : mapping
        Of the node; a dict is made to a graph by its value ``"graph"``.
    outputs : int
        How many outputs the node has.
    kind : str
        One of :data:`KINDS`.
    runtime : frozenset of int
        Positions that stay inputs in the constant forms, besides the first.
    always : frozenset of int
        Positions that are constants in every form.
    unused : frozenset of int
        Outputs that are left out.
    """

    tag: str
    inputs: Sequence[Array | None]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    outputs: int = 1
    kind: str = PLAIN
    runtime: frozenset[int] = frozenset()
    always: frozenset[int] = frozenset()
    unused: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Case:
    """One operator on given values in one form.

    Attributes
    ----------
    key : Key
        Its name.
    kind : str
        One of :data:`KINDS`.
    draft : Draft
        Values of the first run.
    second : Draft or None
        Values of another shape for the same request, in dynamic forms.
    opset : int
        The version of the operator's domain that the model imports.
    """

    key: Key
    kind: str
    draft: Draft
    second: Draft | None
    opset: int

    @property
    def domain(self) -> str:
        """The operator's domain, ``""`` for ONNX's own."""
        return self.key.op.rpartition(".")[0]

    def constants(self) -> frozenset[int]:
        """Return the positions of inputs that are constants in this form."""
        return constants_of(self.draft, self.key.form)

    def feeds(self) -> list[tuple[Array, ...]]:
        """Return what the runs of one request are fed: for dynamic forms another shape in between."""
        fixed = self.constants()

        def feed(draft: Draft) -> tuple[Array, ...]:
            given = (a for i, a in enumerate(draft.inputs) if a is not None and i not in fixed)
            return tuple(a[0] if isinstance(a, tuple) else a for a in given)

        first = feed(self.draft)
        return [first, feed(self.second), first] if self.second is not None else [first, first]

    def parts(self, prefix: str = "") -> tuple[onnx.NodeProto, list[Any], list[Any], list[Any]]:
        """Return the node, its inputs, constants and outputs as ONNX has them, each name behind a prefix."""
        import onnx
        from onnx import helper

        fixed, symbolic = self.constants(), self.key.form in (DYNAMIC, DYNAMIC_CONST)
        names = [f"{prefix}x{i}" if a is not None else "" for i, a in enumerate(self.draft.inputs)]
        infos, constants = [], []
        for position, (name, array) in enumerate(zip(names, self.draft.inputs, strict=True)):
            if array is None:
                continue
            if isinstance(array, list | tuple):
                infos.append(_many(name, array))
                continue
            if position in fixed:
                constants.append(tensor_of(array, name))
                continue
            dims = [f"{name}_{d}" for d in range(array.ndim)] if symbolic else list(array.shape)
            infos.append(helper.make_tensor_value_info(name, dtype_number(dtype_of_array(array)), dims))
        results = ["" if i in self.draft.unused else f"{prefix}y{i}" for i in range(self.draft.outputs)]
        operator = self.key.op.rpartition(".")[2]
        node = helper.make_node(
            operator, names, results, name=f"{prefix}node", domain=self.domain, **self.draft.attributes
        )
        return node, infos, constants, [onnx.ValueInfoProto(name=name) for name in results if name]

    def proto(self) -> onnx.ModelProto:
        """Return a model of the one node; its outputs have no declared type."""
        node, infos, constants, results = self.parts()
        return model_of([node], infos, constants, results, self.domain, self.opset)


def constants_of(draft: Draft, form: str) -> frozenset[int]:
    """Return the positions of inputs that are constants in a form."""
    if form in (STATIC, DYNAMIC):
        return draft.always
    rest = {i for i, a in enumerate(draft.inputs) if i > 0 and a is not None and not isinstance(a, list | tuple)}
    return frozenset(rest - draft.runtime) | draft.always


def _many(name: str, array: Sequence[Array]) -> onnx.ValueInfoProto:
    """Return the info of a sequence (a list) or an optional (a tuple of one)."""
    from onnx import helper

    kind = helper.make_tensor_type_proto(dtype_number(dtype_of_array(array[0])), None)
    whole = helper.make_sequence_type_proto(kind) if isinstance(array, list) else helper.make_optional_type_proto(kind)
    return helper.make_value_info(name, whole)


def model_of(
    nodes: Sequence[Any],
    infos: Sequence[Any],
    constants: Sequence[Any],
    results: Sequence[Any],
    domain: str,
    opset: int,
) -> onnx.ModelProto:
    """Return a model of nodes of one domain; operators of other domains stand beside opset 21 of ONNX's own."""
    from onnx import helper

    from ovpart.backend.cut import ir_version_for

    imports = [helper.make_opsetid("", 21 if domain else opset)]
    if domain:
        imports.append(helper.make_opsetid(domain, opset))
    graph = helper.make_graph(list(nodes), "probe", list(infos), list(results), list(constants))
    return helper.make_model(graph, opset_imports=imports, ir_version=max(10, ir_version_for(imports, ())))


def tensor_of(array: Array, name: str) -> onnx.TensorProto:
    """Return an array as a constant; strings as bytes."""
    import onnx
    from onnx import numpy_helper

    if array.dtype.kind == "O":
        words = [str(value).encode() for value in array.reshape(-1)]
        return onnx.TensorProto(name=name, data_type=dtype_number("string"), dims=array.shape, string_data=words)
    return numpy_helper.from_array(array, name)


def seed_of(*names: object) -> int:
    """Return the seed that belongs to names: the same on every machine, in every order of running."""
    return zlib.crc32("/".join(map(str, names)).encode())
