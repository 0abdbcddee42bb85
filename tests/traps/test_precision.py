"""Traps 1 to 8: right numbers where openvino by itself computes other ones. See docs/traps.md."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.version_converter
import pytest

import ovpart
from ovpart.backend.cut import make_cut
from ovpart.backend.openvino import OpenVINOBackend, import_openvino
from ovpart.capability.check import check
from ovpart.capability.table import load_table
from ovpart.capability.verdict import State
from ovpart.errors import OvpartError
from ovpart.model.read import read_model
from tests.traps.trial import (
    HEALED,
    alike,
    alone,
    engine_of,
    hold,
    in_process,
    model,
    reference,
    specified,
    with_constants,
)

newest_onnx = pytest.mark.skipif(onnx.defs.onnx_opset_version() < 28, reason="the installed onnx has no opset 28")
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
    hold(proto, small, large, small)


def test_trap_02_the_engine_alone_cuts_int64():
    proto = model("g (int64[N] x) => (int64[N] y) { y = Add(x, x) }")
    assert alone(proto, {"x": np.array([BEYOND])})[0].tolist() == [10], HEALED


def test_trap_02_small_int64_is_delegated_all_the_same():
    session = hold(model(MOVES["Add"]), {"x": np.array([3, -4]), "z": np.array([-1, 2])})
    assert engine_of(session, "y") == "openvino"
    assert session.report.coverage == 1


def test_trap_02_int64_constants_are_not_cut():
    proto = model("g (int64[N] x) => (int64[N] y) { y = Add(x, c) }")
    hold(with_constants(proto, c=np.array([BEYOND])), {"x": np.array([1, 2])})


def test_trap_02_slice_to_the_end_given_at_run_time():
    """INT64_MAX, the usual way to say "to the end", becomes -1 where it is cut: the last element is missing."""
    proto = model("g (float[N] x, int64[1] from, int64[1] to) => (float[M] y) { y = Slice(x, from, to) }")
    x = np.arange(4, dtype=np.float32)
    ends = [np.array([end]) for end in (np.iinfo(np.int64).max, 2**31, 3)]
    hold(proto, *({"x": x, "from": np.array([0]), "to": end} for end in ends))
    hold(proto, {"x": x, "from": np.array([1]), "to": np.array([3])})


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
    hold(proto, {"x": np.array([np.inf, -np.inf, 1], np.float32)})


@pytest.mark.parametrize("op", ["Equal", "Less", "Greater"])
def test_trap_02_int32_beyond_2_to_the_24_compares_exactly_under_ieee(op):
    proto = model(f"g (int32[N] x, int32[N] z) => (bool[N] y) {{ y = {op}(x, z) }}")
    feed = {"x": np.array([2**24, 2**31 - 2], np.int32), "z": np.array([2**24 + 1, 2**31 - 1], np.int32)}
    hold(proto, feed, semantics="ieee")


@pytest.mark.parametrize("op", ["Div", "Mod"])
def test_trap_02_int32_beyond_2_to_the_24_divides_exactly_under_ieee(op):
    proto = model(f"g (int32[N] x, int32[N] z) => (int32[N] y) {{ y = {op}(x, z) }}")
    feed = {"x": np.array([2**24 + 1, -(2**30) - 7], np.int32), "z": np.array([3, 5], np.int32)}
    hold(proto, feed, semantics="ieee")


@pytest.mark.parametrize(("dtype", "word"), [(np.uint8, "uint8"), (np.int8, "int8")])
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
def test_trap_02_bytes_wrap(dtype, word, op):
    """By the operators' definition; the engine stops at the largest value."""
    proto = model(f"g ({word}[N] x, {word}[N] z) => ({word}[N] y) {{ y = {op}(x, z) }}", opset=14)
    x, z = np.array([250, 2, 127, 128], np.uint8).view(dtype), np.array([10, 10, 127, 3], np.uint8).view(dtype)
    with np.errstate(over="ignore"):
        wrapped = {"Add": x + z, "Sub": x - z, "Mul": x * z}[op]
    hold(proto, {"x": x, "z": z}, expected=[[wrapped]])


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
    hold(proto, feed, semantics="ieee")


def test_trap_03_the_fast_way_is_documented_and_the_default():
    proto = model("g (float[N] x) => (float[N] y) { y = Relu(x) }")
    assert engine_of(ovpart.plan(proto, min_gain=0), "y") == "openvino"
    plan = ovpart.plan(proto, min_gain=0, semantics="ieee")
    assert engine_of(plan, "y") == "onnxruntime"
    assert "NaN" in plan.verdicts[0].reason


# -- 4: what ends the process --------------------------------------------------------------------------------------


