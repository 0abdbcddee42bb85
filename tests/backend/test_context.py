"""The container of compiled blobs: what is packed comes out, and what is broken is refused, whatever is broken."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovpart.backend import bson
from ovpart.backend.context import Context, file_of, pack, unpack
from ovpart.errors import CompileError

BLOBS = {"first": b"one" * 30_000, "second": b"two"}


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), st.binary(min_size=1), min_size=1
    )
)
@settings(max_examples=30, deadline=None)
def test_blobs_come_out_as_they_went_in(blobs):
    assert {name: bytes(blob) for name, blob in unpack(pack(blobs)).items()} == blobs


def test_blobs_lie_at_multiples_of_64_kilobytes():
    packed = pack(BLOBS)
    assert packed[65536:65539] == b"one"
    assert packed[131072 + 65536 : 131072 + 65539] == b"two" or packed[3 * 65536 : 3 * 65536 + 3] == b"two"
    assert len(packed) % 65536 == 0


def test_the_index_is_bson():
    document = {"a": 1, "b": 2**40, "c": "text", "d": {"e": -5}}
    assert bson.decode(bson.encode(document)) == document
    assert bson.encode({"a": 1}) == b"\x0c\x00\x00\x00\x10a\x00\x01\x00\x00\x00\x00"


def test_what_is_no_container_is_a_bare_blob():
    assert unpack(b"<?xml version") is None
    assert unpack(b"") is None


@given(st.integers(0, 399), st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_a_changed_byte_is_refused_or_changes_nothing_beyond_the_container(position, change):
    packed = bytearray(pack(BLOBS))
    packed[position] ^= change
    try:
        found = unpack(packed)
    except CompileError:
        return
    for blob in (found or {}).values():
        assert len(blob) <= len(packed)


@pytest.mark.parametrize("keep", [40, 60, 65536, 70000])
def test_a_container_that_is_cut_off_is_refused(keep):
    with pytest.raises(CompileError, match=r"broken"):
        unpack(pack(BLOBS)[:keep])


@pytest.mark.parametrize(
    "index",
    [b"\x05\x00\x00\x00\x00", bson.encode({"blob_metadata_map": "none"}), bson.encode({"blob_metadata_map": {"a": 3}}),
     bson.encode({"blob_metadata_map": {"a": {"data_offset": 0, "size": 5}}}),
     bson.encode({"blob_metadata_map": {"a": {"data_offset": 2**40, "size": 5}}}),
     bson.encode({"blob_metadata_map": {"a": {"data_offset": 70000, "size": -5}}}),
     bson.encode({"blob_metadata_map": {"a": {"data_offset": 70000, "size": "x"}}})],
)  # fmt: skip
def test_offsets_and_sizes_must_lie_inside(index):
    header = b"OVEP_BIN" + b"".join(n.to_bytes(8, "little") for n in (1, 40, 40, len(index)))
    with pytest.raises(CompileError, match="container"):
        unpack((header + index).ljust(2 * 65536, b"\0"))


def test_nesting_of_the_index_is_bounded():
    deep = {"a": 1}
    for _ in range(9):
        deep = {"a": deep}
    with pytest.raises(CompileError, match="index"):
        bson.decode(bson.encode(deep))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x.bin", "/etc/passwd", "a/b.bin", "a\\b.bin", "c:x", "a\0b", "missing"]
)
def test_a_file_of_blobs_must_lie_beside_the_model(name, tmp_path):
    context = Context("p", embedded=False, main=True, data=name.encode(), sdk="2026.4")
    with pytest.raises(CompileError, match="beside the model"):
        file_of(context, tmp_path)


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path):
    outside = tmp_path / "outside.bin"
    outside.write_bytes(b"blob")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link.bin").symlink_to(outside)
    context = Context("p", embedded=False, main=True, data=b"link.bin", sdk="2026.4")
    with pytest.raises(CompileError, match="not beside the model"):
        file_of(context, folder)
    with pytest.raises(CompileError, match="without a folder"):
        file_of(context, None)
