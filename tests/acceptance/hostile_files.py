"""Models whose weights lie in other files, or say so: what may be read and what may not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from tests.acceptance.cases import Cases, X, constant, model, node, value, write

REFUSED = Cases()
ALLOWED = Cases()
refused, allowed = REFUSED, ALLOWED


def external(location: str | None, offset: object = None, length: object = 24, *, name: str = "w") -> TensorProto:
    """Return a tensor f32[2,3] whose data lies elsewhere."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[2, 3], data_location=TensorProto.EXTERNAL)
    for key, entry in (("location", location), ("offset", offset), ("length", length)):
        if entry is not None:
            tensor.external_data.add(key=key, value=str(entry))
    return tensor


def with_weight(folder: Path, tensor: TensorProto, size: int | None = 24) -> Path:
    """Write x + w and, where `size` is given, a file of so many bytes for w."""
    folder.mkdir(exist_ok=True)
    if size is not None:
        (folder / "w.bin").write_bytes(np.arange(size // 4, dtype=np.float32).tobytes())
    return write(folder, model([node("Add", "x w", "y")], ["x"], ["y"], [tensor]))


def secret(folder: Path, name: str = "secret.bin") -> Path:
    (folder / name).write_bytes(b"\0" * 24)
    return folder / name


# ---------------------------------------------------------------- places outside of the model's folder


@refused("absolute")
def absolute_path(folder):
    return with_weight(folder, external(str(folder / "w.bin")))


@refused("absolute")
def absolute_path_of_another_system(folder):
    return with_weight(folder, external("C:\\weights\\w.bin"))


@refused("secret.bin")
def parent_folder(folder):
    secret(folder)
    return with_weight(folder / "inner", external("../secret.bin"), None)


@refused("secret.bin")
def parent_folder_by_a_detour(folder):
    secret(folder)
    (folder / "inner" / "a").mkdir(parents=True)
    return with_weight(folder / "inner", external("a/../../secret.bin"), None)


@refused("secret.bin")
def folder_whose_name_begins_alike(folder):
    (folder / "inner-other").mkdir()
    secret(folder / "inner-other")
    return with_weight(folder / "inner", external("../inner-other/secret.bin"), None)


@refused("w.bin")
def link_that_leads_out(folder):
    (folder / "inner").mkdir()
    secret(folder)
    (folder / "inner" / "w.bin").symlink_to("../secret.bin")
    return with_weight(folder / "inner", external("w.bin"), None)


@refused("w.bin")
def chain_of_links_that_leads_out(folder):
    (folder / "inner").mkdir()
    secret(folder)
    (folder / "inner" / "three").symlink_to("../secret.bin")
    (folder / "inner" / "two").symlink_to("three")
    (folder / "inner" / "w.bin").symlink_to("two")
    return with_weight(folder / "inner", external("w.bin"), None)


@refused("sub/w.bin")
def folder_that_is_a_link_out(folder):
    (folder / "inner").mkdir()
    (folder / "outside").mkdir()
    secret(folder / "outside", "w.bin")
    (folder / "inner" / "sub").symlink_to("../outside")
    return with_weight(folder / "inner", external("sub/w.bin"), None)


@refused("w.bin")
def link_to_itself(folder):
    (folder / "w.bin").symlink_to("w.bin")
    return with_weight(folder, external("w.bin"), None)


@refused("w.bin")
def data_of_a_body(folder):
    """Bodies may not read what the main scope may not."""
    secret(folder, "w.bin")
    body = helper.make_graph([node("Add", "x w", "t")], "body", [], [value("t")], [external("../w.bin")])
    other = helper.make_graph([node("Relu", "x", "e")], "other", [], [value("e")])
    choice = helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=other)
    (folder / "inner").mkdir()
    return write(folder / "inner", model([choice], ["x", value("c", (), TensorProto.BOOL)], ["y"]))


@refused("w.bin")
def data_of_an_attribute(folder):
    secret(folder, "w.bin")
    given = node("Constant", "", "w", value=external("../w.bin"))
    (folder / "inner").mkdir()
    return write(folder / "inner", model([given, node("Add", "x w", "y")], ["x"], ["y"]))


@refused("w.bin")
def data_of_a_function(folder):
    secret(folder, "w.bin")
    (folder / "inner").mkdir()
    nodes = [node("Constant", "", "w", value=external("../w.bin")), node("Add", "a w", "b")]
    function = helper.make_function("local", "Plus", ["a"], ["b"], nodes, [helper.make_opsetid("", 21)])
    call = node("Plus", "x", "y", domain="local")
    return write(folder / "inner", model([call], ["x"], ["y"], domains={"local": 1}, functions=[function]))


@refused("location", x=np.zeros((2, 3), np.float32))
def bytes_without_a_folder(folder):
    return with_weight(folder, external("w.bin")).read_bytes()


# ---------------------------------------------------------------- what is no file, or too small


@refused("w.bin")
def missing(folder):
    return with_weight(folder, external("w.bin"), None)


@refused("w.bin", alone=True)
def pipe(folder):
    os.mkfifo(folder / "w.bin")
    return with_weight(folder, external("w.bin"), None)


@refused("w.bin", alone=True)
def device(folder):
    (folder / "w.bin").symlink_to("/dev/zero")
    return with_weight(folder, external("w.bin"), None)


@refused("w.bin")
def folder_in_place_of_a_file(folder):
    (folder / "w.bin").mkdir()
    return with_weight(folder, external("w.bin"), None)


@refused("w.bin")
def too_short(folder):
    return with_weight(folder, external("w.bin"), 8)


@refused("w.bin")
def of_no_size(folder):
    return with_weight(folder, external("w.bin"), 0)


@refused("w.bin")
def offset_past_the_end(folder):
    return with_weight(folder, external("w.bin", 4096))


@refused("w.bin")
def offset_that_overflows(folder):
    return with_weight(folder, external("w.bin", 2**63))


@refused("w.bin")
def offset_that_wraps_to_the_start(folder):
    return with_weight(folder, external("w.bin", 2**64))


@refused("w.bin")
def offset_and_length_that_wrap(folder):
    return with_weight(folder, external("w.bin", 2**64 - 24))


@refused("w.bin")
def offset_of_a_thousand_digits(folder):
    return with_weight(folder, external("w.bin", "9" * 1000))


@refused("negative")
def offset_negative(folder):
    return with_weight(folder, external("w.bin", -8))


@refused("negative")
def length_negative(folder):
    return with_weight(folder, external("w.bin", length=-24))


@refused("length")
def length_that_lies(folder):
    return with_weight(folder, external("w.bin", length=8))


@refused("abc")
def offset_that_is_no_number(folder):
    return with_weight(folder, external("w.bin", "abc"))


@refused("no number")
def offset_in_other_digits(folder):
    return with_weight(folder, external("w.bin", "٠"))


@refused("no file")
def empty_location(folder):
    return with_weight(folder, external(""))


@refused("no file")
def no_location(folder):
    return with_weight(folder, external(None))


@refused("no file")
def location_cut_by_a_nul(folder):
    return with_weight(folder, external("w.bin\0.png"))


@refused("location")
def two_locations(folder):
    """Two readers may follow different ones, so that what was checked is not what is read."""
    tensor = external("w.bin")
    tensor.external_data.add(key="location", value="other.bin")
    (folder / "other.bin").write_bytes(b"\0" * 24)
    return with_weight(folder, tensor)


@refused("_ORT_MEM_ADDR_", alone=True)
def address_in_memory(folder):
    return with_weight(folder, external("*/_ORT_MEM_ADDR_/*", 4096))


@refused("_ORT_MEM_ADDR_", alone=True)
def address_in_memory_of_a_body(folder):
    body = helper.make_graph(
        [node("Add", "x w", "t")], "body", [], [value("t")], [external("*/_ORT_MEM_ADDR_/*", 4096)]
    )
    other = helper.make_graph([node("Relu", "x", "e")], "other", [], [value("e")])
    choice = helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=other)
    return write(folder, model([choice], ["x", value("c", (), TensorProto.BOOL)], ["y"]))


