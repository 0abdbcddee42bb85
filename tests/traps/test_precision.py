"""Traps 1 to 3: float32 in float32, integers and doubles uncut, NaN kept where asked for. See docs/traps.md."""

from __future__ import annotations

import numpy as np
import pytest

import ovpart
from ovpart.backend.cut import make_cut
from ovpart.backend.openvino import OpenVINOBackend, import_openvino
from ovpart.capability.verdict import State
from ovpart.model.read import read_model
from tests.traps.trial import (
    HEALED,
    alike,
    alone,
    engine_of,
    hold,
    model,
    reference,
    with_constants,
    wrong,
)

BEYOND = 2**33 + 5
"""An integer whose low 32 bits are 5."""


# -- 1: precision --------------------------------------------------------------------------------------------------


def test_trap_01_float32_is_computed_in_float32():
    """bf16, the engine's own choice on many processors, has eight bits: 64.25 comes out as 64."""
    rng = np.random.default_rng(1)
    weight = rng.standard_normal((256, 256), np.float32)
    proto = with_constants(model("g (float[N,256] x) => (float[N,256] y) { m = MatMul(x, w)  y = Tanh(m) }"), w=weight)
    session = hold(proto, {"x": 0.01 * rng.standard_normal((8, 256), np.float32)})
    assert engine_of(session, "m") == "openvino"


def test_trap_01_weights_in_int8_do_not_quantise_activations():
    """The engine's own choice quantises what meets a compressed weight, at run time, and moves results by 1e-2."""
    rng = np.random.default_rng(2)
    proto = model(
        """g (float[N,512] x) => (float[N,64] y)
        { wide = Cast <to = 1> (packed)  weight = Mul(wide, scale)  y = MatMul(x, weight) }"""
    )
    packed = rng.integers(-128, 128, (512, 64)).astype(np.int8)
    with_constants(proto, packed=packed, scale=np.full((1, 64), 0.01, np.float32))
    session = hold(proto, {"x": rng.standard_normal((16, 512), np.float32)})
    assert engine_of(session, "y") == "openvino"


class Recording:
    """A Core that keeps what it is told; all else is the real one's."""

    def __init__(self, core):
        self.core = core
        self.told = []

    def __getattr__(self, name):
        return getattr(self.core, name)

    def compile_model(self, compiled, device, options):
        self.told.append(options)
        return self.core.compile_model(compiled, device, options)


@pytest.mark.parametrize("whole", [False, True])
def test_trap_01_the_engine_is_told_so(whole):
    """Many processors have no bf16, so that nothing but this would be seen of it on them."""
    read = read_model(model("g (float[N,4] x) => (float[N,4] y) { y = Relu(x) }"))
    core = Recording(import_openvino().Core())
    backend = OpenVINOBackend(core)
    cut = make_cut(read, [0], ["x"], ["y"])
    compiled = (backend.compile_whole(read, "CPU", {}) if whole else backend.compile(cut, "CPU", {})).compiled
    assert core.told[0]["INFERENCE_PRECISION_HINT"] == "f32"
    assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
    assert compiled.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE") == 0


# -- 2: integers and doubles ---------------------------------------------------------------------------------------

MOVES = {
    "Identity": "g (int64[N] x, int64[N] z) => (int64[N] y) { y = Identity(x) }",
    "Concat": "g (int64[N] x, int64[N] z) => (int64[M] y) { y = Concat <axis = 0> (x, z) }",
    "Add": "g (int64[N] x, int64[N] z) => (int64[N] y) { y = Add(x, z) }",
    "Gather": "g (int64[N] x, int64[N] z) => (int64[N] y) <int64[1] i = {1}> { y = Gather(x, i) }",
    "Max": "g (int64[N] x, int64[N] z) => (int64[N] y) { y = Max(x, z) }",
    "Reshape": "g (int64[N] x, int64[N] z) => (int64[1,M] y) <int64[2] s = {1, -1}> { y = Reshape(x, s) }",
    "Where": "g (int64[N] x, int64[N] z) => (int64[N] y) { c = Less(x, z)  y = Where(c, x, z) }",
}


@pytest.mark.parametrize("op", MOVES)
def test_trap_02_int64_is_not_cut(op):
    proto = model(MOVES[op])
    small = {"x": np.array([3, -4]), "z": np.array([-1, 2])}
    large = {"x": np.array([BEYOND, -BEYOND]), "z": np.array([2**31, 7])}
    assert wrong(proto, small, large, small) == []


def test_trap_02_the_engine_alone_cuts_int64():
    proto = model("g (int64[N] x) => (int64[N] y) { y = Add(x, x) }")
    assert alone(proto, {"x": np.array([BEYOND])})[0].tolist() == [10], HEALED


def test_trap_02_small_int64_is_delegated_all_the_same():
    session = hold(model(MOVES["Add"]), {"x": np.array([3, -4]), "z": np.array([-1, 2])})
    assert engine_of(session, "y") == "openvino"
    assert session.report.coverage == 1


def test_trap_02_int64_constants_are_not_cut():
    proto = model("g (int64[N] x) => (int64[N] y) { y = Add(x, c) }")
    assert wrong(with_constants(proto, c=np.array([BEYOND])), {"x": np.array([1, 2])}) == []


