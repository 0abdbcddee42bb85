"""Models that are broken: each is refused when it is read, by name, and nothing crashes or waits."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest
from onnx import TensorProto, helper

from ovpart.errors import ModelError
from ovpart.model.read import read_model
from tests.model.protos import constant, external, graph, model, node, relu, saved, value

ZEROS = np.zeros((2, 3), np.float32)


def altered(tensor, **fields):
    for name, held in fields.items():
        if name == "dims":
            del tensor.dims[:]
            tensor.dims.extend(held)
        else:
            setattr(tensor, name, held)
    return tensor


def add(tensor):
    return model([node("Add", "x w", "y")], initializers=[tensor])


def without_opset():
    proto = model([relu()])
    del proto.opset_import[:]
    return proto


def two_versions():
    proto = model([relu()])
    proto.opset_import.add(domain="ai.onnx", version=20)
    return proto


def if_body_that_reads(name):
    then = graph([node("Add", f"x {name}", "t")], (), ("t",))
    other = graph([relu("x", "e")], (), ("e",))
    return model([node("If", "c", "y", then_branch=then, else_branch=other)], ("x", value("c", (), TensorProto.BOOL)))


def recursive_function():
    function = helper.make_function(
        "loc", "Loopy", ["a"], ["b"], [node("Loopy", "a", "b", domain="loc")], [helper.make_opsetid("loc", 1)]
    )
    return model([node("Loopy", "x", "y", domain="loc")], imports=[("loc", 1)], functions=[function])


def undefined_in_nested_body():
    inner = if_body_that_reads("ghost").graph.node[0]
    then = graph([inner], (), ("y",))
    other = graph([relu("x", "e")], (), ("e",))
    return model(
        [node("If", "c", "z", then_branch=then, else_branch=other)], ("x", value("c", (), TensorProto.BOOL)), ("z",)
    )


BROKEN = {
    "cycle": (lambda: model([node("Add", "x b", "a", name="one"), relu("a", "b", "two")], outputs=("a",)), "'one'"),
    "self loop": (lambda: model([node("Add", "x y", "y", name="one")]), "'one'"),
    "cycle through a body": (
        lambda: model(
            [
                node(
                    "If",
                    "c",
                    "y",
                    name="outer",
                    then_branch=graph([relu("y", "t")], (), ("t",)),
                    else_branch=graph([relu("x", "e")], (), ("e",)),
                )
            ],
            ("x", value("c", (), TensorProto.BOOL)),
        ),
        "'outer'",
    ),
    "two producers": (lambda: model([relu("x", "y", "one"), node("Neg", "x", "y", name="two")]), "'two'"),
    "producer of an input": (lambda: model([relu("x", "x"), relu("x", "y")]), "'x'"),
    "undefined value": (lambda: model([node("Add", "x ghost", "y")]), "ghost"),
    "undefined in a body": (lambda: if_body_that_reads("ghost"), "ghost"),
    "undefined in a nested body": (undefined_in_nested_body, "ghost"),
    "output never made": (lambda: model([relu("x", "z")]), "'y'"),
    "input twice": (lambda: model([relu()], ("x", "x")), "'x'"),
    "initializer twice": (
        lambda: model([node("Add", "x w", "y")], initializers=[constant("w", ZEROS), constant("w", ZEROS)]),
        "'w'",
    ),
    "input without a type": (lambda: model([relu()], [helper.make_empty_tensor_value_info("x")]), "'x'"),
    "element type of no name": (lambda: model([relu()], [value("x", (2, 3), 99)]), "99"),
    "no opset": (without_opset, "opset"),
    "two versions of one domain": (two_versions, "20"),
    "opset of the future": (lambda: model([relu()], opset=9999), "9999"),
    "opset 0": (lambda: model([relu()], opset=0), "opset 0"),
    "domain not imported": (lambda: model([node("Foo", "x", "y", domain="nowhere.test")]), "nowhere.test"),
    "function that calls itself": (recursive_function, "Loopy"),
    "too few inputs": (lambda: model([node("Add", "x", "y", name="few")]), "'few'"),
    "too many outputs": (lambda: model([node("Relu", "x", "y z", name="many")]), "'many'"),
    "required input left out": (
        lambda: model([helper.make_node("Add", ["x", ""], ["y"], name="out")]),
        "'B'",
    ),
    "attribute unknown": (lambda: model([node("Relu", "x", "y", slope=0.5)]), "slope"),
    "attribute of another type": (lambda: model([node("Flatten", "x", "y", axis=0.5)]), "axis"),
    "attribute missing": (lambda: model([node("Cast", "x", "y")]), "'to'"),
    "types mixed": (
        lambda: model([node("Add", "x i", "y", name="mix")], ("x", value("i", (2, 3), TensorProto.INT64))),
        "'mix'",
    ),
    "types mixed in a body": (
        lambda: model(
            [
                node(
                    "If",
                    "c",
                    "y",
                    then_branch=graph([node("Add", "x i", "t", name="mix")], (), ("t",)),
                    else_branch=graph([relu("x", "e")], (), ("e",)),
                )
            ],
            ("x", value("i", (2, 3), TensorProto.INT64), value("c", (), TensorProto.BOOL)),
        ),
        "'mix'",
    ),
    "shapes that do not go together": (
        lambda: model(
            [node("MatMul", "x w", "y", name="mm")], initializers=[constant("w", np.zeros((5, 4), np.float32))]
        ),
        "'mm'",
    ),
    "group that divides nothing": (
        lambda: model(
            [node("Conv", "x w", "y", name="conv", group=7)],
            [value("x", (1, 3, 8, 8))],
            initializers=[constant("w", np.zeros((4, 3, 3, 3), np.float32))],
        ),
        "'conv'",
    ),
    "raw data too short": (lambda: add(altered(constant("w", ZEROS), raw_data=b"\0" * 20)), "'w'"),
    "raw data too long": (lambda: add(altered(constant("w", ZEROS), raw_data=b"\0" * 28)), "'w'"),
    "large raw data too short": (
        lambda: add(altered(constant("w", np.zeros((60, 60), np.float32)), dims=[60, 61])),
        "'w'",
    ),
    "negative dims": (lambda: add(altered(constant("w", ZEROS), dims=[-2, 3])), "'w'"),
    "huge dims": (lambda: add(altered(constant("w", ZEROS), dims=[2**40, 2**40])), "'w'"),
    "no data": (lambda: add(TensorProto(name="w", data_type=1, dims=[2, 3])), "'w'"),
    "tensor of no type": (lambda: add(altered(constant("w", ZEROS), data_type=0)), "'w'"),
    "bad tensor in an attribute": (
        lambda: model([node("Constant", "", "y", value=altered(constant("w", ZEROS), dims=[3, 3]))], ()),
        "value",
    ),
    "a stub from outside": (lambda: add(external("w", [2, 3], "*/ovpart/*")), "'w'"),
}


def test_a_tensor_cannot_claim_the_data_of_another():
    proto = model(
        [node("Add", "x w", "a"), node("Add", "a v", "y")],
        [value("x", (600,))],
        [value("y", (600,))],
        [constant("w", np.zeros(600, np.float32)), external("v", [600], "*/ovpart/*", 0)],
    )
    with pytest.raises(ModelError, match="reserved"):
        read_model(proto)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_model_is_refused_by_the_name_of_the_culprit(name):
    make, culprit = BROKEN[name]
    with pytest.raises(ModelError) as refused:
        read_model(make())
    assert culprit in str(refused.value)
    assert len(str(refused.value)) > 15


NOT_MODELS = {
    "empty": b"",
    "text": b"this is not a model\n" * 50,
    "random": np.random.default_rng(0).bytes(4096),
    "length beyond the end": b"\x3a\xff\xff\xff\xff\x7f" + b"x" * 64,
    "nested without end": b"\x3a\x7e" + b"\x0a\x7c" * 60 + b"\0" * 8,
    "header alone": model([relu()]).SerializeToString()[:2],
    "cut in half": add(constant("w", np.zeros((500, 50), np.float32))).SerializeToString()[:50_000],
    "cut by one": model([relu()]).SerializeToString()[:-1],
}


@pytest.mark.parametrize("name", NOT_MODELS)
def test_what_is_no_model_is_refused_as_file_and_as_bytes(name, tmp_path):
    for source in (NOT_MODELS[name], saved(tmp_path, NOT_MODELS[name])):
        with pytest.raises(ModelError):
            read_model(source)


def test_a_pointer_of_git_lfs_is_told_from_a_broken_model(tmp_path):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 98765432\n"
    with pytest.raises(ModelError, match="git lfs pull"):
        read_model(saved(tmp_path, pointer))


def test_places_that_are_no_file_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"nothing\.onnx"):
        read_model(tmp_path / "nothing.onnx")
    with pytest.raises(ModelError, match="folder"):
        read_model(tmp_path)
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ModelError, match="regular file"):
        read_model(tmp_path / "pipe.onnx")


def with_weight(folder, **place):
    return saved(folder, add(external("w", [2, 3], **place)))


@pytest.fixture
def folder(tmp_path):
    """Make a model's folder with 24 bytes of weights in it and secrets beside it."""
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "w.bin").write_bytes(bytes(24))
    (tmp_path / "secret.bin").write_bytes(bytes(24))
    return inner


