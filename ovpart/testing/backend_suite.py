"""What every backend must do: a suite that ovpart's own backends pass and that a third party's must.

Use it in a test module of your own::

    from ovpart.testing.backend_suite import BackendSuite

    class TestMine(BackendSuite):
        @pytest.fixture
        def backend(self):
            return MyBackend()

A backend need not take every operator or type: where a test allows a refusal, a
:class:`~ovpart.errors.CompileError` passes and a wrong answer does not.
"""
# ruff: noqa: D102  the names of the tests say what they test

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx.helper
import pytest

from ovpart.backend.base import Array, Backend, Executable, Request
from ovpart.errors import CompileError, InputError, OvpartError, RunError
from ovpart.model.types import dtype_number, numpy_dtype
from ovpart.testing.backend_memory import MemorySuite
from ovpart.testing.cuts import Ends, compute, cut_of, dense, f32, relu, started_and_waited_for

RTOL_F32 = 1e-5
"""Relative difference that two f32 computations of a few operations may have."""

STAGES = ("read", "convert", "compile", "load")


class BackendSuite(MemorySuite):
    """The conformance suite. Override the fixture ``backend``, and ``device`` and ``config`` where they differ."""

    # -- what it says of itself ---------------------------------------------------------------------------------------

    def test_has_the_methods_of_the_protocols(self, backend: Backend, compiled: Any) -> None:
        executable = compiled(relu())
        assert isinstance(backend, Backend)
        assert isinstance(executable, Executable)
        assert isinstance(executable.bind(), Request)
        assert backend.name.isidentifier()

    def test_lists_the_device(self, backend: Backend, device: str) -> None:
        assert device in [found.name for found in backend.devices()]

    def test_fingerprint_is_one_line_and_stays(self, backend: Backend, device: str) -> None:
        line = backend.fingerprint(device)
        assert line
        assert "\n" not in line
        assert backend.fingerprint(device) == line

    def test_ports_are_those_of_the_cut(self, compiled: Any) -> None:
        cut = dense(np.ones((3, 4), np.float32))
        executable = compiled(cut)
        assert tuple(executable.inputs) == cut.inputs
        assert tuple(executable.outputs) == cut.outputs

    # -- types and shapes ---------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "dtype",
        ["f32", "f64", "f16", "bf16", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "bool", "string", "i4"],
    )
    def test_dtype_crosses_the_ports_or_is_refused(self, compiled: Any, dtype: str) -> None:
        node = onnx.helper.make_node("Identity", ["x"], ["y"])
        cut = cut_of([node], {"x": (dtype, ("N",))}, {"y": (dtype, ("N",))}, opset=21)
        if dtype == "string":
            values = np.array(["a", "", "ä"], dtype=object)
        else:
            values = np.array([0, 1, 1] if dtype == "bool" else [0, 1, 3]).astype(numpy_dtype(dtype))
        try:
            request = compiled(cut).bind()
        except CompileError:
            return
        (got,) = compute(request, values)
        assert got.dtype == values.dtype
        assert got.tolist() == values.tolist()

    @pytest.mark.parametrize("dtype", ["i4", "u4", "i2", "u2", "bf16", "f8e4m3fn", "f8e5m2"])
    def test_types_that_numpy_has_not(self, compiled: Any, dtype: str) -> None:
        if dtype_number(dtype) not in onnx.TensorProto.DataType.values():
            pytest.skip(f"onnx {onnx.__version__} has no {dtype}")
        nodes = [
            onnx.helper.make_node("Cast", ["x"], ["y"], to=1),
            onnx.helper.make_node("Cast", ["y"], ["z"], to=dtype_number(dtype)),
        ]
        cut = cut_of(nodes, {"x": (dtype, (3, 1))}, {"y": ("f32", (3, 1)), "z": (dtype, (3, 1))}, opset=25)
        try:
            request = compiled(cut).bind()
        except CompileError:
            return
        values = np.array([[1], [0], [1]], numpy_dtype(dtype))
        y, z = compute(request, values, outputs=2)
        assert y.tolist() == [[1], [0], [1]]
        assert (z.dtype, z.shape) == (values.dtype, (3, 1))
        assert z.astype(np.float32).tolist() == [[1], [0], [1]]

    def test_zero_dimensional(self, compiled: Any) -> None:
        node = onnx.helper.make_node("Add", ["x", "x"], ["y"])
        request = compiled(cut_of([node], {"x": ("f32", ())}, {"y": ("f32", ())})).bind()
        (got,) = compute(request, np.array(1.5, np.float32))
        assert got.shape == ()
        assert got == 3

    def test_zero_size(self, compiled: Any) -> None:
        request = compiled(relu(("N", 3))).bind()
        assert compute(request, np.zeros((0, 3), np.float32))[0].shape == (0, 3)
        assert compute(request, np.ones((2, 3), np.float32))[0].tolist() == [[1, 1, 1], [1, 1, 1]]
        assert compute(request, np.zeros((0, 3), np.float32))[0].shape == (0, 3)

    def test_shapes_change_and_come_back(self, compiled: Any) -> None:
        rng = np.random.default_rng(0)
        weight = rng.normal(size=(8, 5)).astype(np.float32)
        request = compiled(dense(weight)).bind()
        first, second = (rng.normal(size=(n, 8)).astype(np.float32) for n in (2, 7))
        for array in (first, second, first):
            (got,) = compute(request, array)
            np.testing.assert_allclose(got, np.maximum(array @ weight, 0), rtol=RTOL_F32, atol=RTOL_F32)

    def test_output_whose_shape_depends_on_values(self, compiled: Any) -> None:
        node = onnx.helper.make_node("NonZero", ["x"], ["y"])
        try:
            request = compiled(cut_of([node], {"x": ("f32", ("N",))}, {"y": ("i64", (1, None))})).bind()
        except CompileError:
            return
        for values in ([0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 2]):
            (got,) = compute(request, np.array(values, np.float32))
            assert got.tolist() == [[i for i, value in enumerate(values) if value]]

    # -- kinds of cuts ------------------------------------------------------------------------------------------------

    def test_many_outputs(self, compiled: Any) -> None:
        nodes = [onnx.helper.make_node("Mul", ["x", f"c{i}"], [f"y{i}"]) for i in range(30)]
        constants = {f"c{i}": np.array([i], np.float32) for i in range(30)}
        ends = {f"y{i}": ("f32", (2,)) for i in range(30)}
        request = compiled(cut_of(nodes, {"x": ("f32", (2,))}, ends, constants=constants)).bind()
        for value in (1, 2):
            got = compute(request, np.full(2, value, np.float32), outputs=30)
            assert [array.tolist() for array in got] == [[i * value] * 2 for i in range(30)]

    def test_input_that_nothing_reads(self, compiled: Any) -> None:
        node = onnx.helper.make_node("Neg", ["x"], ["y"])
        ends = {"unused": ("i64", (2,)), "x": ("f32", (2,)), "idle": ("f32", (3,))}
        executable = compiled(cut_of([node], ends, {"y": ("f32", (2,))}))
        assert [end.name for end in executable.inputs] == ["unused", "x", "idle"]
        (got,) = compute(executable.bind(), np.array([1, 2]), f32([1, 2]), np.zeros(3, np.float32))
        assert got.tolist() == [-1, -2]

    def test_inputs_keep_their_order_when_one_is_handed_through(self, compiled: Any) -> None:
        nodes = [
            onnx.helper.make_node("Dropout", ["a"], ["y"]),
            onnx.helper.make_node("Neg", ["b"], ["z"]),
        ]
        ends = dict.fromkeys("ab", ("f32", (2,)))
        outs = dict.fromkeys("yz", ("f32", (2,)))
        got = compute(compiled(cut_of(nodes, ends, outs)).bind(), f32([1, 2]), f32([3, 4]), outputs=2)
        assert [array.tolist() for array in got] == [[1, 2], [-3, -4]]

    def test_no_inputs(self, compiled: Any) -> None:
        node = onnx.helper.make_node("Add", ["c", "c"], ["y"])
        cut = cut_of([node], {}, {"y": ("f32", (2,))}, constants={"c": f32([1, 2])})
        request = compiled(cut).bind()
        assert compute(request)[0].tolist() == [2, 4]
        assert compute(request)[0].tolist() == [2, 4]

    def test_outputs_that_are_inputs_constants_or_the_same(self, compiled: Any) -> None:
        names = ["handed", "constant", "weight", "y", "again"]
        sources = ["x", "c", "w", None, "y"]
        nodes = [onnx.helper.make_node("Neg", ["x"], ["y"])]
        nodes += [
            onnx.helper.make_node("Identity", [source], [name])
            for name, source in zip(names, sources, strict=True)
            if source
        ]
        weight = np.arange(600, dtype=np.float32)
        outs: Ends = {**dict.fromkeys(names, ("f32", (2,))), "weight": ("f32", (600,))}
        cut = cut_of(nodes, {"x": ("f32", (2,))}, outs, constants={"c": f32([8, 9])}, weights={"w": weight})
        got = compute(compiled(cut).bind(), f32([1, 2]), outputs=5)
        assert [got[i].tolist() for i in (0, 1, 3, 4)] == [[1, 2], [8, 9], [-1, -2], [-1, -2]]
        np.testing.assert_array_equal(got[2], weight)
        got[2][:] = 0
        assert weight[599] == 599

    def test_integer_outputs(self, compiled: Any) -> None:
        nodes = [
            onnx.helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=0),
            onnx.helper.make_node("Shape", ["x"], ["s"]),
        ]
        outs: Ends = {"y": ("i64", ("N",)), "s": ("i64", (2,))}
        request = compiled(cut_of(nodes, {"x": ("f32", ("N", 3))}, outs)).bind()
        got = compute(request, f32([[0, 5, 1], [7, 5, 1]]), outputs=2)
        assert [array.tolist() for array in got] == [[1, 0], [2, 3]]
        assert [array.dtype for array in got] == [np.int64, np.int64]

    @pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "i8", "u8", "i32", "i64"])
    def test_large_constants_of_each_type(self, compiled: Any, dtype: str) -> None:
        table = np.arange(4096).reshape(64, 64).astype(numpy_dtype(dtype))
        node = onnx.helper.make_node("Gather", ["w", "i"], ["y"])
        outs: Ends = {"y": (dtype, (None, 64))}
        try:
            cut = cut_of([node], {"i": ("i64", ("N",))}, outs, weights={"w": table})
            request = compiled(cut).bind()
        except CompileError:
            return
        (got,) = compute(request, np.array([5, 63, 0]))
        np.testing.assert_array_equal(got, table[[5, 63, 0]])

    def test_constants_are_left_alone(self, compiled: Any) -> None:
        weight = np.random.default_rng(1).normal(size=(64, 64)).astype(np.float32)
        before = weight.copy()
        request = compiled(dense(weight)).bind()
        for _ in range(3):
            compute(request, np.ones((2, 64), np.float32))
        np.testing.assert_array_equal(weight, before)

    def test_bodies_read_outer_values(self, compiled: Any) -> None:
        def branch(op: str) -> onnx.GraphProto:
            out = onnx.helper.make_tensor_value_info(f"o_{op}", 1, [2])
            return onnx.helper.make_graph([onnx.helper.make_node(op, ["x", "w"], [f"o_{op}"])], op, [], [out])

        node = onnx.helper.make_node("If", ["c"], ["y"], then_branch=branch("Add"), else_branch=branch("Sub"))
        ends: Ends = {"c": ("bool", ()), "x": ("f32", (2,))}
        cut = cut_of([node], ends, {"y": ("f32", (2,))}, weights={"w": f32([10, 20])})
        try:
            request = compiled(cut).bind()
        except CompileError:
            return
        x = f32([1, 2])
        assert compute(request, np.array(True), x)[0].tolist() == [11, 22]
        assert compute(request, np.array(False), x)[0].tolist() == [-9, -18]

    # -- errors -------------------------------------------------------------------------------------------------------

    def test_unknown_operator_is_a_compile_error(self, compiled: Any) -> None:
        nodes = [
            onnx.helper.make_node("Relu", ["x"], ["h"]),
            onnx.helper.make_node("NobodyKnowsThis", ["h"], ["y"], domain="nobody"),
        ]
        cut = cut_of(nodes, {"x": ("f32", (2,))}, {"y": ("f32", (2,))}, domains={"nobody": 1})
        with pytest.raises(CompileError) as caught:
            compiled(cut)
        assert caught.value.stage in STAGES
        assert caught.value.node in ("y", None)
        assert "Nobody" in str(caught.value) or caught.value.node == "y"

    def test_failing_run_is_a_run_error_and_the_request_recovers(self, compiled: Any) -> None:
        node = onnx.helper.make_node("Reshape", ["x", "s"], ["y"])
        ends: Ends = {"x": ("f32", ("N",)), "s": ("i64", (2,))}
        request = compiled(cut_of([node], ends, {"y": ("f32", (None, None))})).bind()
        with pytest.raises(RunError):
            compute(request, np.zeros(6, np.float32), np.array([4, 2]))
        (got,) = compute(request, np.zeros(6, np.float32), np.array([3, 2]))
        assert got.shape == (3, 2)

    @pytest.mark.parametrize("array", [np.zeros(3, np.int32), np.zeros(3, np.float64)])
    def test_wrong_dtype_is_an_error(self, compiled: Any, array: Array) -> None:
        request = compiled(relu((3,))).bind()
        with pytest.raises((InputError, RunError)):
            compute(request, array)

    def test_blob_that_is_none_is_refused(self, backend: Backend, device: str, config: Mapping[str, object]) -> None:
        with pytest.raises(OvpartError) as caught:
            backend.load(b"this is no blob", relu(), device, config)
        assert isinstance(caught.value, CompileError)
        assert caught.value.stage == "load"

    # -- runs ---------------------------------------------------------------------------------------------------------

    def test_start_and_wait(self, compiled: Any) -> None:
        request = compiled(relu()).bind()
        for value in (1, 2, 3):
            request.set_input(0, np.full(5, value, np.float32))
            request.start()
            request.wait()
            assert request.take_output(0).tolist() == [value] * 5

    def test_failure_of_a_started_run_comes_at_wait(self, compiled: Any) -> None:
        node = onnx.helper.make_node("Reshape", ["x", "s"], ["y"])
        ends: Ends = {"x": ("f32", ("N",)), "s": ("i64", (2,))}
        request = compiled(cut_of([node], ends, {"y": ("f32", (None, None))})).bind()
        request.set_input(0, np.zeros(6, np.float32))
        request.set_input(1, np.array([4, 2]))
        with pytest.raises(RunError):
            started_and_waited_for(request)
        assert compute(request, np.zeros(6, np.float32), np.array([3, 2]))[0].shape == (3, 2)

    def test_cancel_without_a_run_changes_nothing(self, compiled: Any) -> None:
        request = compiled(relu()).bind()
        request.cancel()
        assert compute(request, f32([-1, 1]))[0].tolist() == [0, 1]
        request.cancel()
        assert compute(request, f32([-1, 2]))[0].tolist() == [0, 2]

    def test_requests_run_at_the_same_time(self, compiled: Any) -> None:
        weight = np.random.default_rng(2).normal(size=(64, 64)).astype(np.float32)
        executable = compiled(dense(weight))
        wrong: list[Any] = []

        def work(seed: int) -> None:
            rng = np.random.default_rng(seed)
            request = executable.bind()
            try:
                for _ in range(20):
                    x = rng.normal(size=(int(rng.integers(1, 5)), 64)).astype(np.float32)
                    (got,) = compute(request, x)
                    if not np.allclose(got, np.maximum(x @ weight, 0), rtol=1e-3, atol=1e-3):
                        wrong.append(x)
            except Exception as error:
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong

    def test_exported_blob_gives_the_same_executable(
        self, backend: Backend, device: str, config: Mapping[str, object]
    ) -> None:
        weight = np.random.default_rng(3).normal(size=(64, 16)).astype(np.float32)
        cut = dense(weight)
        executable = backend.compile(cut, device, config)
        x = np.ones((2, 64), np.float32)
        (expected,) = compute(executable.bind(), x)
        blob = executable.export()
        if blob is None:
            return
        assert isinstance(blob, bytes)
        loaded = backend.load(blob, cut, device, config)
        assert tuple(loaded.inputs) == cut.inputs
        assert tuple(loaded.outputs) == cut.outputs
        (got,) = compute(loaded.bind(), x)
        np.testing.assert_array_equal(got, expected)
