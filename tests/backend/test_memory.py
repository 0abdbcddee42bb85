"""Weights are mapped, not copied: measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import onnx.helper
import onnxruntime
import pytest

from ovpart.backend.cut import make_cut
from ovpart.backend.onnxruntime import OnnxRuntimeBackend, session_options
from ovpart.backend.onnxruntime_weights import file_of, with_weights
from ovpart.model.read import read_model
from ovpart.testing.cuts import compute, cut_of

MEASURE = """
import sys
import numpy as np
from ovpart.backend.cut import make_cut
from ovpart.backend.registry import backend
from ovpart.model.read import read_model
from ovpart.testing.cuts import compute, relu

def anonymous():
    for line in open("/proc/self/smaps_rollup"):
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) / 1024

name, path = sys.argv[1:3]
engine = backend(name)
config = {"num_threads": 1, **({"session.disable_prepacking": 1} if name == "onnxruntime" else {})}
compute(engine.compile(relu(), "CPU", config).bind(), np.zeros(3, np.float32))  # the engine itself is loaded
model = read_model(path)
before = anonymous()
nodes = model.graph.nodes
cut = make_cut(model, range(len(nodes)), ["x"], ["y"])
executable = engine.compile(cut, "CPU", config)
print(anonymous() - before)
request = executable.bind()
request.set_input(0, np.array([3]))
request.run()
assert request.take_output(0).tolist() == [[3.0] * 1024], request.take_output(0)
print(anonymous() - before)
"""


def table(path, rows, external=False):
    """Write a model that looks up rows of a table: row i is full of i."""
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Gather", ["w", "x"], ["y"])], "g", [info("x", 7, ["N"])], [info("y", 1, ["N", 1024])]
    )
    weight = np.broadcast_to(np.arange(rows, dtype=np.float32)[:, None], (rows, 1024))
    graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(weight), "w"))
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(proto, path, save_as_external_data=external, location="weights.bin", size_threshold=0)
    return path


@pytest.mark.parametrize("external", [False, True])
def test_weights_of_a_cut_are_views_of_the_file(tmp_path, external):
    model = read_model(table(tmp_path / "model.onnx", 4, external))
    first, second = (make_cut(model, [0], ["x"], ["y"]) for _ in range(2))
    assert np.shares_memory(first.weights["w"], second.weights["w"])
    assert not first.weights["w"].flags.owndata


def test_file_and_offset_of_a_view(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(bytes(range(100)))
    mapped = np.memmap(path, dtype=np.uint8, mode="c")
    view = mapped[3:19].view(np.float32).reshape(2, 2)
    assert file_of(view) == (str(path), 3)
    assert file_of(np.memmap(path, dtype=np.uint8, mode="c", offset=8)[4:]) == (str(path), 12)
    assert file_of(mapped[::2]) is None
    assert file_of(np.zeros(3)) is None
    assert file_of(mapped.copy()) is None
    path.rename(tmp_path / "elsewhere")
    assert file_of(view) is None


def test_weights_in_files_stay_there_and_others_are_handed_over(tmp_path):
    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 21):
        pytest.skip(f"onnxruntime {onnxruntime.__version__} takes no folder for the weights of a model from memory")
    for name in ("a", "b/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.arange(600, dtype=np.float32).tofile(tmp_path / name)
    weights = {
        "v": np.memmap(tmp_path / "a", np.float32, "c"),
        "w": np.memmap(tmp_path / "b" / "c", np.float32, "c"),
        "m": np.ones(600, np.float32),
    }
    nodes = [onnx.helper.make_node("Sum", ["x", "v", "w", "m"], ["y"])]
    cut = cut_of(nodes, {"x": ("f32", (600,))}, {"y": ("f32", (600,))}, weights=weights)
    proto = onnx.ModelProto.FromString(with_weights(cut.proto, cut, session_options({}))[0])
    locations = {t.name: t.external_data[0].value for t in proto.graph.initializer}
    assert locations == {"v": "a", "w": "b/c", "m": "in memory"}
    x = np.zeros(600, np.float32)
    (got,) = compute(OnnxRuntimeBackend().compile(cut, "CPU", {}).bind(), x)
    np.testing.assert_array_equal(got, np.arange(600) * 2 + 1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_trap_17_a_table_of_64_mb_is_not_copied(tmp_path, engine, external):
    path = table(tmp_path / "model.onnx", 16 * 1024, external)
    if engine == "onnxruntime" and file_of(read_model(path).weights.array("w")) is None:
        pytest.skip("the reader's maps do not know the names of their files")
    command = [sys.executable, "-c", MEASURE, engine, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    after_compile, after_run = map(float, result.stdout.split())
    assert after_compile < 24, f"{after_compile} MB of new memory after compiling a cut over 64 MB of mapped weights"
    assert after_run < 24, f"{after_run} MB of new memory after the first run"
