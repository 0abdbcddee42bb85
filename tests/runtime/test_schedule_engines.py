"""Schedules over the real engines: hand-made cuts of one model, in turn on openvino and onnxruntime."""

from __future__ import annotations

import gc
from collections import UserDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ovpart.backend.base import Backend, Cut, Executable, Port
from ovpart.backend.onnxruntime import OnnxRuntimeBackend
from ovpart.backend.openvino import OpenVINOBackend
from ovpart.backend.reference import ReferenceBackend
from ovpart.errors import InputError, OvpartError, RunError
from ovpart.model.types import dtype_number
from ovpart.runtime.schedule import Schedule, bind_schedule

F = np.float32
ENGINES: dict[str, Backend] = {
    "openvino": OpenVINOBackend(),
    "onnxruntime": OnnxRuntimeBackend(),
    "reference": ReferenceBackend(),
}
Node = tuple[str, list[str], list[str], dict[str, Any]]


def f32(name: str, *shape: Any) -> Port:
    return Port(name, "f32", shape or ("N", 4))


def cut(nodes: Sequence[Node], inputs: Sequence[Port], outputs: Sequence[Port], **constants: np.ndarray) -> Cut:
    def info(port: Port) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(port.name, dtype_number(port.dtype or ""), port.shape)

    protos = [
        helper.make_node(op, ins, outs, name=f"node_{i}", **attributes)
        for i, (op, ins, outs, attributes) in enumerate(nodes)
    ]
    graph = helper.make_graph(
        protos,
        "cut",
        [info(port) for port in inputs],
        [info(port) for port in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return Cut(model, tuple(inputs), tuple(outputs), {}, tuple(node.output[0] for node in protos))


def compiled(engine: str, *arguments: Any, **constants: np.ndarray) -> Executable:
    config = {} if engine == "reference" else {"num_threads": 1}
    return ENGINES[engine].compile(cut(*arguments, **constants), "CPU", config)


def mixed(engines: Sequence[str], **options: Any) -> Schedule:
    # x -> A -> a, n -> B -> b -> C -> y       a = relu(x), n = shape(x), b = a + shape, y = b * 2; outputs y, n, a
    a, n, b, y = f32("a"), Port("n", "i64", (2,)), f32("b"), f32("y")
    first = compiled(engines[0], [("Relu", ["x"], ["a"], {}), ("Shape", ["x"], ["n"], {})], [f32("x")], [a, n])
    cast = ("Cast", ["n"], ["f"], {"to": TensorProto.FLOAT})
    total = ("ReduceSum", ["f"], ["s"], {"keepdims": 0})
    second = compiled(engines[1], [cast, total, ("Add", ["a", "s"], ["b"], {})], [n, a], [b])
    third = compiled(engines[2], [("Mul", ["b", "two"], ["y"], {})], [b], [y], two=np.array(2, F))
    steps = [("A", first), ("B", second), ("C", third)]
    return bind_schedule([f32("x")], ["y", "n", "a"], steps, **options)


def check(schedule: Schedule, x: np.ndarray) -> None:
    y, n, a = schedule.run({"x": x})
    np.testing.assert_array_equal(a, np.maximum(x, 0))
    assert n.tolist() == list(x.shape)
    np.testing.assert_allclose(y, (np.maximum(x, 0) + sum(x.shape)) * 2, rtol=1e-6)


TURNS = [
    ("openvino", "onnxruntime", "openvino"),
    ("onnxruntime", "openvino", "onnxruntime"),
    ("openvino", "openvino", "openvino"),
    ("reference", "openvino", "onnxruntime"),
]


@pytest.mark.parametrize("engines", TURNS, ids="-".join)
def test_arrays_go_from_engine_to_engine_with_changing_shapes(engines: tuple[str, ...]) -> None:
    schedule = mixed(engines)
    for rows in (3, 1, 0, 500, 3, 40_000, 2):
        check(schedule, np.random.default_rng(rows).standard_normal((rows, 4), F))


@pytest.mark.parametrize(
    "form",
    [
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=0)[::2],
        lambda x: np.frombuffer(x.tobytes(), F).reshape(x.shape),
        lambda x: np.lib.stride_tricks.as_strided(np.frombuffer(b"\0" + x.tobytes(), "V1")[1:].view(F), (5, 4)),
    ],
    ids=["column order", "strided", "read-only", "unaligned"],
)
@pytest.mark.parametrize("engines", TURNS[:2], ids="-".join)
def test_inputs_of_every_memory_layout(engines: tuple[str, ...], form: Any) -> None:
    x = form(np.random.default_rng(0).standard_normal((5, 4), F))
    check(mixed(engines), x)


@pytest.mark.parametrize("engines", TURNS[:2], ids="-".join)
def test_threads_over_engines_each_get_their_own_answer(engines: tuple[str, ...]) -> None:
    schedule = mixed(engines)

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(60):
            check(schedule, rng.standard_normal((int(rng.integers(0, 50)), 4), F))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rows", [2, 20_000], ids=["small", "large"])
def test_outputs_belong_to_the_user(engine: str, rows: int) -> None:
    nodes: list[Node] = [
        ("Identity", ["x"], ["same"], {}),
        ("Reshape", ["x", "flat"], ["view"], {}),
        ("Abs", ["x"], ["abs"], {}),
    ]
    ports = [f32("same", rows, 4), f32("view", rows * 4), f32("abs", rows, 4)]
    step = compiled(engine, nodes, [f32("x", rows, 4)], ports, flat=np.array([-1]))
    schedule = bind_schedule(step.inputs, ["same", "view", "abs", "abs"], [("S", step)])
    x = np.random.default_rng(0).standard_normal((rows, 4), F)
    kept = x.copy()
    first = schedule.run({"x": x})
    for i, value in enumerate(first):
        assert not any(np.shares_memory(value, other) for other in [x, *first[:i]])
    before = [value.copy() for value in first]
    for value in schedule.run({"x": np.zeros_like(x)}):
        value[...] = 7
    schedule.run({"x": np.ones_like(x)})
    for value, right in zip(first, before, strict=True):
        np.testing.assert_array_equal(value, right)
    np.testing.assert_array_equal(x, kept)


def gather(engine: str) -> Executable:
    index = Port("i", "i64", ("M",))
    return compiled(engine, [("Gather", ["a", "i"], ["y"], {})], [f32("a"), index], [f32("y")])


def test_a_failing_engine_leaves_the_schedule_usable_and_is_told() -> None:
    relu = compiled("openvino", [("Relu", ["x"], ["a"], {})], [f32("x")], [f32("a")])
    inputs = [f32("x"), Port("i", "i64", ("M",))]
    steps = [("A", relu), ("B", gather("onnxruntime"))]
    x = np.ones((3, 4), F)
    good, bad = {"x": x, "i": np.array([0, 2])}, {"x": x, "i": np.array([0, 3])}
    schedule = bind_schedule(inputs, ["y"], steps)
    for _ in range(3):
        assert schedule.run(good)[0].shape == (2, 4)
        with pytest.raises(RunError, match="out of data bounds"):
            schedule.run(bad)
    told: list[str] = []

    def elsewhere(cluster: str, error: OvpartError, feed: Any) -> list[Any]:
        told.append(cluster)
        return [feed["x"] * 5]

    assert bind_schedule(inputs, ["y"], steps, on_failure=elsewhere).run(bad)[0].max() == 5
    assert told == ["B"]


def test_what_an_engine_does_not_take_from_a_step_before_is_a_failure_of_its_cluster() -> None:
    # The cut of the second says a has two columns, as a wrong value_info would; it has four.
    x = f32("x", "N", "M")
    first = compiled("onnxruntime", [("Relu", ["x"], ["a"], {})], [x], [f32("a", "N", "M")])
    second = compiled("openvino", [("Abs", ["a"], ["y"], {})], [f32("a", "N", 2)], [f32("y", "N", 2)])
    told: list[str] = []

    def elsewhere(cluster: str, error: OvpartError, feed: Any) -> list[Any]:
        told.append(cluster)
        return [feed["x"]]

    schedule = bind_schedule([x], ["y"], [("A", first), ("B", second)], on_failure=elsewhere)
    assert schedule.run({"x": np.ones((3, 4), F)})[0].shape == (3, 4)
    assert told == ["B"]
    assert schedule.run({"x": np.ones((3, 2), F)})[0].tolist() == np.ones((3, 2)).tolist()
    assert told == ["B"]


def test_values_that_are_no_tensors_pass_between_clusters() -> None:
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)
    x, y = f32("x"), f32("y", None, None)

    def executable(node: onnx.NodeProto, ports: tuple[Port, Port], infos: list[Any]) -> Executable:
        graph = helper.make_graph([node], "cut", [infos[0]], [infos[1]])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        made = Cut(model, ports[:1], ports[1:], {}, (node.output[0],))
        return ENGINES["onnxruntime"].compile(made, "CPU", {"num_threads": 1})

    nothing = Port("s", None, None)
    info_x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])
    info_y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    split = executable(
        helper.make_node("SplitToSequence", ["x"], ["s"], axis=0, keepdims=1), (x, nothing), [info_x, sequence]
    )
    joined = executable(helper.make_node("ConcatFromSequence", ["s"], ["y"], axis=0), (nothing, y), [sequence, info_y])
    schedule = bind_schedule([x], ["y", "s"], [("A", split), ("B", joined)])
    value = np.arange(12, dtype=F).reshape(3, 4)
    y_value, s_value = schedule.run({"x": value})
    np.testing.assert_array_equal(y_value, value)
    assert [row.tolist() for row in s_value] == [[row.tolist()] for row in value]


