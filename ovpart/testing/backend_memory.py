"""The part of the conformance suite that is about memory: who owns arrays, and which arrays a request takes.

Not used by itself: :class:`ovpart.testing.backend_suite.BackendSuite` is the suite.
"""
# ruff: noqa: D102  the names of the tests say what they test

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import onnx.helper
import pytest

from ovpart.backend.base import Array, Backend, Cut, Executable
from ovpart.testing.cuts import compute, cut_of, f32, relu


class MemorySuite:
    """Fixtures, and tests of memory."""

    @pytest.fixture
    def backend(self) -> Backend:
        """Return the backend under test."""
        raise NotImplementedError("override this fixture: return your backend")

    @pytest.fixture
    def device(self) -> str:
        """Return the device to test on."""
        return "CPU"

    @pytest.fixture
    def config(self) -> Mapping[str, object]:
        """Return the configuration for every compilation."""
        return {}

    @pytest.fixture
    def compiled(self, backend: Backend, device: str, config: Mapping[str, object]) -> Any:
        """Return a function: cut → executable."""

        def compile_it(cut: Cut) -> Executable:
            return backend.compile(cut, device, config)

        return compile_it

    @pytest.mark.parametrize("count", [3, 100_000])
    @pytest.mark.parametrize("static", [True, False])
    def test_later_runs_leave_outputs_alone(self, compiled: Any, count: int, static: bool) -> None:
        request = compiled(relu((count,) if static else ("N",))).bind()
        outputs = [compute(request, np.full(count, value, np.float32))[0] for value in (1, 2, 3)]
        assert [output[0] for output in outputs] == [1, 2, 3]
        assert [output[-1] for output in outputs] == [1, 2, 3]

    def test_outputs_outlive_the_executable(self, compiled: Any) -> None:
        executable = compiled(relu((50_000,)))
        request = executable.bind()
        (got,) = compute(request, np.arange(50_000, dtype=np.float32))
        del executable, request
        gc.collect()
        assert got[49_999] == 49_999
        assert got.sum(dtype=np.float64) == sum(range(50_000))

    @pytest.mark.parametrize("op", ["Relu", "Identity"])
    def test_inputs_are_left_alone(self, compiled: Any, op: str) -> None:
        node = onnx.helper.make_node(op, ["x"], ["y"])
        request = compiled(cut_of([node], {"x": ("f32", (4,))}, {"y": ("f32", (4,))})).bind()
        array = np.array([-1, 0, 1, 2], np.float32)
        (got,) = compute(request, array)
        got[:] = 7
        assert array.tolist() == [-1, 0, 1, 2]

    def test_input_is_kept_alive_by_the_request(self, compiled: Any) -> None:
        request = compiled(relu((1000,))).bind()
        request.set_input(0, np.full(1000, 2, np.float32))
        gc.collect()
        others = [np.full(1000, 9, np.float32) for _ in range(20)]
        request.run()
        assert set(request.take_output(0).tolist()) == {2}
        assert len(others) == 20

    def test_values_changed_in_place_are_seen_when_bound_again(self, compiled: Any) -> None:
        request = compiled(relu((3,))).bind()
        array = np.array([1, 2, 3], np.float32)
        assert compute(request, array)[0].tolist() == [1, 2, 3]
        array[0] = 5
        assert compute(request, array)[0].tolist() == [5, 2, 3]

    def test_inputs_stay_bound(self, compiled: Any) -> None:
        node = onnx.helper.make_node("Sub", ["a", "b"], ["y"])
        ends = dict.fromkeys("ab", ("f32", (2,)))
        request = compiled(cut_of([node], ends, {"y": ("f32", (2,))})).bind()
        assert compute(request, f32([5, 6]), f32([1, 2]))[0].tolist() == [4, 4]
        assert compute(request, f32([8, 9]))[0].tolist() == [7, 7]

    @pytest.mark.parametrize(
        "kind", ["read-only", "strided", "reversed", "fortran", "big-endian", "unaligned", "long long", "read-only 0-d"]
    )
    def test_unusual_memory(self, compiled: Any, kind: str) -> None:
        values = np.arange(12).reshape(3, 4).astype(np.int64 if kind == "long long" else np.float32)
        memories: dict[str, Callable[[], Array]] = {
            "read-only": lambda: np.frombuffer(values.tobytes(), values.dtype).reshape(3, 4),
            "strided": lambda: np.repeat(values, 2, axis=1)[:, ::2],
            "reversed": lambda: np.ascontiguousarray(values[::-1])[::-1],
            "fortran": lambda: np.asfortranarray(values),
            "big-endian": lambda: values.astype(">f4"),
            "unaligned": lambda: np.frombuffer(bytearray(b"\0" + values.tobytes()), values.dtype, offset=1).reshape(
                3, 4
            ),
            "long long": lambda: values.astype("q"),
            "read-only 0-d": lambda: np.broadcast_to(np.float32(3), ()),
        }
        array = memories[kind]()
        shape, dtype = array.shape, "i64" if kind == "long long" else "f32"
        node = onnx.helper.make_node("Add", ["x", "x"], ["y"])
        request = compiled(cut_of([node], {"x": (dtype, shape)}, {"y": (dtype, shape)})).bind()
        (got,) = compute(request, array)
        np.testing.assert_array_equal(got, array + array)
        assert got.shape == shape

    def test_planned_outputs_are_written_where_they_are_bound(self, compiled: Any) -> None:
        """Executables may offer `static_shape`, and their requests `bind_output`: the runtime then plans memory."""
        nodes = [onnx.helper.make_node("Relu", ["x"], ["y"]), onnx.helper.make_node("Neg", ["x"], ["z"])]
        shape = (20_000,)
        executable = compiled(cut_of(nodes, {"x": ("f32", shape)}, {"y": ("f32", shape), "z": ("f32", shape)}))
        if not hasattr(executable, "static_shape") or executable.static_shape(0) is None:
            return
        assert executable.static_shape(0) == shape
        request = executable.bind()
        place = np.full(shape, -77, np.float32)
        request.bind_output(0, place)
        taken = []
        for value in (1, 2):
            request.set_input(0, np.full(shape, value, np.float32))
            request.run()
            assert set(place.tolist()) == {value}
            taken.append(request.take_output(1))
        assert [array[0] for array in taken] == [-1, -2]
