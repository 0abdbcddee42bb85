"""Indices out of range are refused, as ONNX says, where inputs of a model are looked up as they are."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import ovpart
from ovpart.capability.verdict import Guard

TABLE = np.arange(1, 31, dtype=np.float32).reshape(10, 3)


def model(body: str, inputs: str = "int64[B,S] ids") -> onnx.ModelProto:
    text = f'<ir_version: 10, opset_import: ["": 21]> g ({inputs}) => (float[B,S,3] y) {{ {body} }}'
    proto = onnx.parser.parse_model(text)
    axis, first = np.array([0], np.int64), np.array([1], np.int64)
    given = {"table": TABLE, "columns": TABLE.T.copy(), "axis": axis, "first": first, "ten": np.array(10, np.int64)}
    read = {name for node in proto.graph.node for name in node.input}
    proto.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in given.items() if name in read
    )
    return proto


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        ("e = Gather(table, ids)  y = Exp(e)", "int64[B,S] ids"),
        ("e = Gather(table, ids)  y = Exp(e)", "int32[B,S] ids"),
        ("i = Cast<to=6>(ids)  e = Gather(table, i)  y = Exp(e)", "int64[B,S] ids"),
        ("u = Unsqueeze(ids, axis)  i = Squeeze(u, axis)  e = Gather(table, i)  y = Exp(e)", "int64[B,S] ids"),
        ("t = Gather<axis = 1>(columns, ids)  y = Transpose<perm = [1, 2, 0]>(t)", "int64[B,S] ids"),
    ],
)
def test_an_index_that_the_table_does_not_have_is_an_error(body, inputs):
    session = ovpart.Session(model(body, inputs), min_gain=0, strict=True)
    kind = np.int32 if "int32" in inputs else np.int64
    assert session.report.coverage == 1
    assert session.plan.guards[0].bound == 9
    right = np.array([[0, 9, -1]], kind)
    wanted = TABLE[right[0]][None] if "Exp" not in body else np.exp(TABLE[right[0]])[None]
    np.testing.assert_allclose(session.run(None, {"ids": right})[0], wanted, rtol=1e-5)
    for wrong in (10, -11, 2**31 - 1, -(2**31)):
        with pytest.raises(ovpart.RunError, match=str(wrong)):
            session.run(None, {"ids": np.array([[0, wrong, 1]], kind)})
    least = np.array([[-10, 9, 0]], kind)  # outside the guard, and right
    wanted = TABLE[least[0]][None] if "Exp" not in body else np.exp(TABLE[least[0]])[None]
    np.testing.assert_allclose(session.run(None, {"ids": least})[0], wanted, rtol=1e-5)


def test_indices_of_several_inputs_are_all_looked_at():
    proto = model(
        "i = Concat<axis = 1>(ids, more)  e = Gather(table, i)  y = Exp(e)", "int64[B,S] ids, int64[B,T] more"
    )
    assert ovpart.plan(proto, min_gain=0).guards == (Guard("int32_range", ("ids", "more"), 9),)


def test_computed_indices_are_not_followed():
    proto = model("i = Mod(ids, ten)  e = Gather(table, i)  y = Exp(e)")
    plan = ovpart.plan(proto, min_gain=0)
    assert all(guard.bound > 9 for guard in plan.guards)
    assert plan.coverage == 1


def test_a_table_of_unknown_length_has_no_guard():
    proto = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 21]>\n'
        "g (float[N,3] table, int32[S] ids) => (float[S,3] y) { y = Gather(table, ids) }"
    )
    assert ovpart.plan(proto, min_gain=0).guards == ()


def test_other_integers_of_the_node_keep_their_own_bound():
    """The elements looked up may be large where the indices may not."""
    proto = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 21]>\n'
        "g (int64[5] data, int64[S] ids) => (int64[S] y) { y = Gather(data, ids) }"
    )
    (guard,) = ovpart.plan(proto, min_gain=0).guards
    assert guard == Guard("int32_range", ("data", "ids"), 2**31 - 1)


def test_scattered_updates_out_of_range_are_an_error():
    proto = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 21]>\n'
        "g (float[4,3] x, int64[1,3] ids, float[1,3] u) => (float[4,3] y) { y = ScatterElements(x, ids, u) }"
    )
    session = ovpart.Session(proto, min_gain=0, strict=True)
    feed = {"x": np.zeros((4, 3), np.float32), "u": np.ones((1, 3), np.float32)}
    assert session.run(None, {**feed, "ids": np.array([[3, 0, -1]])})[0].sum() == 3
    with pytest.raises(ovpart.RunError, match="-100000"):
        session.run(None, {**feed, "ids": np.array([[-100000, 0, 0]])})