def resident_kb() -> int:
    gc.collect()
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def test_memory_is_flat_over_many_runs_of_both_engines_with_changing_shapes() -> None:
    schedule = mixed(("openvino", "onnxruntime", "openvino"))
    rng = np.random.default_rng(0)
    feeds = [{"x": rng.standard_normal((rows, 4), F)} for rows in (1, 300, 7, 2000, 64, 0, 900)]

    def work(runs: int) -> None:
        for run in range(runs):
            schedule.run(feeds[run % len(feeds)])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, [300] * 4))
        before = resident_kb()
        list(threads.map(work, [2500] * 4))
    # What stays is within what allocators keep at hand; a leak of one small array a run would be 10 MB.
    assert resident_kb() - before < 8_000


def two_outputs(engine: str) -> Executable:
    nodes: list[Node] = [("Add", ["x", "w"], ["y"], {}), ("Gather", ["x", "i"], ["z"], {})]
    inputs = [f32("x"), f32("w"), Port("i", "i64", ("M",))]
    return compiled(engine, nodes, inputs, [f32("y"), f32("z", "M", 4)])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("order", [["x", "w", "i"], ["i", "x", "w"], ["x", "w", "i", "unused"]], ids="-".join)
def test_one_executable_alone_answers_like_a_chain(engine: str, order: list[str]) -> None:
    step = two_outputs(engine)
    ports = {port.name: port for port in (*step.inputs, f32("unused"))}
    schedule = bind_schedule([ports[name] for name in order], ["z", "y"], [("S", step)])
    x = np.arange(8, dtype=F).reshape(2, 4)
    values = {"x": x, "w": x * 10, "i": np.array([1]), "unused": x}
    feed = UserDict({name: values[name] for name in reversed(order)})
    for wanted in (None, ["y"], ["y", "z"], ["z", "z"], ["z", "y", "z"], ["z", "y"]):
        found = schedule.run(feed, wanted)
        for name, value in zip(wanted or ["z", "y"], found, strict=True):
            np.testing.assert_array_equal(value, x[[1]] if name == "z" else x * 11)
        for i, value in enumerate(found):
            assert not any(np.shares_memory(value, other) for other in [*values.values(), *found[:i]])
    with pytest.raises(InputError, match=r"Required inputs \(\['w'\]\) are missing"):
        schedule.run({name: value for name, value in feed.items() if name != "w"})


