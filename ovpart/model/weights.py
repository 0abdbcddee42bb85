"""Where the bytes of every constant of the main scope lie: mapped, handed out as views, never copied."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ovpart.errors import ModelError
from ovpart.model.decode import array_of, values_of
from ovpart.model.types import dtype_name, dtype_of_array, packed_nbytes

if TYPE_CHECKING:
    import numpy as np
    import onnx

# Types whose elements share bytes: numpy has no view of them, reading unpacks.
SUB_BYTE = frozenset({"u4", "i4", "f4e2m1", "u2", "i2"})


@dataclass(frozen=True, slots=True)
class Stored:
    """A constant whose data lies in a buffer, element by element.

    Attributes
    ----------
    dtype : str
        Short dtype name.
    shape : tuple of int
        Dims.
    nbytes : int
        Bytes from `offset` on.
    buffer : numpy.ndarray
        uint8, one dimension: a map of a file, or the bytes that the model came in.
    offset : int
        Where the data begins.
    """

    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    buffer: np.ndarray
    offset: int

    def array(self) -> np.ndarray:
        """Return a view of the data; a new array for types smaller than a byte."""
        return values_of(self.buffer[self.offset : self.offset + self.nbytes], self.dtype, self.shape)


@dataclass(frozen=True, slots=True)
class Inline:
    """A constant that the skeleton holds."""

    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    proto: onnx.TensorProto | onnx.SparseTensorProto

    def array(self) -> np.ndarray:
        """Return a new array."""
        import onnx

        return densified(self.proto) if isinstance(self.proto, onnx.SparseTensorProto) else array_of(self.proto)


@dataclass(frozen=True, slots=True)
class Computed:
    """A constant that was computed after reading."""

    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    values: np.ndarray

    def array(self) -> np.ndarray:
        """Return the array itself."""
        return self.values


Entry = Stored | Inline | Computed


@dataclass(frozen=True, slots=True)
class Weights:
    """All constant tensors of the main scope by value name: initializers, and what ``Constant`` nodes give.

    Arrays are views of one copy-on-write map of the file (or of the bytes that the model came in): writeable, because
    engines refuse read-only memory, and read-only by agreement.

    Attributes
    ----------
    entries : mapping of str to Entry
        Where each constant lies.
    """

    entries: Mapping[str, Entry]

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def dtype(self, name: str) -> str:
        """Return the short dtype name of a constant."""
        return self.entries[name].dtype

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the dims of a constant."""
        return self.entries[name].shape

    def nbytes(self, name: str) -> int:
        """Return how many bytes the data takes (packed for types below a byte, characters alone for strings)."""
        return self.entries[name].nbytes

    def array(self, name: str) -> np.ndarray:
        """Return the values of a constant.

        Returns
        -------
        numpy.ndarray
            A view where the data lies element by element in a file or in bytes; object array of ``str`` for strings;
            ``ml_dtypes`` for what numpy has no type for.
        """
        return self.entries[name].array()

    def is_mapped(self, name: str) -> bool:
        """Whether the data lies outside of the skeleton, so that :meth:`array` is a view (sub-byte types apart)."""
        return isinstance(self.entries[name], Stored)

    def with_arrays(self, arrays: Mapping[str, np.ndarray]) -> Weights:
        """Return weights with values added or replaced, such as those of nodes that were computed once."""
        added = {name: computed(values) for name, values in arrays.items()}
        return replace(self, entries={**self.entries, **added})

    def digest(self) -> str:
        """Return a hash of all data outside of the skeleton. Reads all of it: about a second per gigabyte."""
        import hashlib

        digest = hashlib.blake2b(digest_size=16)
        for name in sorted(self.entries):
            entry = self.entries[name]
            if isinstance(entry, Stored):
                digest.update(f"{name}\0{entry.dtype}\0{entry.shape}\0".encode("utf-8", "surrogateescape"))
                digest.update(entry.buffer[entry.offset : entry.offset + entry.nbytes].data)
        return digest.hexdigest()


def computed(values: np.ndarray) -> Computed:
    """Return the entry of an array."""
    import numpy as np

    array = np.asarray(values)
    return Computed(dtype_of_array(array), tuple(array.shape), array.nbytes, array)


def inline(proto: onnx.TensorProto) -> Inline:
    """Return the entry of a tensor that holds its data."""
    dtype = dtype_name(proto.data_type) or "undefined"
    shape = tuple(proto.dims)
    count = math.prod(shape)
    nbytes = sum(map(len, proto.string_data)) if dtype == "string" else packed_nbytes(dtype, count)
    return Inline(dtype, shape, nbytes, proto)


def inline_sparse(proto: onnx.SparseTensorProto) -> Inline:
    """Return the entry of a sparse tensor; its values are made dense when they are asked for."""
    dtype = dtype_name(proto.values.data_type) or "undefined"
    shape = tuple(proto.dims)
    return Inline(dtype, shape, packed_nbytes(dtype, math.prod(shape)), proto)


def densified(proto: onnx.SparseTensorProto) -> np.ndarray:
    """Return a sparse tensor as a dense array (onnx.proto, ``SparseTensorProto``).

    Raises
    ------
    ModelError
        Where an index lies outside of the dims.
    """
    import numpy as np

    values, indices = array_of(proto.values), array_of(proto.indices)
    shape = tuple(proto.dims)
    dense = np.zeros(shape, dtype=values.dtype)
    try:
        # Either flat positions, or one row of coordinates per value.
        if indices.ndim == 1:
            dense.reshape(-1)[indices] = values
        else:
            dense[tuple(indices.T)] = values
    except (IndexError, ValueError) as error:
        raise ModelError(f"sparse tensor {proto.values.name!r} of dims {shape}: {error}") from error
    return dense


def writeable(data: bytes) -> np.ndarray:
    """Return bytes as a ``uint8`` array that claims to be writeable, without a copy.

    Engines take only writeable memory, although they never write to a constant. Python's bytes must not be written to
    either, so this holds as long as nobody breaks the agreement that constants are read-only.
    """
    import numpy as np

    return np.asarray(_Memory(data)) if data else np.empty(0, dtype=np.uint8)


class _Memory:
    """numpy's array interface (version 3) over the memory of a bytes object, which it keeps alive."""

    __slots__ = ("__array_interface__", "owner")

    def __init__(self, owner: bytes) -> None:
        import numpy as np

        self.owner = owner
        address = np.frombuffer(owner, dtype=np.uint8).ctypes.data
        self.__array_interface__: dict[str, Any] = {
            "shape": (len(owner),),
            "typestr": "|u1",
            "data": (address, False),
            "version": 3,
        }