def test_trap_04_strings_run_and_end_nothing():
    """The engine aborts at the second infer even of an Identity."""
    in_process("""
import numpy as np
import ovpart
from tests.traps.trial import model

texts = np.array([["a", "bcd" * 50], ["", "\u00e9" * 40]], object)
cases = {
    "Identity(x)": texts,
    "Concat <axis = 0> (x, x)": np.concatenate([texts, texts]),
    "Slice(x, zero, one)": texts[:1],
    "Gather <axis = 1> (x, picks)": texts[:, [1, 0, 1]],
    "Reshape(x, flat)": texts.reshape(1, 4),
    "Expand(x, wide)": texts,
}
constants = ("int64[1] zero = {0}, int64[1] one = {1}, int64[3] picks = {1,0,1}, "
             "int64[2] flat = {1,-1}, int64[2] wide = {2,2}")
for body, right in cases.items():
    ends = "(string[2,2] x, float[N] f) => (string[n,m] y, float[N] e)"
    proto = model(f"g {ends} <{constants}> {{ y = {body}  e = Tanh(f) }}")
    session = ovpart.Session(proto, min_gain=0, unknown="delegate")
    assert 0 < session.report.coverage < 1
    for _ in range(3):
        y, e = session.run(None, {"x": texts, "f": np.ones(3, np.float32)})
        assert y.tolist() == right.tolist(), (body, y)
""")


def test_trap_04_gather_with_no_indices():
    """The engine divides by zero while it compiles."""
    proto = model("g (float[4,3] x) => (float[0,3] y, float[4,3] z) { y = Gather <axis = 0> (x, none)  z = Exp(x) }")
    with_constants(proto, none=np.zeros(0, np.int64))
    session = hold(proto, {"x": np.ones((4, 3), np.float32)})
    assert engine_of(session, "z") == "openvino"
    proto = model("g (float[N,3] x, int64[M] i) => (float[M,3] y) { y = Gather <axis = 0> (x, i) }")
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    hold(proto, *({"x": x, "i": np.array(i, np.int64)} for i in ([1, 3], [], [0], [])))


def test_trap_04_gathernd_out_of_range_is_an_error_not_a_crash():
    in_process("""
import numpy as np
import ovpart
from tests.traps.trial import model

proto = model("g (float[N,3] x, int64[M,2] i) => (float[M] y) { e = Exp(x)  y = GatherND(e, i) }")
session = ovpart.Session(proto, min_gain=0)
good = {"x": np.zeros((4, 3), np.float32), "i": np.array([[1, 2]])}
assert session.run(None, good)[0].tolist() == [1]
for far in (4, 100_000_000, -100_000_000):
    try:
        session.run(None, {**good, "i": np.array([[far, 0]])})
    except ovpart.RunError as error:
        assert "ind" in str(error)
    else:
        raise AssertionError("an index out of range gave an answer")
assert session.run(None, good)[0].tolist() == [1]
""")


def test_trap_04_conv_without_weights_is_refused():
    proto = model("g (float[1,1,4,4] x) => (float[1,1,2,2] y) { y = Conv(x, w) }")
    del proto.graph.node[0].input[1:]
    with pytest.raises(OvpartError, match="Conv"):
        ovpart.Session(proto, min_gain=0)


@pytest.mark.parametrize("location", ["*/_ORT_MEM_ADDR_/*", "_ORT_MEM_ADDR_"])
def test_trap_04_memory_addresses_are_refused(location):
    """The engine reads from whatever address the file names."""
    proto = model("g (float[8] x) => (float[8] y) { y = Add(x, w) }")
    tensor = proto.graph.initializer.add(name="w", data_type=1, dims=[8], data_location=1)
    for key, value in {"location": location, "offset": "4096", "length": "32"}.items():
        tensor.external_data.add(key=key, value=value)
    for read in (ovpart.plan, ovpart.Session):
        with pytest.raises(ovpart.ModelError, match="'w'"):
            read(proto.SerializeToString())


# -- 5: what the front end does not look at ------------------------------------------------------------------------

IMAGE = np.random.default_rng(5).random((1, 1, 8, 8)).astype(np.float32)
SCALED = {
    "antialias": 'antialias = 1, mode = "linear"> (x, , half)',
    "keep_aspect_ratio_policy": 'keep_aspect_ratio_policy = "not_larger", mode = "nearest"> (x, , , size)',
    "exclude_outside": 'exclude_outside = 1, cubic_coeff_a = -0.5, mode = "cubic"> (x, , half)',
}


