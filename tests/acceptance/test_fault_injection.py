"""Every call into an engine fails in turn: a session answers right or raises our error, and is right the next time.

The engines are the real ones; what fails is the n-th of the calls that ovpart makes into their bindings, for each n.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from onnx import TensorProto
from onnx import helper as h

import ovpart
from ovpart.errors import OvpartError


def native(kind: type) -> type:
    """Return the class of openvino's binding below one of its Python classes: the one that ovpart calls."""
    return next(base for base in kind.__mro__ if base.__module__.endswith("_pyopenvino"))


OPENVINO_CALLS = (
    (openvino.Core, "read_model"),
    (openvino.Core, "compile_model"),
    (native(openvino.CompiledModel), "create_infer_request"),
    (native(openvino.CompiledModel), "get_property"),
    *(
        (native(openvino.InferRequest), name)
        for name in ("set_input_tensor", "set_output_tensor", "infer", "start_async", "wait", "get_output_tensor")
    ),
)
ONNXRUNTIME_CALLS = (
    (onnxruntime.InferenceSession, "__init__"),
    (onnxruntime.capi.onnxruntime_pybind11_state.InferenceSession, "run"),
)
SHAPES = (2, 5, 2, 2)


class InjectedError(RuntimeError):
    """What a binding throws."""


class Faults:
    """Counts the calls into bindings; the one with the number `due` fails, and all later ones if `lasting`."""

    def __init__(self, due: int = 0, *, lasting: bool = False, kind: type[Exception] = InjectedError) -> None:
        self.due = due
        self.lasting = lasting
        self.kind = kind
        self.names: list[str] = []

    def wrapped(self, name: str, inner: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **more: object) -> object:
            self.names.append(name)
            number = len(self.names)
            if self.due and (number == self.due or (self.lasting and number > self.due)):
                raise self.kind(f"injected failure of {name}, call {number}")
            return inner(*arguments, **more)

        return call

    @contextmanager
    def into(self, calls: tuple[tuple[type, str], ...]) -> Iterator[Faults]:
        with pytest.MonkeyPatch.context() as patch:
            for kind, name in calls:
                patch.setattr(kind, name, self.wrapped(f"{kind.__name__}.{name}", getattr(kind, name)))
            yield self


def value(name: str, dtype: int = TensorProto.FLOAT, shape: tuple[str | int, ...] = ("n", 4)) -> onnx.ValueInfoProto:
    return h.make_tensor_value_info(name, dtype, shape)


def three_clusters() -> onnx.ModelProto:
    """Return x -> Exp -> Cast(f64) -> Sqrt -> Cast(f32) -> Tanh -> y: openvino, onnxruntime, openvino."""
    nodes = [
        h.make_node("Exp", ["x"], ["a"]),
        h.make_node("Cast", ["a"], ["b"], to=TensorProto.DOUBLE),
        h.make_node("Sqrt", ["b"], ["c"]),
        h.make_node("Cast", ["c"], ["d"], to=TensorProto.FLOAT),
        h.make_node("Tanh", ["d"], ["y"]),
    ]
    graph = h.make_graph(nodes, "three", [value("x")], [value("y")])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def one_cluster() -> onnx.ModelProto:
    """Return a model that openvino takes whole, with a fixed and a dynamic output."""
    nodes = [
        h.make_node("Relu", ["x"], ["y"]),
        h.make_node("ReduceMean", ["y"], ["z"], keepdims=0),
    ]
    graph = h.make_graph(nodes, "one", [value("x")], [value("y"), value("z", shape=())])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def with_a_loop() -> onnx.ModelProto:
    """Return y = tanh applied three times to x, in the body of a Loop that also goes through f64."""
    body = h.make_graph(
        [
            h.make_node("Cast", ["s"], ["p"], to=TensorProto.DOUBLE),
            h.make_node("Neg", ["p"], ["q"]),
            h.make_node("Cast", ["q"], ["r"], to=TensorProto.FLOAT),
            h.make_node("Tanh", ["r"], ["t"]),
            h.make_node("Identity", ["c"], ["d"]),
        ],
        "body",
        [value("i", TensorProto.INT64, ()), value("c", TensorProto.BOOL, ()), value("s")],
        [value("d", TensorProto.BOOL, ()), value("t")],
    )
    three = h.make_node("Constant", [], ["three"], value=h.make_tensor("v", TensorProto.INT64, (), [3]))
    graph = h.make_graph(
        [three, h.make_node("Loop", ["three", "", "x"], ["y"], body=body)], "loop", [value("x")], [value("y")]
    )
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