def test_one_executable_alone_fails_and_closes_like_a_chain() -> None:
    step, x = two_outputs("onnxruntime"), np.ones((2, 4), F)
    bad = {"x": x, "w": x, "i": np.array([7])}
    schedule = bind_schedule(step.inputs, ["y", "z"], [("S", step)])
    with pytest.raises(RunError, match="out of data bounds"):
        schedule.run(bad)
    assert schedule.run({**bad, "i": np.array([0])})[1].shape == (1, 4)
    answering = bind_schedule(step.inputs, ["y", "z"], [("S", step)], on_failure=lambda c, e, f: [f["x"], f["w"] * 3])
    assert answering.run(bad, ["z"])[0].max() == 3
    schedule.close()
    with pytest.raises(RunError, match="closed"):
        schedule.run(bad)
    timed = bind_schedule(step.inputs, ["y", "z"], [("S", step)], timed=True)
    timed.run({**bad, "i": np.array([0])})
    assert timed.times()["S"].count == 1


@pytest.mark.parametrize("engine", ["onnxruntime", "reference"])
def test_types_that_numpy_lacks_go_through_one_executable(engine: str) -> None:
    ends = Port("x", "bf16", ("N",)), Port("y", "bf16", ("N",))
    step = compiled(engine, [("Identity", ["x"], ["y"], {})], ends[:1], ends[1:])
    x = np.arange(3).astype(ml_dtypes.bfloat16)
    (y,) = bind_schedule(ends[:1], ["y"], [("S", step)]).run({"x": x})
    assert y.dtype == ml_dtypes.bfloat16
    assert y.tolist() == [0, 1, 2]