# ---------------------------------------------------------------- what may be read


@allowed()
def beside_the_model(folder):
    return with_weight(folder, external("w.bin"))


@allowed()
def below_the_model(folder):
    (folder / "data").mkdir()
    (folder / "data" / "w.bin").write_bytes(np.arange(8, dtype=np.float32).tobytes())
    return with_weight(folder, external("data/w.bin", 8), None)


@allowed()
def at_an_odd_offset(folder):
    (folder / "w.bin").write_bytes(b"\0\0\0" + np.arange(6, dtype=np.float32).tobytes())
    return with_weight(folder, external("w.bin", 3), None)


@allowed()
def no_length_and_no_offset(folder):
    return with_weight(folder, external("w.bin", length=None), 400)


@allowed()
def detour_that_stays_inside(folder):
    (folder / "a").mkdir()
    return with_weight(folder, external("a/../w.bin"))


@allowed()
def chain_of_links_that_stays_inside(folder):
    (folder / "data").mkdir()
    (folder / "data" / "real.bin").write_bytes(np.arange(6, dtype=np.float32).tobytes())
    (folder / "two").symlink_to("data/real.bin")
    (folder / "w.bin").symlink_to("two")
    return with_weight(folder, external("w.bin"), None)


@allowed()
def hard_link(folder):
    """Nothing tells it from the file itself; package managers install files so."""
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "w.bin").write_bytes(np.arange(6, dtype=np.float32).tobytes())
    (folder / "inner").mkdir()
    os.link(folder / "elsewhere" / "w.bin", folder / "inner" / "w.bin")
    return with_weight(folder / "inner", external("w.bin"), None)


@allowed()
def folder_of_the_model_is_a_link(folder):
    with_weight(folder / "real", external("w.bin"))
    (folder / "link").symlink_to("real")
    return folder / "link" / "model.onnx"


@allowed()
def two_tensors_over_the_same_bytes(folder):
    (folder / "w.bin").write_bytes(np.arange(8, dtype=np.float32).tobytes())
    nodes = [node("Add", "x w", "a"), node("Mul", "a v", "y")]
    return write(folder, model(nodes, ["x"], ["y"], [external("w.bin"), external("w.bin", 8, name="v")]))


@allowed()
def checksum_and_keys_unheard_of(folder):
    tensor = external("w.bin")
    tensor.external_data.add(key="checksum", value="0" * 40)
    tensor.external_data.add(key="basepath", value="/")
    return with_weight(folder, tensor)


@allowed()
def empty_tensor(folder):
    """Of no bytes: the file is not needed for its content, and must be there all the same."""
    tensor = external("w.bin", length=0)
    tensor.dims[0] = 0
    nodes = [node("Concat", "x w", "y", axis=0)]
    (folder / "w.bin").write_bytes(b"")
    return write(folder, model(nodes, ["x"], ["y"], [tensor, constant("unused", [1.0])]))


def wanted(name: str) -> np.ndarray:
    """Return the answer of an allowed case: x plus what the bytes say, but for two of them."""
    w = np.arange(6, dtype=np.float32).reshape(2, 3)
    if name == "below_the_model":
        w = w + 2
    if name == "empty_tensor":
        return X
    return (X + w) * (w + 2) if name == "two_tensors_over_the_same_bytes" else X + w
