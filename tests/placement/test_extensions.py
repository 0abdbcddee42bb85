"""Operators that the user teaches openvino are delegated, and right, though onnxruntime has never heard of them."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

import ovpart
from ovpart.errors import OptionError
from ovpart.options import resolve
from ovpart.placement.engines import make_engines
from tests.placement.control_flow_models import x

TABLE = {"schema": 1, "ops": {"my.Twice": {"CPU": [{"state": "supported", "source": "user"}]}}}
TEXT = """
<ir_version: 8, opset_import: ["" : 17, "my" : 1]>
g (float[N,4] x) => (float[N,4] y) {
  a = Relu(x)
  b = my.Twice(a)
  c = Add(b, x)
  d = my.Twice(c)
  y = Sigmoid(d)
}"""


def proto() -> onnx.ModelProto:
    return onnx.parser.parse_model(TEXT)


def wanted(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-2 * (2 * np.maximum(value, 0) + value)))


def twice() -> object:
    import openvino.opset14 as ops
    from openvino.frontend.onnx import ConversionExtension

    def convert(node):
        return ops.multiply(node.get_input(0), ops.constant(np.float32(2))).outputs()

    return ConversionExtension("Twice", "my", convert)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build the extension against the headers of the installed openvino."""
    import openvino

    root = Path(openvino.__file__).parent
    found = [*root.glob("libs/libopenvino.so.*"), *root.glob("libs/libopenvino_onnx_frontend.so.*")]
    if shutil.which("g++") is None or len(found) != 2:
        pytest.skip("needs g++, and openvino's library, to build an extension")
    built = tmp_path_factory.mktemp("extension") / "libtwice.so"
    command = ["g++", "-std=c++17", "-O1", "-shared", "-fPIC", f"-I{root / 'include'}"]
    command += [str(Path(__file__).with_name("twice_extension.cpp")), *map(str, found), "-o", str(built)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return str(built)


def test_a_converted_operator_is_delegated_with_all_around_it():
    value = x(3, 4)
    with ovpart.Session(proto(), table=TABLE, extensions=[twice()], min_gain=0, fallback="onnxruntime") as session:
        assert [cluster.label.engine for cluster in session.plan.clusters] == ["openvino"]
        for rows in (value, value[:1], value):
            np.testing.assert_allclose(session.run(None, {"x": rows})[0], wanted(rows), 1e-5)
        assert session.run(None, {"x": value})[0].shape == (3, 4)


def test_what_does_not_pay_is_delegated_all_the_same_where_onnxruntime_has_no_such_operator():
    value = x(3, 4)
    with ovpart.Session(proto(), table=TABLE, extensions=twice()) as session:
        np.testing.assert_allclose(session.run(None, {"x": value})[0], wanted(value), 1e-5)
        places = dict(zip("abcdy", session.plan.places, strict=True))
        engines = {cluster.id: cluster.label.engine for cluster in session.plan.clusters}
        assert engines[places["b"]] == engines[places["d"]] == "openvino"


def test_a_session_without_the_extension_does_not_see_it():
    with ovpart.Session(proto(), table=TABLE, extensions=[twice()], min_gain=0) as knowing:
        knowing.run(None, {"x": x(3, 4)})
        with pytest.raises(ovpart.OvpartError, match="Twice"):
            ovpart.Session(proto(), table=TABLE, min_gain=0).run(None, {"x": x(3, 4)})


def test_an_operator_computed_by_a_library_is_delegated(library, tmp_path):
    value = x(3, 4)
    path = tmp_path / "model.onnx"
    onnx.save(proto(), path)
    with ovpart.Session(path, table=TABLE, extensions=library, min_gain=0) as session:
        assert [cluster.label.engine for cluster in session.plan.clusters] == ["openvino"]
        np.testing.assert_allclose(session.run(None, {"x": value})[0], wanted(value), 1e-5)


def test_what_a_library_brings_can_be_tried_in_another_process(library):
    value = x(3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ovpart.OvpartWarning)
        with ovpart.Session(proto(), table=TABLE, extensions=library, min_gain=0, isolate=True) as session:
            for _ in range(2):
                np.testing.assert_allclose(session.run(None, {"x": value})[0], wanted(value), 1e-5)


def test_what_an_object_brings_cannot_be_tried_elsewhere_and_that_is_said():
    value = x(3, 4)
    with pytest.warns(ovpart.OvpartWarning, match="cannot be had in another"):
        session = ovpart.Session(proto(), table=TABLE, extensions=[twice()], min_gain=0, isolate=True)
    np.testing.assert_allclose(session.run(None, {"x": value})[0], wanted(value), 1e-5)
    session.close()


def test_extensions_are_part_of_what_an_engine_is(library, tmp_path):
    def identity(*extensions):
        engines = make_engines(resolve({"extensions": extensions} if extensions else {}))
        from ovpart.partition.plan import Label

        return engines.version_of(Label("openvino", "CPU"))

    other = tmp_path / "libtwice.so"
    other.write_bytes(Path(library).read_bytes() + b"\0")
    assert len({identity(), identity(library), identity(other), identity(twice())}) == 4
    assert identity(library) == identity(library)


def test_evidence_is_kept_for_libraries_and_not_for_objects(library, tmp_path):
    for extension, keeps in ((library, True), (twice(), False)):
        options = {"table": TABLE, "extensions": [extension], "min_gain": 0, "evidence": tmp_path / "evidence.json"}
        with ovpart.Session(proto(), **options) as session:
            assert (session.report.evidence is not None) is keeps


def test_libraries_can_be_pickled_and_objects_not(library):
    from ovpart.backend.openvino_extensions import ExtendedOpenVINO

    again = pickle.loads(pickle.dumps(ExtendedOpenVINO([library])))
    assert again.extensions == (library,)
    with pytest.raises(pickle.PicklingError, match="objects of this process"):
        pickle.dumps(ExtendedOpenVINO([twice()]))


def test_what_is_no_extension_is_refused_with_what_would_be(tmp_path):
    text = tmp_path / "text.so"
    text.write_text("no library")
    for given, told in (
        (5, r"extensions\[0\] is 5: pass the path"),
        ([twice(), "/nowhere/lib.so"], r"extensions\[1\]: there is no file"),
        (text, r"extensions\[0\]: openvino .* does not take .*text.so"),
        ([twice], r"pass the path of a shared library"),
    ):
        with pytest.raises(OptionError, match=told):
            ovpart.Session(proto(), table=TABLE, extensions=given)


def test_without_the_table_the_operator_is_refused_with_what_can_be_done():
    with pytest.raises(ovpart.ModelError, match="Twice"):
        ovpart.Session(proto(), extensions=[twice()])
