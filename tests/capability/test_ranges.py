"""The guard on integers: what is delegated, under which bound on which inputs, and what is refused.

The property test computes random graphs and finds every value inside of its interval.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from ovpart.capability.check import check
from ovpart.capability.ranges import BOUNDS, Ranges
from ovpart.capability.scopes import main_scope
from ovpart.capability.verdict import Guard, State, Verdict
from ovpart.model.graph import Model
from tests.capability.small import build, table, value

LARGEST, HALF = 2**31 - 1, 2**30 - 1
I64, F32, I32, BOOL = TensorProto.INT64, TensorProto.FLOAT, TensorProto.INT32, TensorProto.BOOL


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.replace("_", "").split(" "), outputs.split(), **attributes)


def verdicts(model: Model) -> dict[str, Verdict]:
    """Ask a table that supports every operator of the model under the guard: first output → verdict."""
    ops: dict[str, Any] = {n.op_id: [{"state": "supported"}] for n in model.graph.nodes}
    ops["*"] = [{"touches": ["i64", "u64", "u32"], "guard": "int32_range", "source": "measured"}]
    found = check(model, "CPU", table(ops))
    return {n.key: v for n, v in zip(model.graph.nodes, found, strict=True)}


def guards(model: Model) -> dict[str, Guard | str | None]:
    """First output → guard, or ``"no"`` where the node stays on onnxruntime."""
    return {k: v.guard if v.state is State.SUPPORTED else "no" for k, v in verdicts(model).items()}


# --- what real models do -------------------------------------------------------------------------------------------


def test_ids_and_masks_of_a_bert_are_tied_to_their_inputs() -> None:
    """Ids -> Gather(words) -> sum -> scores + bias;   mask -> Unsqueeze -> Cast -> (1 - mask) * -1e9 -> bias."""
    nodes = [
        node("Gather", "words ids", "w"), node("Gather", "kinds types", "k"), node("Add", "w k", "e"),
        node("Unsqueeze", "mask axes", "m1"), node("Cast", "m1", "m2", to=F32),
        node("Sub", "one m2", "m3"), node("Mul", "m3 low", "bias"), node("Add", "e bias", "y"),
    ]  # fmt: skip
    constants = {
        "words": np.zeros((30, 4), np.float32), "kinds": np.zeros((2, 4), np.float32), "axes": np.array([2]),
        "one": np.float32(1), "low": np.float32(-1e9),
    }  # fmt: skip
    model = build(nodes, [value(n, "i64", ("b", "s")) for n in ("ids", "types", "mask")], ["y"], constants)
    assert guards(model) == {
        "w": Guard("int32_range", ("ids",)), "k": Guard("int32_range", ("types",)), "e": None,
        "m1": Guard("int32_range", ("mask",)), "m2": Guard("int32_range", ("mask",)),
        "m3": None, "bias": None, "y": None,
    }  # fmt: skip


def test_shape_arithmetic_needs_no_guard() -> None:
    nodes = [
        node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Mul", "n four", "n4"), node("Add", "n4 one", "m"),
        node("Unsqueeze", "m axes", "u"), node("Concat", "u minus", "shape", axis=0), node("Reshape", "x shape", "y"),
        node("Cast", "n", "f", to=F32), node("Mul", "f scale", "g"), node("Floor", "g", "h"),
        node("Cast", "h", "i", to=I64), node("Range", "zero i one", "r"), node("Sub", "r n", "d"),
    ]  # fmt: skip
    constants = {
        "zero": np.array(0), "one": np.array(1), "four": np.array(4), "axes": np.array([0]), "minus": np.array([-1]),
        "scale": np.float32(1.5),
    }  # fmt: skip
    model = build(nodes, [value("x", shape=("a", "b"))], ["y", "d"], constants)
    assert set(guards(model).values()) == {None}


def test_positions_from_a_mask_are_counted() -> None:
    """Positions = CumSum(ids != 1) * (ids != 1) + 1, as RoBERTa has it: the ids alone are tied."""
    nodes = [
        node("Equal", "ids one", "pad"), node("Not", "pad", "real"), node("Cast", "real", "m", to=I64),
        node("CumSum", "m one", "c"), node("Mul", "c m", "d"), node("Add", "d one", "p"),
        node("Gather", "table p", "y"),
    ]  # fmt: skip
    constants = {"one": np.array(1), "table": np.zeros((99, 4), np.float32)}
    model = build(nodes, [value("ids", "i64", ("b", "s"))], ["y"], constants)
    assert guards(model) == {
        "pad": Guard("int32_range", ("ids",)), "real": None, "m": None, "c": None, "d": None, "p": None, "y": None,
    }  # fmt: skip


def test_sums_of_inputs_are_bounded_by_the_dims_that_are_known() -> None:
    for shape, guard in (((2, 100), Guard("int32_range", ("x",), 2**24)), (("b", "s"), "no")):
        model = build([node("CumSum", "x one", "c")], [value("x", "i64", shape)], ["c"], {"one": np.array(1)})
        assert guards(model) == {"c": guard}


def test_an_index_gets_no_bound_below_a_vocabulary() -> None:
    square, lookup = node("Mul", "x x", "m"), node("Gather", "table x", "y")
    constants = {"table": np.zeros((9, 4), np.float32)}
    model = build([square, lookup], [value("x", "i64")], ["m", "y"], constants)
    assert guards(model) == {"m": "no", "y": Guard("int32_range", ("x",))}


def test_arithmetic_on_inputs_reduces_the_bound_for_these_nodes_alone() -> None:
    nodes = [node("Identity", "x", "i"), node("Add", "x x", "a"), node("Mul", "x x", "m"), node("Neg", "y", "n")]
    model = build(nodes, [value("x", "i64"), value("y", "i64")], ["i", "a", "m", "n"])
    assert guards(model) == {
        "i": Guard("int32_range", ("x",), LARGEST), "a": Guard("int32_range", ("x",), HALF),
        "m": Guard("int32_range", ("x",), 2**15), "n": Guard("int32_range", ("y",), LARGEST),
    }  # fmt: skip


def test_a_guard_names_only_what_the_node_rests_on() -> None:
    nodes = [node("Add", "x y", "a"), node("Where", "c a z", "w"), node("Identity", "z", "i")]
    model = build(nodes, [value("x", "i64"), value("y", "i64"), value("z", "i64"), value("c", "bool")], ["w", "i"])
    assert guards(model) == {
        "a": Guard("int32_range", ("x", "y"), HALF), "w": Guard("int32_range", ("x", "y", "z"), HALF),
        "i": Guard("int32_range", ("z",)),
    }  # fmt: skip


def test_lengths_that_are_counted_in_floats() -> None:
    nodes = [
        node("Greater", "x zero", "g"), node("Cast", "g", "f", to=F32), node("ReduceSum", "f", "s"),
        node("Cast", "s", "n", to=I64), node("ReduceSum", "x", "t"), node("Cast", "t", "m", to=I64),
    ]  # fmt: skip
    model = build(nodes, [value("x", shape=("a", "b"))], ["n", "m"], {"zero": np.float32(0)})
    assert (guards(model)["n"], guards(model)["m"]) == (None, "no")


def test_a_shape_does_not_look_at_elements() -> None:
    model = build(
        [node("Cast", "x", "c", to=I64), node("Shape", "c", "s"), node("Size", "c", "n")], [value("x")], ["s", "n"]
    )
    assert guards(model) == {"c": "no", "s": None, "n": None}


def test_a_cast_of_any_float_is_refused_with_a_hint() -> None:
    model = build([node("Cast", "x", "c", to=I64), node("Cast", "c", "y", to=F32)], [value("x")], ["y"])
    verdict = verdicts(model)["c"]
    assert (verdict.state, verdict.reason) == (State.UNSUPPORTED, "int64 beyond 32 bits would be cut")
    assert "'c'" in verdict.hint
    assert verdict.rule == "overlay 1:2"
    assert verdicts(model)["y"].state is State.UNSUPPORTED


@pytest.mark.parametrize(
    "bounding",
    [
        [node("Sigmoid", "x", "b")],
        [node("Clip", "x low high", "b")],
        [node("Relu", "x", "r"), node("Min", "r high", "b")],
        [node("Softmax", "x", "p"), node("Mul", "p high", "b")],
        [node("Tanh", "x", "t"), node("Exp", "t", "b")],
        [node("Cast", "x", "t", to=TensorProto.UINT8), node("Cast", "t", "b", to=F32)],
    ],
)
def test_a_cast_of_a_bounded_float_is_fine(bounding: list[onnx.NodeProto]) -> None:
    nodes = [*bounding, node("Cast", "b", "c", to=I64)]
    model = build(nodes, [value("x")], ["c"], {"low": np.float32(-5), "high": np.float32(1e6)})
    assert guards(model)["c"] is None


def test_what_gives_indices_gives_sizes() -> None:
    nodes = [
        node("ArgMax", "x", "a"), node("NonZero", "x", "n"), node("TopK", "x k", "v t"), node("Size", "x", "s"),
        node("Add", "a s", "y"),
    ]  # fmt: skip
    model = build(nodes, [value("x", shape=(2, "n"))], ["y", "n", "t"], {"k": np.array([1])})
    assert set(guards(model).values()) == {None}


def test_constants_beyond_32_bits() -> None:
    """As the end of a Slice they mean "to the end"; anywhere else they would be cut."""
    constants = {"zero": np.array([0]), "end": np.array([2**63 - 1]), "big": np.array([2**40])}
    nodes = [node("Slice", "x zero end", "s"), node("Add", "i big", "a"), node("Concat", "i big", "c", axis=0)]
    model = build(nodes, [value("x"), value("i", "i64", (1,))], ["s"], constants)
    assert guards(model)["s"] is None
    nodes = [node("Shape", "x", "i"), node("Min", "i big", "m"), node("Concat", "i big", "c", axis=0),
             node("Slice", "x zero c", "y")]  # fmt: skip
    model = build(nodes, [value("x", shape=("n",))], ["m", "y"], constants)
    assert guards(model) == {"i": None, "m": "no", "c": "no", "y": "no"}


def test_small_integers_bound_themselves_and_int32_needs_no_guard() -> None:
    nodes = [
        node("Cast", "x", "a", to=I64),
        node("Cast", "y", "b", to=I64),
        node("Add", "a a", "c"),
        node("Add", "b b", "d"),
    ]
    model = build(nodes, [value("x", "u8"), value("y", "i32")], ["c", "d"])
    assert guards(model) == {"a": None, "b": None, "c": None, "d": Guard("int32_range", ("y",), HALF)}


def test_unsigned_integers_beyond_int32() -> None:
    model = build(
        [node("Identity", "x", "y"), node("Identity", "z", "w")], [value("x", "u32"), value("z", "u64")], ["y", "w"]
    )
    assert guards(model) == {"y": Guard("int32_range", ("x",)), "w": Guard("int32_range", ("z",))}


def test_nodes_that_touch_no_wide_integer_are_not_asked() -> None:
    model = build([node("Cast", "x", "c", to=I64), node("Relu", "x", "y")], [value("x")], ["c", "y"])
    assert guards(model) == {"c": "no", "y": None}


def test_constant_and_dead_nodes_are_not_asked() -> None:
    nodes = [node("Identity", "big", "b"), node("Cast", "x", "dead", to=I64), node("Relu", "x", "y")]
    model = build(nodes, [value("x")], ["y", "b"], {"big": np.array([2**40])})
    assert set(guards(model).values()) == {None}


def test_an_if_gives_what_its_branches_give() -> None:
    def branch(name: str, source: str) -> onnx.GraphProto:
        return helper.make_graph([node("Identity", source, name)], name, [], [value(name, "i64", (1,))])

    choice = helper.make_node("If", ["c"], ["i"], then_branch=branch("t", "five"), else_branch=branch("e", "x"))
    constants = {"five": np.array([5])}
    model = build([choice, node("Neg", "i", "y")], [value("c", "bool", ()), value("x", "i64", (1,))], ["y"], constants)
    assert guards(model)["y"] == Guard("int32_range", ("x",))


def test_what_a_loop_carries_is_not_bounded() -> None:
    body = helper.make_graph(
        [node("Mul", "v v", "w"), node("Identity", "go", "more")],
        "body",
        [value("i", "i64", ()), value("go", "bool", ()), value("v", "i64", (1,))],
        [value("more", "bool", ()), value("w", "i64", (1,))],
    )
    loop = helper.make_node("Loop", ["n", "", "x"], ["l"], body=body)
    model = build([loop, node("Neg", "l", "y")], [value("x", "i64", (1,))], ["y"], {"n": np.array(9)})
    assert guards(model) == {"l": "no", "y": "no"}


# --- soundness -----------------------------------------------------------------------------------------------------

UNARY = [
    ("Neg", {}), ("Abs", {}), ("Cast", {"to": F32}), ("Cast", {"to": I32}), ("Cast", {"to": TensorProto.UINT8}),
    ("Cast", {"to": BOOL}), ("ReduceMax", {"keepdims": 1}), ("ReduceMin", {"keepdims": 1}),
    ("ReduceSum", {"keepdims": 1}), ("ReduceProd", {"keepdims": 1}), ("Shape", {}), ("Identity", {}),
    ("NonZero", {}), ("ArgMax", {"axis": 0}),
]  # fmt: skip
FLOAT = [
    ("Floor", {}), ("Ceil", {}), ("Round", {}), ("Sqrt", {}), ("Sigmoid", {}), ("Tanh", {}), ("Exp", {}), ("Relu", {}),
    ("Reciprocal", {}), ("Cast", {"to": I64}), ("Log", {}),
]  # fmt: skip
BINARY = ["Add", "Sub", "Mul", "Div", "Mod", "Min", "Max", "Concat", "Where", "Clip", "CumSum", "Range"]


@st.composite
def programs(draw: st.DrawFn) -> tuple[onnx.ModelProto, dict[str, np.ndarray], int]:
    """Draw a graph over vectors of i64, i32 and f32, values for its inputs, and the bound that they keep."""
    bound = draw(st.sampled_from(BOUNDS))
    length = draw(st.integers(1, 3))
    fixed = draw(st.booleans())
    element = st.one_of(st.integers(-bound, bound), st.sampled_from([-bound, bound, 0, 1, -1]))
    vector = st.lists(element, min_size=length, max_size=length)
    feeds = {"x": np.array(draw(vector), np.int64), "z": np.array(draw(vector), np.int32)}
    inputs = [value("x", "i64", (length if fixed else "n",)), value("z", "i32", (length if fixed else "n",))]
    small = st.one_of(st.integers(1, 1000), st.integers(-1000, -1))
    constants = {f"k{i}": np.array([draw(small)], np.int64) for i in range(3)}
    constants["f0"] = np.array([draw(st.sampled_from([0.001, 0.3, 0.5, 1.0, 2.5, -3.0, 99.0]))], np.float32)
    kinds = {"x": I64, "z": I32, "k0": I64, "k1": I64, "k2": I64, "f0": F32}
    nodes: list[onnx.NodeProto] = []

    def emit(op: str, names: list[str], kind: int, show: bool = True, **attributes: Any) -> str:
        name = f"{'v' if show else 'w'}{len(nodes)}"
        nodes.append(helper.make_node(op, names, [name], **attributes))
        kinds[name] = kind
        return name

    constants |= {"flat": np.array([-1]), "axis": np.array(0), "one": np.array([1]), "scalar": np.array([], np.int64)}
    for _ in range(draw(st.integers(1, 8))):
        usable = sorted(k for k in kinds if kinds[k] in (I64, I32, F32) and not k.startswith("w"))
        a = draw(st.sampled_from(usable))
        kind = kinds[a]
        if draw(st.booleans()):
            op, attributes = draw(st.sampled_from(FLOAT if kind == F32 else UNARY))
            gives = {"Cast": attributes.get("to"), "Shape": I64, "NonZero": I64, "ArgMax": I64}.get(op) or kind
            name = emit(op, [a], gives, show=op != "NonZero", **attributes)
            if op == "NonZero":
                emit("Reshape", [name, "flat"], I64)
            continue
        op = draw(st.sampled_from(BINARY))
        b = draw(st.sampled_from([k for k in usable if kinds[k] == kind]))
        if op in ("Div", "Mod") and kind != F32:  # never by 0
            is_zero = emit("Equal", [b, emit("Sub", [b, b], kind, show=False)], BOOL, show=False)
            b = emit("Where", [is_zero, emit("Cast", ["one"], kind, show=False, to=kind), b], kind, show=False)
        if op == "Mod":
            emit(op, [a, b], kind, fmod=1 if kind == F32 else draw(st.integers(0, 1)))
        elif op == "Concat":
            emit(op, [a, b], kind, axis=0)
        elif op == "Where":
            emit(op, [emit("Less", [a, b], BOOL, show=False), b, a], kind)
        elif op == "Clip":
            emit(op, [a, emit("ReduceMin", [b], kind, show=False, keepdims=0)], kind)
        elif op == "CumSum":
            emit(op, [a, "axis"], kind, exclusive=draw(st.integers(0, 1)), reverse=draw(st.integers(0, 1)))
        elif op == "Range":
            span = emit("ReduceMax", [emit("Shape", ["x"], I64, show=False)], I64, show=False, keepdims=0)
            start = emit("Reshape", [draw(st.sampled_from(["k0", "k1"])), "scalar"], I64, show=False)
            end = emit("Add", [start, span], I64, show=False)
            emit(op, [start, end, emit("Reshape", ["one", "scalar"], I64, show=False)], I64)
        else:
            emit(op, [a, b], kind)
    outputs = [helper.make_tensor_value_info(n, kinds[n], None) for n in kinds if n[0] in "vw"]
    graph = helper.make_graph(
        nodes, "p", inputs, outputs, [onnx.numpy_helper.from_array(v, k) for k, v in constants.items()]
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), feeds, bound


@given(programs())
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_computed_value_lies_in_its_interval(program: tuple[onnx.ModelProto, dict[str, np.ndarray], int]) -> None:
    from ovpart.model.read import read_model

    proto, feeds, bound = program
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            computed = ReferenceEvaluator(proto).run(None, feeds)
        except (ValueError, TypeError, RuntimeError):
            assume(False)  # shapes that do not broadcast
    known = Ranges().intervals(main_scope(read_model(proto)), bound)
    for info, got in zip(proto.graph.output, computed, strict=True):
        interval = known.get(info.name)
        if interval is None or got.size == 0:
            continue
        kept = got[~np.isnan(got)] if got.dtype.kind == "f" else got
        for element in kept.reshape(-1).tolist():
            assert interval.low <= element <= interval.high, f"{info.name} = {element}, not in {interval}"