EXTERNAL = {
    "parent": ({"location": "../secret.bin"}, "secret.bin"),
    "hidden parent": ({"location": "a/../../secret.bin"}, "secret.bin"),
    "absolute": ({"location": "/etc/hostname"}, "/etc/hostname"),
    "drive letter": ({"location": "C:\\w.bin"}, "w.bin"),
    "missing": ({"location": "missing.bin"}, "missing.bin"),
    "folder": ({"location": "."}, "regular file"),
    "empty": ({"location": ""}, "'w'"),
    "none": ({"location": None}, "'w'"),
    "null byte": ({"location": "w\0.bin"}, "'w'"),
    "offset past the end": ({"location": "w.bin", "offset": 4096}, "w.bin"),
    "offset leaves too little": ({"location": "w.bin", "offset": 4}, "w.bin"),
    "negative offset": ({"location": "w.bin", "offset": -8}, "negative"),
    "offset that is no number": ({"location": "w.bin", "offset": "abc"}, "abc"),
    "length that lies": ({"location": "w.bin", "length": 8}, "w.bin"),
    "memory address": ({"location": "*/_ORT_MEM_ADDR_/*", "offset": 4096}, "_ORT_MEM_ADDR_"),
}


@pytest.mark.parametrize("name", EXTERNAL)
def test_external_data_is_read_from_the_models_folder_alone(name, folder):
    place, culprit = EXTERNAL[name]
    with pytest.raises(ModelError) as refused:
        read_model(with_weight(folder, **place))
    assert culprit in str(refused.value)


