"""Taking tensors in: each is checked once, external data is found, what is large is kept apart from the skeleton."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ovpart.errors import ModelError
from ovpart.model.decode import raw_bytes
from ovpart.model.external import Files
from ovpart.model.types import dtype_name, packed_nbytes
from ovpart.model.validate import check_tensor
from ovpart.model.weights import Stored, densified, writeable
from ovpart.model.wire import LARGE_BYTES, SHAPE_COUNT, mark_stub, stub_index

if TYPE_CHECKING:
    import onnx

_SHAPE_TYPES = frozenset({"i32", "i64"})
_TENSOR, _TENSORS, _SPARSE = 4, 9, 11  # AttributeProto.AttributeType


class Tensors:
    """Takes in the tensors of one model.

    Parameters
    ----------
    stored : sequence of Stored
        Where the data of the stubs lies that the skeleton came with.
    files : Files
        The external files.

    Attributes
    ----------
    stored : list of Stored
        The same, grown by what was kept apart since; by stub index.
    """

    def __init__(self, stored: Sequence[Stored], files: Files) -> None:
        self.stored = list(stored)
        self.files = files
        self._claimed: set[int] = set()

    def graph(self, graph: onnx.GraphProto, *, apart: bool) -> None:
        """Take in the initializers of a scope; those of bodies stay in them, whatever their size.

        Raises
        ------
        ModelError
            Naming the tensor, where its data does not fit or must not be read.
        """
        for tensor in graph.initializer:
            self._take(tensor, f"initializer {tensor.name!r}", apart)
        for sparse in graph.sparse_initializer:
            graph.initializer.append(self._dense(sparse, f"sparse initializer {sparse.values.name!r}"))
            self._take(graph.initializer[-1], f"sparse initializer {sparse.values.name!r}", apart)
        if len(graph.sparse_initializer):
            graph.ClearField("sparse_initializer")

    def node(self, node: onnx.NodeProto, where: str, *, apart: bool) -> None:
        """Take in the tensors in attributes of a node; only those of ``Constant`` nodes are ever kept apart."""
        for attribute in node.attribute:
            kind = attribute.type
            if kind == _TENSOR or (not kind and attribute.HasField("t")):
                inside = f"the tensor in attribute {attribute.name!r} of {where}"
                self._take(attribute.t, inside, apart and node.op_type == "Constant")
            elif kind == _TENSORS:
                for tensor in attribute.tensors:
                    self._take(tensor, f"a tensor in attribute {attribute.name!r} of {where}", False)
            elif kind == _SPARSE:
                self._check_sparse(attribute.sparse_tensor, f"the tensor in attribute {attribute.name!r} of {where}")

    def _take(self, tensor: onnx.TensorProto, where: str, apart: bool) -> None:
        index = stub_index(tensor)
        if index is not None:
            if not 0 <= index < len(self.stored) or index in self._claimed:
                raise ModelError(f"{where} has a location that is reserved for ovpart")
            self._claimed.add(index)
            found = self.stored[index]
            check_tensor(tensor, where, found.nbytes)
            self.stored[index] = replace(found, dtype=dtype_name(tensor.data_type) or "", shape=tuple(tensor.dims))
            return
        check_tensor(tensor, where)
        dtype = dtype_name(tensor.data_type) or ""
        if tensor.data_location == 1:
            self._take_external(tensor, dtype, where, apart)
        elif apart and dtype != "string" and tensor.ByteSize() > LARGE_BYTES:
            # Integers in typed fields are varints: what cannot be viewed in place is decoded, once.
            nbytes = packed_nbytes(dtype, math.prod(tensor.dims))
            if _is_large(tensor, dtype, nbytes):
                self._keep(tensor, Stored(dtype, tuple(tensor.dims), nbytes, writeable(raw_bytes(tensor)), 0))

    def _take_external(self, tensor: onnx.TensorProto, dtype: str, where: str, apart: bool) -> None:
        if dtype == "string":
            raise ModelError(f"{where} has strings as external data, which ONNX does not allow")
        nbytes = packed_nbytes(dtype, math.prod(tensor.dims))
        buffer, offset = self.files.locate(tensor, nbytes)
        if apart and _is_large(tensor, dtype, nbytes):
            self._keep(tensor, Stored(dtype, tuple(tensor.dims), nbytes, buffer, offset))
            return
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        tensor.raw_data = buffer[offset : offset + nbytes].tobytes()

    def _keep(self, tensor: onnx.TensorProto, stored: Stored) -> None:
        mark_stub(tensor, len(self.stored))
        self.stored.append(stored)

    def _check_sparse(self, sparse: onnx.SparseTensorProto, where: str) -> None:
        check_tensor(sparse.values, f"the values of {where}")
        check_tensor(sparse.indices, f"the indices of {where}")
        if any(d < 0 for d in sparse.dims) or math.prod(sparse.dims) > _MAX_DENSE:
            raise ModelError(f"{where} has dims {list(sparse.dims)}, which cannot be made dense")

    def _dense(self, sparse: onnx.SparseTensorProto, where: str) -> onnx.TensorProto:
        """Return a sparse tensor as a dense one: engines know no other."""
        import onnx

        self._check_sparse(sparse, where)
        dense = densified(sparse)
        tensor = onnx.TensorProto(name=sparse.values.name, data_type=sparse.values.data_type, dims=dense.shape)
        tensor.raw_data = dense.tobytes()
        return tensor


_MAX_DENSE = 1 << 31
"""Elements of a sparse tensor when made dense: more would be gigabytes of zeros."""


def _is_large(tensor: onnx.TensorProto, dtype: str, nbytes: int) -> bool:
    """Whether a tensor is kept apart: large, and no shape that inference may need."""
    small_shape = dtype in _SHAPE_TYPES and len(tensor.dims) <= 1 and math.prod(tensor.dims) <= SHAPE_COUNT
    return nbytes > LARGE_BYTES and not small_shape