@pytest.mark.parametrize("size", [4, 50_000], ids=["small", "large"])
@pytest.mark.parametrize("engines", TURNS, ids="-".join)
def test_chains_of_static_shapes_give_each_thread_its_own_answer(engines: tuple[str, ...], size: int) -> None:
    # x -> A -> a, s -> B -> b -> C -> y, c -> D -> z       outputs z, s, c: the others lie between steps only
    def ends(*names: str) -> list[Port]:
        return [f32(name, 1, size) for name in names]

    steps = [
        compiled(engines[0], [("Neg", ["x"], ["a"], {}), ("Abs", ["x"], ["s"], {})], ends("x"), ends("a", "s")),
        compiled(engines[1], [("Add", ["a", "s"], ["b"], {})], ends("a", "s"), ends("b")),
        compiled(engines[2], [("Neg", ["b"], ["y"], {}), ("Add", ["b", "b"], ["c"], {})], ends("b"), ends("y", "c")),
        compiled(engines[0], [("Sub", ["y", "x"], ["z"], {})], ends("y", "x"), ends("z")),
    ]
    schedule = bind_schedule(ends("x"), ["z", "s", "c"], [(f"S{i}", step) for i, step in enumerate(steps)])

    def work(seed: int) -> None:
        rng, kept = np.random.default_rng(seed), []
        for _ in range(12):
            x = rng.standard_normal((1, size), F)
            kept.append((x, schedule.run({"x": x})))
        for x, (z, s, c) in kept:
            b = -x + np.abs(x)
            np.testing.assert_array_equal(s, np.abs(x))
            np.testing.assert_array_equal(c, b + b)
            np.testing.assert_array_equal(z, -b - x)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