def test_two_locations_for_one_tensor_are_refused(folder):
    tensor = external("w", [2, 3], "w.bin")
    tensor.external_data.add(key="location", value="other.bin")
    with pytest.raises(ModelError, match="twice"):
        read_model(saved(folder, add(tensor)))


def test_bodies_nested_without_end_are_refused():
    data = b""
    for _ in range(400):  # graph → node → attribute → graph
        for number in (6 << 3 | 2, 5 << 3 | 2, 1 << 3 | 2):
            length = len(data)
            size = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
            data = bytes([number]) + size + data
    length = len(data)
    with pytest.raises(ModelError, match="nested"):
        read_model(b"\x3a" + bytes([length & 127 | 128, length >> 7]) + data)


def test_links_out_of_the_folder_and_what_is_no_file_are_not_opened(folder):
    (folder / "link.bin").symlink_to("../secret.bin")
    os.mkfifo(folder / "pipe.bin")
    (folder / "zero.bin").symlink_to("/dev/zero")
    for location in ("link.bin", "pipe.bin", "zero.bin"):
        with pytest.raises(ModelError, match=location):
            read_model(with_weight(folder, location=location))


def test_external_data_of_a_body_is_looked_at_too(folder):
    then = graph([node("Add", "x w", "t")], (), ("t",), [external("w", [2, 3], "../secret.bin")])
    other = graph([relu("x", "e")], (), ("e",))
    proto = model([node("If", "c", "y", then_branch=then, else_branch=other)], ("x", value("c", (), TensorProto.BOOL)))
    with pytest.raises(ModelError, match="leads out"):
        read_model(saved(folder, proto))


def test_external_data_of_a_model_without_a_place_is_refused():
    proto = add(external("w", [2, 3], "w.bin"))
    for source in (proto, proto.SerializeToString()):
        with pytest.raises(ModelError, match="no folder"):
            read_model(source)


def test_damaged_bytes_give_a_model_or_a_refusal():
    seeds = [make().SerializeToString() for make, _ in BROKEN.values()]
    chance = random.Random(7)
    refused = 0
    for _ in range(1500):
        damaged = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 3))):
            at = chance.randrange(len(damaged))
            if chance.random() < 0.5:
                damaged[at] = chance.randrange(256)
            else:
                del damaged[at : at + chance.randrange(1, 6)]
            if not damaged:
                break
        try:
            read_model(bytes(damaged))
        except ModelError:
            refused += 1
    assert 0 < refused < 1500  # some damage is harmless, and nothing but a refusal was raised


def test_names_that_are_no_text_are_refused():
    data = model([relu("x", "abcde"), relu("abcde", "y")]).SerializeToString()
    with pytest.raises(ModelError, match="UTF-8"):
        read_model(data.replace(b"abcde", b"ab\xffde"))