def test_trap_02_slice_to_the_end_given_at_run_time():
    """INT64_MAX, the usual way to say "to the end", becomes -1 where it is cut: the last element is missing."""
    proto = model("g (float[N] x, int64[1] from, int64[1] to) => (float[M] y) { y = Slice(x, from, to) }")
    x = np.arange(4, dtype=np.float32)
    ends = [np.array([end]) for end in (np.iinfo(np.int64).max, 2**31, 3)]
    assert wrong(proto, *({"x": x, "from": np.array([0]), "to": end} for end in ends)) == []
    assert wrong(proto, {"x": x, "from": np.array([1]), "to": np.array([3])}) == []


def test_trap_02_slice_to_the_end_as_a_constant_is_delegated():
    proto = model("g (float[N] x) => (float[M] y) { y = Slice(x, from, to) }")
    with_constants(proto, to=np.array([np.iinfo(np.int64).max]), **{"from": np.array([1])})
    assert engine_of(hold(proto, {"x": np.arange(4, dtype=np.float32)}), "y") == "openvino"


def test_trap_02_float64_stays_float64():
    proto = model("g (double[N] x) => (double[N] y) { a = Add(x, c)  y = Sub(a, c) }")
    with_constants(proto, c=np.array([1.0]))
    feed = {"x": np.array([1e-12, 1 / 3, 1e300, np.inf])}
    session = hold(proto, feed, rtol=0)
    assert not alike(alone(proto, feed)[0], reference(proto, feed)[0], rtol=1e-9), HEALED
    assert session.plan.verdicts[0].state is State.UNSUPPORTED


def test_trap_02_casts_to_float64_keep_infinity():
    proto = model("g (float[N] x) => (double[N] y) { y = Cast <to = 11> (x) }")
    assert wrong(proto, {"x": np.array([np.inf, -np.inf, 1], np.float32)}) == []


@pytest.mark.parametrize("op", ["Equal", "Less", "Greater"])
def test_trap_02_int32_beyond_2_to_the_24_compares_exactly_under_ieee(op):
    proto = model(f"g (int32[N] x, int32[N] z) => (bool[N] y) {{ y = {op}(x, z) }}")
    feed = {"x": np.array([2**24, 2**31 - 2], np.int32), "z": np.array([2**24 + 1, 2**31 - 1], np.int32)}
    assert wrong(proto, feed, semantics="ieee") == []


@pytest.mark.parametrize("op", ["Div", "Mod"])
def test_trap_02_int32_beyond_2_to_the_24_divides_exactly_under_ieee(op):
    proto = model(f"g (int32[N] x, int32[N] z) => (int32[N] y) {{ y = {op}(x, z) }}")
    feed = {"x": np.array([2**24 + 1, -(2**30) - 7], np.int32), "z": np.array([3, 5], np.int32)}
    assert wrong(proto, feed, semantics="ieee") == []


@pytest.mark.parametrize(("dtype", "word"), [(np.uint8, "uint8"), (np.int8, "int8")])
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
def test_trap_02_bytes_wrap(dtype, word, op):
    """By the operators' definition; the engine stops at the largest value."""
    proto = model(f"g ({word}[N] x, {word}[N] z) => ({word}[N] y) {{ y = {op}(x, z) }}", opset=14)
    x, z = np.array([250, 2, 127, 128], np.uint8).view(dtype), np.array([10, 10, 127, 3], np.uint8).view(dtype)
    with np.errstate(over="ignore"):
        wrapped = {"Add": x + z, "Sub": x - z, "Mul": x * z}[op]
    assert wrong(proto, {"x": x, "z": z}, expected=[[wrapped]]) == []


# -- 3: NaN --------------------------------------------------------------------------------------------------------

NAN = {
    "Relu": "y = Relu(x)",
    "Max": "y = Max(x, z)",
    "Min": "y = Min(x, z)",
    "Clip": "low = Constant <value_float = -1.0> ()  high = Constant <value_float = 2.0> ()  y = Clip(x, low, high)",
    "Exp": "y = Exp(x)",
    "Softmax": "y = Softmax(x)",
    "MaxPool": "r = Reshape(x, s)  p = MaxPool <kernel_shape = [2]> (r)  y = Reshape(p, back)",
    "ReduceMax": "y = ReduceMax(x)",
    "Greater": "g = Greater(x, z)  y = Cast <to = 1> (g)",
    "ThresholdedRelu": "y = ThresholdedRelu(x)",
}


@pytest.mark.parametrize("op", NAN)
def test_trap_03_nan_stays_under_ieee(op):
    constants = "<int64[3] s = {1, 1, 4}, int64[1] back = {-1}>"
    proto = model(f"g (float[4] x, float[4] z) => (float[?] y) {constants} {{ {NAN[op]} }}")
    del proto.graph.output[0].type.tensor_type.shape.dim[:]
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    feed = {"x": np.array([np.nan, 1, -2, np.inf], np.float32), "z": np.array([0, np.nan, 0, 0], np.float32)}
    assert wrong(proto, feed, semantics="ieee") == []


def test_trap_03_the_fast_way_is_documented_and_the_default():
    proto = model("g (float[N] x) => (float[N] y) { y = Relu(x) }")
    assert engine_of(ovpart.plan(proto, min_gain=0), "y") == "openvino"
    plan = ovpart.plan(proto, min_gain=0, semantics="ieee")
    assert engine_of(plan, "y") == "onnxruntime"
    assert "NaN" in plan.verdicts[0].reason
