"""Cases from onnx's own tests of operators: those of one node, as they are, with symbolic dims, with constants."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ovpart.model.types import dtype_name
from ovpart.probe.case import DYNAMIC, DYNAMIC_CONST, FORMS, STATIC_CONST, Key, tensor_of
from ovpart.probe.judge import Trial

if TYPE_CHECKING:
    import onnx

    from ovpart.backend.base import Array


@dataclass(frozen=True, slots=True)
class NodeTest:
    """One of onnx's tests of a single node, in one form.

    Attributes
    ----------
    key : Key
        Its tag is the test's name.
    proto : onnx.ModelProto
        The model in this form.
    inputs, expected : sequence of array
        What it is fed, and what is right.
    rtol, atol : float
        The test's own tolerances.
    """

    key: Key
    proto: onnx.ModelProto
    inputs: Sequence[Array]
    expected: Sequence[Array]
    rtol: float
    atol: float

    def trial(self) -> Trial:
        """Return what measures it: in dynamic forms inputs of twice the length as well, if the operator takes them."""
        first = tuple(self.inputs)
        feeds = [first, first]
        if self.key.form in (DYNAMIC, DYNAMIC_CONST) and all(a.ndim for a in first):
            feeds = [first, tuple(_doubled(a) for a in first), first]
        serialized = self.proto.SerializeToString()
        return Trial(self.key, serialized, feeds, expected=self.expected, rtol=self.rtol, atol=self.atol)


def node_tests(ops: Collection[str] = ()) -> Iterator[NodeTest]:
    """Yield the tests of single nodes of the installed onnx; making them takes half a minute.

    Parameters
    ----------
    ops : collection of str
        Only tests of these operators.
    """
    import onnx.defs
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        collected = collect_testcases(None)
    for test in collected:
        if test.model is None or len(test.model.graph.node) != 1 or not test.data_sets:
            continue
        node = test.model.graph.node[0]
        op = f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
        inputs, expected = test.data_sets[0]
        if (ops and op not in ops) or not all(_is_array(a) for a in (*inputs, *expected)):
            continue
        imported = next(o.version for o in test.model.opset_import if o.domain == node.domain)
        version = onnx.defs.get_schema(node.op_type, imported, node.domain).since_version
        for form in FORMS:
            made = _in_form(test.model, inputs, form)
            if made is not None:
                proto, fed = made
                key = Key(op, version, _first_dtype(test.model), test.name, form)
                yield NodeTest(key, proto, fed, expected, test.rtol, test.atol)


def _in_form(model: onnx.ModelProto, inputs: Sequence[Any], form: str) -> tuple[onnx.ModelProto, Sequence[Any]] | None:
    """Return the model in a form and what is fed to it then, ``None`` where it has no such form."""
    import onnx

    if form in (STATIC_CONST, DYNAMIC_CONST) and len(inputs) < 2:
        return None
    if form in (DYNAMIC, DYNAMIC_CONST) and not (inputs and inputs[0].ndim):
        return None
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    if form in (STATIC_CONST, DYNAMIC_CONST):
        names = [info.name for info in graph.input]
        graph.initializer.extend(tensor_of(a, name) for a, name in zip(inputs[1:], names[1:], strict=True))
        del graph.input[1:]
        inputs = inputs[:1]
    if form in (DYNAMIC, DYNAMIC_CONST):
        for info in graph.input:
            for axis, dim in enumerate(info.type.tensor_type.shape.dim):
                dim.dim_param = f"{info.name}_{axis}"
        for info in graph.output:
            info.type.tensor_type.ClearField("shape")
    return changed, inputs


def _first_dtype(model: onnx.ModelProto) -> str:
    infos = [*model.graph.input, *model.graph.output]
    return dtype_name(infos[0].type.tensor_type.elem_type) or "none"


def _is_array(value: object) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "ndim")


def _doubled(array: Array) -> Array:
    import numpy as np

    return np.concatenate([array, array])
