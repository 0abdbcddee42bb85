"""Traps 4 to 8: operators that end the process, or that openvino reads or computes otherwise. See docs/traps.md."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.version_converter
import pytest

import ovpart
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
    wrong,
)

newest_onnx = pytest.mark.skipif(onnx.defs.onnx_opset_version() < 28, reason="the installed onnx has no opset 28")


# -- 4: what ends the process --------------------------------------------------------------------------------------


def test_trap_04_strings_run_and_end_nothing():
    """The engine aborts at the second infer even of an Identity."""
    assert (
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
        == ""
    )


def test_trap_04_gather_with_no_indices():
    """The engine divides by zero while it compiles."""
    proto = model("g (float[4,3] x) => (float[0,3] y, float[4,3] z) { y = Gather <axis = 0> (x, none)  z = Exp(x) }")
    with_constants(proto, none=np.zeros(0, np.int64))
    session = hold(proto, {"x": np.ones((4, 3), np.float32)})
    assert engine_of(session, "z") == "openvino"
    proto = model("g (float[N,3] x, int64[M] i) => (float[M,3] y) { y = Gather <axis = 0> (x, i) }")
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    assert wrong(proto, *({"x": x, "i": np.array(i, np.int64)} for i in ([1, 3], [], [0], []))) == []


def test_trap_04_gathernd_out_of_range_is_an_error_not_a_crash():
    assert (
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
        == ""
    )


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
    assert wrong(proto, feed, expected=[specified(proto, feed)]) == []


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
        assert wrong(one, feed, expected=[specified(one, feed)]) == []


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
        assert wrong(proto, feed, expected=[specified(proto, feed)]) == []


@newest_onnx
def test_trap_05_attention_windows_are_honoured():
    proto = model(
        """g (float[1,2,6,4] q, float[1,2,6,4] k, float[1,2,6,4] v) => (float[1,2,6,4] y)
        { y = Attention <left_window_size = 1, right_window_size = 0> (q, k, v) }""",
        opset=28, ir=14,
    )  # fmt: skip
    rng = np.random.default_rng(7)
    feed = {name: rng.standard_normal((1, 2, 6, 4), np.float32) for name in "qkv"}
    assert wrong(proto, feed, expected=[specified(proto, feed)]) == []


@pytest.mark.parametrize("axis", [1, 2, -2])
def test_trap_05_the_axis_of_a_fourier_transform_is_honoured(axis):
    proto = model("g (float[2,4,6,1] x) => (float[2,4,6,2] y) { y = DFT(x, , axis) }", opset=20)
    with_constants(proto, axis=np.array(axis))
    feed = {"x": np.random.default_rng(8).standard_normal((2, 4, 6, 1), np.float32)}
    found = np.fft.fft(feed["x"][..., 0], axis={1: 1, 2: 2, -2: 2}[axis])
    assert wrong(proto, feed, expected=[[np.stack([found.real, found.imag], -1).astype(np.float32)]]) == []


def test_trap_05_softmax_before_opset_13_flattens():
    proto = model("g (float[2,3,4] x) => (float[2,3,4] y) { y = Softmax <axis = 1> (x) }", opset=11)
    feed = {"x": np.random.default_rng(9).standard_normal((2, 3, 4), np.float32)}
    assert wrong(proto, feed) == []
    assert not alike(alone(proto, feed)[0], reference(proto, feed)[0]), HEALED
    assert engine_of(ovpart.plan(onnx.version_converter.convert_version(proto, 13), min_gain=0), "y") == "openvino"


@pytest.mark.parametrize("op", ["ReduceL1", "ReduceLogSum", "ReduceLogSumExp"])
@pytest.mark.parametrize("opset", [11, 13, 17])
def test_trap_05_reductions_honour_their_axes(op, opset):
    """The engine reads those of opset 13 to 17 by the rules of 18, where axes are no attribute, and reduces all."""
    proto = model(
        f"g (float[n,4] x) => (float[n] y) {{ a = {op} <axes = [1], keepdims = 0> (x)  y = Neg(a) }}", opset=opset
    )
    feeds = [{"x": np.random.default_rng(n).random((n, 4)).astype(np.float32) + 1} for n in (3, 1)]
    session = hold(proto, *feeds)
    assert (alone(proto, feeds[0])[0].shape == ()) == (opset >= 13), HEALED
    assert engine_of(session, "a") == ("openvino" if opset < 13 else "onnxruntime")
    assert engine_of(session, "y") == "openvino"


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
    assert wrong(proto, feed, rtol=1e-7) == []
    assert not alike(alone(proto, feed)[0], reference(proto, feed)[0], rtol=1e-7), HEALED


# -- 7: operands at run time ---------------------------------------------------------------------------------------


def test_trap_07_tile_with_repeats_at_run_time():
    proto = model("g (float[2,3,4,5] x, int64[4] r) => (float[a,b,c,d] y) { y = Tile(x, r) }")
    x = np.arange(120, dtype=np.float32).reshape(2, 3, 4, 5)
    assert wrong(proto, *({"x": x, "r": np.array(r)} for r in ([2, 2, 2, 2], [1, 2, 2, 1], [3, 1, 1, 2]))) == []


@pytest.mark.parametrize(("word", "dtype"), [("int64", np.int64), ("float", np.float32), ("int32", np.int32)])
def test_trap_07_range_that_is_empty(word, dtype):
    proto = model(f"g ({word} a, {word} b, {word} c) => ({word}[N] y) {{ y = Range(a, b, c) }}")
    feeds = [(5, 1, 2), (0, 6, 2), (1, 1, 1), (1, 5, -1), (5, 0, -2)]
    assert wrong(proto, *({k: np.array(v, dtype) for k, v in zip("abc", feed, strict=True)} for feed in feeds)) == []


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
