"""Models of one node, and what onnxruntime says of their outputs."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

OPSETS = (("", 21), ("ai.onnx.ml", 3), ("com.microsoft", 1))


def one_node(op_type, domain, inputs, *, outputs=1, constant=(), dynamic=False, opsets=OPSETS, **attributes):
    """Return a model of one node whose outputs have no declared type.

    Parameters
    ----------
    inputs : sequence of numpy.ndarray or None
        One an input, ``None`` where it is left out.
    constant : collection of int
        Positions of inputs that are initializers.
    dynamic : bool
        Whether the other inputs have symbolic dims.
    """
    names = ["" if a is None else f"i{k}" for k, a in enumerate(inputs)]
    values, initializers = [], []
    for k, array in enumerate(inputs):
        if array is None:
            continue
        if k in constant:
            initializers.append(onnx.numpy_helper.from_array(array, names[k]))
        else:
            kind = helper.np_dtype_to_tensor_dtype(array.dtype) if array.dtype.kind not in "OU" else TensorProto.STRING
            shape = [f"d{k}_{i}" for i in range(array.ndim)] if dynamic else array.shape
            values.append(helper.make_tensor_value_info(names[k], kind, shape))
    made = [f"o{k}" for k in range(outputs)]
    node = helper.make_node(op_type, names, made, domain=domain, name="node", **attributes)
    results = [onnx.ValueInfoProto(name=name) for name in made]
    graph = helper.make_graph([node], "g", values, results, initializers)
    imports = [helper.make_opsetid(d, v) for d, v in opsets]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def run(model, inputs):
    """Return what onnxruntime computes for the inputs of :func:`one_node`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = {i.name for i in session.get_inputs()}
    return session.run(None, {f"i{k}": a for k, a in enumerate(inputs) if f"i{k}" in wanted})


def agrees(known, array):
    """Whether an inferred type holds for a result: dtype, rank, and every dimension that is a number."""
    if isinstance(array, list):
        return known.kind == "sequence"
    from ovpart.model.types import dtype_of_array

    if known.kind != "tensor" or known.dtype != dtype_of_array(np.asarray(array)) or known.shape is None:
        return False
    return known.rank == array.ndim and all(
        d == n for d, n in zip(known.shape, array.shape, strict=True) if isinstance(d, int)
    )
