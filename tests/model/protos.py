"""Small models for tests, in one line each."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def value(name, shape=(2, 3), kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def node(op_type, inputs, outputs, **more):
    return helper.make_node(op_type, inputs.split(), outputs.split(), **more)


def relu(source="x", made="y", name="n"):
    return helper.make_node("Relu", [source], [made], name=name)


def graph(nodes, inputs=("x",), outputs=("y",), initializers=(), name="g", **more):
    """Return a graph; inputs and outputs given by name are f32[2,3]."""
    return helper.make_graph(
        list(nodes),
        name,
        [value(v) if isinstance(v, str) else v for v in inputs],
        [value(v) if isinstance(v, str) else v for v in outputs],
        list(initializers),
        **more,
    )


def model(nodes, inputs=("x",), outputs=("y",), initializers=(), opset=21, ir=10, imports=(), **more):
    """Return a model of ai.onnx, and of the further ``(domain, version)`` pairs in `imports`."""
    functions = more.pop("functions", ())
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, v) for d, v in imports)]
    made = graph(nodes, inputs, outputs, initializers, **more)
    return helper.make_model(made, opset_imports=opsets, ir_version=ir, functions=list(functions))


def external(name, dims, location, offset=0, length=None, kind=TensorProto.FLOAT):
    """Return a tensor whose data lies in a file."""
    tensor = TensorProto(name=name, data_type=kind, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, held in (("location", location), ("offset", offset), ("length", length)):
        if held is not None:
            entry = tensor.external_data.add()
            entry.key, entry.value = key, str(held)
    return tensor


def saved(folder, proto, name="model.onnx"):
    """Write a model, or bytes, and return the path."""
    path = folder / name
    path.write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())
    return path