@pytest.mark.parametrize("attribute", SCALED)
def test_trap_05_resize_honours_its_attributes(attribute):
    proto = model(
        f"""g (float[1,1,8,8] x) => (float[1,1,h,w] y)
        <float[4] half = {{1, 1, 0.6, 0.6}}, int64[4] size = {{1, 1, 12, 7}}> {{ y = Resize <{SCALED[attribute]} }}""",
        opset=18,
    )
    session = hold(proto, {"x": IMAGE})
    assert attribute in session.plan.verdicts[0].reason
    assert not alike(alone(proto, {"x": IMAGE})[0], reference(proto, {"x": IMAGE})[0]), HEALED


@pytest.mark.parametrize(("op", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_trap_05_recurrent_layout_is_honoured(op, gates):
    """No more does onnxruntime: the reference implementation answers."""
    rng = np.random.default_rng(6)
    proto = model(
        f"g (float[2,3,4] x) => (float[2,3,1,5] y, float[2,1,5] h) "
        f"{{ y, h = {op} <hidden_size = 5, layout = 1> (x, w, r) }}"
    )
    weights = {name: rng.standard_normal((1, 5 * gates, n), np.float32) for name, n in (("w", 4), ("r", 5))}
    with_constants(proto, **weights)
    feed = {"x": rng.standard_normal((2, 3, 4), np.float32)}
    hold(proto, feed, expected=[specified(proto, feed)])


@newest_onnx
def test_trap_05_space_to_depth_in_column_row_depth_order():
    proto = model(
        'g (float[1,1,4,6] x) => (float[1,4,2,3] y) { y = SpaceToDepth <blocksize = 2, mode = "CRD"> (x) }',
        opset=28, ir=14,
    )  # fmt: skip
    proto_of_two = model(
        'g (float[1,2,4,6] x) => (float[1,8,2,3] y) { y = SpaceToDepth <blocksize = 2, mode = "CRD"> (x) }',
        opset=28, ir=14,
    )  # fmt: skip
    for one, channels in ((proto, 1), (proto_of_two, 2)):
        feed = {"x": np.arange(24 * channels, dtype=np.float32).reshape(1, channels, 4, 6)}
        hold(one, feed, expected=[specified(one, feed)])


@newest_onnx
def test_trap_05_shifts_of_signed_and_wide_integers():
    for word, dtype, x, by in (
        ("int8", np.int8, [-127, -1, 64, 5], [1, 3, 2, 9]),
        ("uint8", np.uint8, [13, 255, 7, 1], [1, 4, 1, 8]),
        ("int32", np.int32, [-5, 2**30, 7, -1], [1, 4, 33, 40]),
    ):
        proto = model(
            f'g ({word}[N] x, {word}[N] by) => ({word}[N] y) {{ y = BitShift <direction = "RIGHT"> (x, by) }}',
            opset=28, ir=14,
        )  # fmt: skip
        feed = {"x": np.array(x, dtype), "by": np.array(by, dtype)}
        hold(proto, feed, expected=[specified(proto, feed)])


@newest_onnx
def test_trap_05_attention_windows_are_honoured():
    proto = model(
        """g (float[1,2,6,4] q, float[1,2,6,4] k, float[1,2,6,4] v) => (float[1,2,6,4] y)
        { y = Attention <left_window_size = 1, right_window_size = 0> (q, k, v) }""",
        opset=28, ir=14,
    )  # fmt: skip
    rng = np.random.default_rng(7)
    feed = {name: rng.standard_normal((1, 2, 6, 4), np.float32) for name in "qkv"}
    hold(proto, feed, expected=[specified(proto, feed)])


@pytest.mark.parametrize("axis", [1, 2, -2])
def test_trap_05_the_axis_of_a_fourier_transform_is_honoured(axis):
    proto = model("g (float[2,4,6,1] x) => (float[2,4,6,2] y) { y = DFT(x, , axis) }", opset=20)
    with_constants(proto, axis=np.array(axis))
    feed = {"x": np.random.default_rng(8).standard_normal((2, 4, 6, 1), np.float32)}
    found = np.fft.fft(feed["x"][..., 0], axis={1: 1, 2: 2, -2: 2}[axis])
    hold(proto, feed, expected=[[np.stack([found.real, found.imag], -1).astype(np.float32)]])


def test_trap_05_softmax_before_opset_13_flattens():
    proto = model("g (float[2,3,4] x) => (float[2,3,4] y) { y = Softmax <axis = 1> (x) }", opset=11)
    feed = {"x": np.random.default_rng(9).standard_normal((2, 3, 4), np.float32)}
    hold(proto, feed)
    assert not alike(alone(proto, feed)[0], reference(proto, feed)[0]), HEALED
    assert engine_of(ovpart.plan(onnx.version_converter.convert_version(proto, 13), min_gain=0), "y") == "openvino"


# -- 6: folding ----------------------------------------------------------------------------------------------------


def test_trap_06_folded_answers_are_the_computed_ones():
    """The engine folds -7/3 to -3, computes -2, and stops unsigned constants at 2**31 - 1."""
    proto = model(
        """g (int32[N] x) => (int32[N] y, uint32[1] u) { q = Div(a, b)  y = Add(x, q)  u = Cast <to = 12> (big) }"""
    )
    with_constants(proto, a=np.array([-7], np.int32), b=np.array([3], np.int32), big=np.array([2**31 + 5]))
    feed = {"x": np.zeros(2, np.int32)}
    session = hold(proto, feed, expected=[[np.array([-2, -2], np.int32), np.array([2**31 + 5], np.uint32)]])
    assert engine_of(session, "q") == "constant"
    assert alone(proto, feed)[0].tolist() == [-3, -3], HEALED


def test_trap_06_casts_there_and_back_round():
    proto = model("g (float[N] x) => (float[N] y) { h = Cast <to = 10> (x)  b = Cast <to = 1> (h)  y = Mul(b, b) }")
    feed = {"x": np.array([1.0001, 3.14159, 2049], np.float32)}
    hold(proto, feed, rtol=1e-7)
    assert not alike(alone(proto, feed)[0], reference(proto, feed)[0], rtol=1e-7), HEALED


# -- 7: operands at run time ---------------------------------------------------------------------------------------


def test_trap_07_tile_with_repeats_at_run_time():
    proto = model("g (float[2,3,4,5] x, int64[4] r) => (float[a,b,c,d] y) { y = Tile(x, r) }")
    x = np.arange(120, dtype=np.float32).reshape(2, 3, 4, 5)
    hold(proto, *({"x": x, "r": np.array(r)} for r in ([2, 2, 2, 2], [1, 2, 2, 1], [3, 1, 1, 2])))


@pytest.mark.parametrize(("word", "dtype"), [("int64", np.int64), ("float", np.float32), ("int32", np.int32)])
def test_trap_07_range_that_is_empty(word, dtype):
    proto = model(f"g ({word} a, {word} b, {word} c) => ({word}[N] y) {{ y = Range(a, b, c) }}")
    feeds = [(5, 1, 2), (0, 6, 2), (1, 1, 1), (1, 5, -1), (5, 0, -2)]
    hold(proto, *({k: np.array(v, dtype) for k, v in zip("abc", feed, strict=True)} for feed in feeds))


# -- 8: integers made at run time ----------------------------------------------------------------------------------


def dynamically_quantised():
    proto = model(
        """g (float[N,16] x) => (float[N,8] y) {
            q, scale, zero = DynamicQuantizeLinear(x)
            product = MatMulInteger(q, w, zero, wzero)
            f = Cast <to = 1> (product)
            y = Mul(f, scale)
        }"""
    )
    rng = np.random.default_rng(10)
    return with_constants(proto, w=rng.integers(-128, 128, (16, 8)).astype(np.int8), wzero=np.array(0, np.int8))


@pytest.mark.parametrize("options", [{}, {"min_gain": 0}])
def test_trap_08_dynamically_quantised_products_stay_on_onnxruntime(options):
    feed = {"x": np.random.default_rng(11).standard_normal((5, 16), np.float32)}
    session = hold(dynamically_quantised(), feed, **options)
    assert engine_of(session, "q") == engine_of(session, "product") == "onnxruntime"


def test_trap_08_dynamically_quantised_recurrence_stays_on_onnxruntime():
    proto = model(
        """g (float[3,1,4] x) => (float[3,1,1,5] y, float[1,1,5] h, float[1,1,5] c) {
            y, h, c = com.microsoft.DynamicQuantizeLSTM <hidden_size = 5>
                (x, w, r, , , , , , ws, wz, rs, rz)
        }""",
        com_microsoft=1,
    )
    rng = np.random.default_rng(12)
    with_constants(
        proto,
        w=rng.integers(-128, 128, (1, 4, 20)).astype(np.int8),
        r=rng.integers(-128, 128, (1, 5, 20)).astype(np.int8),
        ws=np.array([0.01], np.float32),
        wz=np.array([0], np.int8),
        rs=np.array([0.01], np.float32),
        rz=np.array([0], np.int8),
    )
    # One row: onnxruntime quantises the rows of each thread by themselves, so that its answer depends on their number.
    session = hold(proto, {"x": rng.standard_normal((3, 1, 4), np.float32)})
    assert engine_of(session, "y") == "onnxruntime"
    (verdict,) = check(read_model(proto), "CPU", load_table(), unknown="delegate")
    assert verdict.state is State.UNSUPPORTED, "it is known to be wrong there: nobody need try"
