"""Traps 17 to 20, 31, 32: who owns which memory, what lies in it, what a cache brings back. See docs/traps.md."""

from __future__ import annotations

import gc
import sys

import numpy as np
import onnx
import pytest

import ovpart
from ovpart.backend.cut import make_cut
from ovpart.backend.onnxruntime import OnnxRuntimeBackend
from ovpart.backend.openvino import OpenVINOBackend
from ovpart.errors import CompileError
from ovpart.model.read import read_model
from ovpart.testing.cuts import compute, cut_of, relu
from tests.traps.trial import alike, engine_of, hold, in_process, model, reference, with_constants, wrong

BACKENDS = {"openvino": OpenVINOBackend, "onnxruntime": OnnxRuntimeBackend}


# -- 17: weights ---------------------------------------------------------------------------------------------------


def two_products(rng=None):
    rng = rng or np.random.default_rng(1)
    proto = model("g (float[n,64] x) => (float[n,64] y) { a = MatMul(x, w)  b = Tanh(a)  y = MatMul(b, w) }")
    return with_constants(proto, w=rng.standard_normal((64, 64), np.float32))


@pytest.mark.parametrize("source", ["file", "external", "bytes", "proto"])
def test_trap_17_weights_lie_beside_the_cut_in_shared_memory(source, tmp_path):
    proto = two_products()
    path = tmp_path / "model.onnx"
    onnx.save(proto, path, save_as_external_data=source == "external", location="weights.bin", size_threshold=0)
    given = {"bytes": path.read_bytes(), "proto": onnx.load(path)}.get(source, path)
    read = read_model(given)
    cuts = [make_cut(read, [0], ["x"], ["a"]), make_cut(read, [2], ["b"], ["y"])]
    assert np.shares_memory(cuts[0].weights["w"], cuts[1].weights["w"])
    assert all(cut.weights["w"].flags.writeable for cut in cuts), "openvino shares no other arrays"
    assert all(len(cut.proto.SerializeToString()) < 2000 for cut in cuts)
    assert np.shares_memory(cuts[0].weights["w"], read.weights.array("w"))


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("engine", BACKENDS)
def test_trap_17_sessions_run_on_mapped_weights(engine, external, tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(two_products(), path, save_as_external_data=external, location="weights.bin", size_threshold=0)
    if not external:  # an odd length before the data: weights that lie unaligned in their file
        path.write_bytes(b"\x12\x03odd" + path.read_bytes())
    path.chmod(0o444)
    before = path.read_bytes()
    feed = {"x": np.random.default_rng(2).standard_normal((3, 64), np.float32)}
    session = hold(path, feed, exclude=["*"] if engine == "onnxruntime" else [])
    assert {cluster.label.engine for cluster in session.plan.clusters} == {engine}
    assert path.read_bytes() == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_trap_17_a_session_over_64_mb_of_weights_copies_none(tmp_path):
    rows = 16 * 1024
    proto = model("g (int64[n] x) => (float[n,1024] y) { a = Gather <axis = 0> (w, x)  y = Softmax(a) }")
    with_constants(proto, w=np.repeat(np.linspace(-1, 1, rows, dtype=np.float32)[:, None], 1024, axis=1))
    onnx.save(proto, tmp_path / "model.onnx")
    printed = in_process(
        """
import numpy as np
import ovpart
from tests.traps.trial import engine_of, model

def now(what):
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith(what))

def use(source):
    session = ovpart.Session(source, min_gain=0)
    session.run(None, {"x": np.array([3, 9])})
    return session

use(model("g (int64[n] x) => (int64[n] y) { y = Add(x, x) }"))
before, peak_before = now("RssAnon"), now("VmRSS")
session = use("model.onnx")
assert engine_of(session, "a") == "openvino"
print(now("RssAnon") - before, now("VmHWM") - peak_before)
""",
        cwd=tmp_path,
    )
    copied, peak = map(float, printed.split())
    assert copied < 24, f"{copied} MB of memory of its own over 64 MB of mapped weights"
    assert peak < 64 + 32, f"{peak} MB at the peak over 64 MB of mapped weights"


# -- 18: lives of arrays -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BACKENDS)
def test_trap_18_an_input_lives_as_long_as_it_is_bound(name):
    """The engine keeps the address of an input, not the array."""
    request = BACKENDS[name]().compile(relu(), "CPU", {}).bind()
    for count in (5, 5000, 500_000):
        request.set_input(0, np.full(count, 2, np.float32))
        gc.collect()
        others = [np.full(count, 9, np.float32) for _ in range(5)]
        request.run()
        assert set(request.take_output(0).tolist()) == {2}
        del others


@pytest.mark.parametrize("options", [{"min_gain": 0}, {"min_gain": 0, "exclude": ["Neg"]}, {}])
@pytest.mark.parametrize("width", ["n", "4", "70000"])
def test_trap_18_no_later_run_changes_a_result(options, width):
    """Results of static and dynamic shapes, below and above the sizes from which memory is handed over."""
    proto = model(
        f"g (float[n,{width}] x) => (float[n,{width}] y, float[n,{width}] z) {{ a = Exp(x)  y = Neg(a)  z = Tanh(a) }}"
    )
    session = ovpart.Session(proto, **options)
    columns = 4 if width == "n" else int(width)
    kept = []
    for value, rows in enumerate((1, 3, 2, 9, 9, 1)):
        x = np.full((rows, columns), -value, np.float32)
        for output, right in zip(session.run(None, {"x": x}), (-np.exp(x), np.tanh(np.exp(x))), strict=True):
            kept.append((output, right))
        for output, right in kept:
            assert alike(output, right)


def test_trap_18_what_a_caller_does_to_a_result_stays_with_it():
    proto = model("g (float[4] x) => (float[4] y, float[4] z) { y = Exp(x)  z = Identity(y) }")
    session = ovpart.Session(proto, min_gain=0)
    x = np.zeros(4, np.float32)
    y, z = session.run(None, {"x": x})
    y[:] = 7
    assert z.tolist() == [1] * 4
    assert [output.tolist() for output in session.run(None, {"x": x})] == [[1] * 4] * 2


@pytest.mark.parametrize("op", ["Expand", "NonZero"])
def test_trap_18_outputs_may_grow(op):
    """An output bound once and too small for a later run is an error of the engine's."""
    body = {"Expand": "y = Expand(x, s)", "NonZero": "f = Cast <to = 9> (s)  e = Expand(x, s)  y = NonZero(e)"}[op]
    shape, word = {"Expand": ("[a,b]", "float"), "NonZero": ("[2,k]", "int64")}[op]
    proto = model(f"g (float[1,1] x, int64[2] s) => ({word}{shape} y) {{ {body} }}")
    assert (
        wrong(
            proto,
            *(
                {"x": np.ones((1, 1), np.float32), "s": np.array(s)}
                for s in ([2, 3], [40, 500], [1, 1], [0, 4], [900, 1000])
            ),
        )
        == []
    )


# -- 19: arrays as they come ---------------------------------------------------------------------------------------


def test_trap_19_int64_of_one_engine_is_taken_by_the_other():
    """Gives int64 of C's long long, which numpy calls by another letter, and which openvino does not know."""
    proto = model(
        """g (double[n,4] d, float[4] x) => (float[n] y)
        { i = ArgMax <axis = 1, keepdims = 0> (d)  g = Gather(x, i)  y = Exp(g) }"""
    )
    rng = np.random.default_rng(3)
    feeds = [{"d": rng.random((n, 4)), "x": np.arange(4, dtype=np.float32)} for n in (3, 1, 9)]
    session = hold(proto, *feeds)
    assert engine_of(session, "i") == "onnxruntime"
    assert engine_of(session, "y") == "openvino"


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("letter", ["q", "l", "Q", "L"])
def test_trap_19_both_kinds_of_int64_are_taken(name, letter):
    dtype = "i64" if letter in "ql" else "u64"
    node = onnx.helper.make_node("Add", ["x", "x"], ["y"])
    cut = cut_of([node], {"x": (dtype, ("N",))}, {"y": (dtype, ("N",))})
    (found,) = compute(BACKENDS[name]().compile(cut, "CPU", {}).bind(), np.array([1, 5], letter))
    assert found.tolist() == [2, 10]


@pytest.mark.parametrize("options", [{"min_gain": 0}, {"min_gain": 0, "exclude": ["Neg"]}, {}])
def test_trap_19_scalars_stay_scalars(options):
    proto = model("g (float x) => (float y) { a = Exp(x)  b = Neg(a)  y = Abs(b) }")
    assert wrong(proto, {"x": np.array(0.5, np.float32)}, **options) == []
    session = ovpart.Session(proto, **options)
    strided = np.array([1, 0.5], np.float32)[::-1]
    for x in (np.float32(0.5), np.broadcast_to(np.float32(0.5), ()), strided[0:1].reshape(())):
        (y,) = session.run(None, {"x": x})
        assert y.shape == ()
        assert alike(y, np.exp(np.float32(0.5)))


@pytest.mark.parametrize("options", [{"min_gain": 0}, {"min_gain": 0, "exclude": ["Neg"]}, {}])
def test_trap_19_any_memory_is_read_rightly(options):
    proto = model("g (float[n,4] x) => (float[n,4] y) { a = Exp(x)  b = Neg(a)  y = Abs(b) }")
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    read_only = x.copy()
    read_only.flags.writeable = False
    odd = np.frombuffer(bytearray(b"\0" + x.tobytes()), np.float32, offset=1).reshape(3, 4)
    unusual = [x.astype(">f4"), read_only, np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2], x[::-1][::-1], odd]
    session = ovpart.Session(proto, **options)
    for array in unusual:
        assert alike(session.run(None, {"x": array})[0], np.exp(x))