MODELS = {"three clusters": three_clusters, "one cluster": one_cluster, "a loop": with_a_loop}


def feeds() -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(7)
    return [{"x": rng.normal(size=(n, 4)).astype(np.float32)} for n in SHAPES]


def answers(proto: onnx.ModelProto) -> list[list[np.ndarray]]:
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return [session.run(None, feed) for feed in feeds()]


def lived(proto: onnx.ModelProto, wanted: list[list[np.ndarray]], **options: object) -> tuple[int, int]:
    """Live through a session; return how many of its steps raised our error, and in how many its answer was right.

    Anything but a right answer or our error fails the test.
    """
    try:
        session = ovpart.Session(proto, num_threads=1, evidence="off", **{"min_gain": 0, **options})
    except OvpartError:
        return 1, 0
    raised = right = 0
    with session:
        for feed, outputs in zip(feeds(), wanted, strict=True):
            try:
                found = session.run(None, feed)
            except OvpartError:
                raised += 1
                continue
            for got, expected in zip(found, outputs, strict=True):
                np.testing.assert_allclose(got, expected, 1e-5, 1e-6)
            right += 1
    return raised, right


def each_fails_in_turn(proto: onnx.ModelProto, kind: type[Exception], **options: object) -> int:
    """Make each call fail alone; return how many calls there are."""
    wanted = answers(proto)
    calls = (*OPENVINO_CALLS, *ONNXRUNTIME_CALLS)
    with Faults().into(calls) as counted:
        assert lived(proto, wanted, **options) == (0, len(SHAPES))
    assert {"Core.read_model", "Core.compile_model", "InferRequest.infer"} <= set(counted.names)
    for number in range(1, len(counted.names) + 1):
        with Faults(number, kind=kind).into(calls) as faults:
            raised, right = lived(proto, wanted, **options)
        reached = faults.names[number - 1] if number <= len(faults.names) else "none"  # a measured plan may give way
        told = f"call {number}: {reached}"
        if "Session" in reached:  # onnxruntime's: what answers for openvino may be what fails
            assert raised <= 1, told
            assert right == len(SHAPES) - raised or (raised, right) == (1, 0), told
        else:
            assert (raised, right) == (0, len(SHAPES)), told
    return len(counted.names)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_any_one_call_that_fails_is_survived_and_the_next_run_is_right(name):
    assert each_fails_in_turn(MODELS[name](), InjectedError) > 10


@pytest.mark.long
def test_running_out_of_memory_in_any_one_call_is_survived():
    each_fails_in_turn(three_clusters(), MemoryError)


@pytest.mark.long
def test_any_one_call_may_fail_while_a_plan_is_measured(monkeypatch):
    monkeypatch.setattr("ovpart.planning.DEFAULT_MIN_GAIN_US", 0.0)
    monkeypatch.setattr("ovpart.placement.race.PAUSE_S", 0.0)
    proto = three_clusters()
    session = ovpart.Session(proto)
    assert session.plan.delegated
    for feed in feeds():
        session.run(None, feed)
    assert session.report.runs.outcome is not None
    each_fails_in_turn(proto, InjectedError, min_gain=None)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_an_openvino_that_fails_from_some_call_on_for_ever_costs_no_answer(name):
    proto = MODELS[name]()
    wanted = answers(proto)
    with Faults().into(OPENVINO_CALLS) as counted:
        assert lived(proto, wanted) == (0, len(SHAPES))
    for number in range(1, len(counted.names) + 1):
        with Faults(number, lasting=True).into(OPENVINO_CALLS) as faults:
            assert lived(proto, wanted) == (0, len(SHAPES)), f"from call {number} on: {faults.names[number - 1]}"