# -- 20: caches ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["OPTIMIZE_SPEED", "OPTIMIZE_SIZE"])
def test_trap_20_new_weights_are_seen_behind_a_cache(mode, tmp_path):
    """The engine's cache knows a model by its .onnx alone: other external data gives the old answers."""
    path, cache = tmp_path / "model.onnx", tmp_path / "cache"
    feed = {"x": np.random.default_rng(4).standard_normal((3, 64), np.float32)}
    answers = []
    for seed in (5, 6, 5):
        proto = two_products(np.random.default_rng(seed))
        right = reference(proto, feed)
        onnx.save(proto, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
        session = hold(path, feed, expected=[right], config={"CACHE_DIR": str(cache), "CACHE_MODE": mode})
        assert engine_of(session, "y") == "openvino"
        answers.append(right[0])
    assert not alike(answers[0], answers[1])


def test_trap_20_blobs_come_back_as_they_went_and_others_are_refused():
    cut = cut_of([onnx.helper.make_node("Exp", ["x"], ["y"])], {"x": ("f32", ("N",))}, {"y": ("f32", ("N",))})
    backend = OpenVINOBackend()
    blob = backend.compile(cut, "CPU", {}).export()
    x = np.array([0, 1], np.float32)
    assert alike(compute(backend.load(blob, cut, "CPU", {}).bind(), x)[0], np.exp(x))
    for broken in (b"", b"no blob", blob[: len(blob) // 2]):
        with pytest.raises(CompileError):
            backend.load(broken, cut, "CPU", {})


# -- 31: casts to the dtype that is there --------------------------------------------------------------------------

CASTS = {
    "Cast": "y = Cast <to = 1> (x)",
    "CastLike": "y = CastLike(x, like)",
    "Cast, beside others": "y = Cast <to = 1> (x)  z = Exp(x)",
    "Cast of a view": "r = Identity(x)  y = Cast <to = 1> (r)",
}


@pytest.mark.parametrize("case", CASTS)
def test_trap_31_a_cast_that_changes_nothing_writes_to_no_input(case):
    """Openvino 2026.4.1 writes its result into the input of the run before, which the caller still holds."""
    outputs = "float[n,m] y, float[n,m] z" if "z = " in CASTS[case] else "float[n,m] y"
    likes = ", float[k] like" if "like" in CASTS[case] else ""
    assert (
        in_process(f"""
import numpy as np
import ovpart
from tests.traps.trial import engine_of, model

proto = model("g (float[n,m] x{likes}) => ({outputs}) {{ {CASTS[case]} }}", opset=21)
session = ovpart.Session(proto, min_gain=0)
rng = np.random.default_rng(7)
held = []
for rows, columns in [(3, 4), (5, 6), (2, 2), (64, 1000), (1, 7), (300, 300), (0, 3), (9, 9)] * 4:
    x = rng.standard_normal((rows, columns)).astype(np.float32)
    feed = {{"x": x, "like": np.ones(2, np.float32)}} if "like" in {likes!r} else {{"x": x}}
    y = session.run(None, feed)[0]
    assert np.array_equal(y, x) and not np.shares_memory(y, x)
    held.append((x, x.copy(), y, y.copy()))
    for mine, as_it_was, answer, as_given in held:
        assert np.array_equal(mine, as_it_was), "an input was written to"
        assert np.array_equal(answer, as_given), "an answer was written to"
""")
        == ""
    )


# -- 32: graphs that do nothing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["Dropout", "Sum", "Max", "Identity", "Cast <to = 1>", "Flatten"])
@pytest.mark.parametrize("options", [{"min_gain": 0}, {"min_gain": 0, "exclude": ["*"]}, {}])
def test_trap_32_a_result_is_never_the_memory_of_an_input(op, options):
    """Of a graph that does nothing, openvino's output is its input's own memory; small ones are copied anyway."""
    proto = model(f"g (float[n,m] x) => (float[n,m] y) {{ y = {op}(x) }}")
    session = ovpart.Session(proto, **options)
    for shape in ((3, 4), (700, 1000), (700, 1000), (2, 2), (1000, 900)):
        x = np.ones(shape, np.float32)
        (y,) = session.run(None, {"x": x})
        assert not np.shares_memory(x, y)
        x[:] = 7
        assert set(np.unique(y)) == {1}
