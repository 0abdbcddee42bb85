"""Large constants of a cut, given to onnxruntime without a copy where they lie in a file.

onnxruntime maps files of external data itself, whatever the offset, so that mapped weights are external data in their
own file: the .onnx itself, or the file beside it. What lies in memory only (a model from bytes, a constant that was
computed) is handed over as an external initializer, which onnxruntime copies once (1.31). `add_initializer` would not
copy, but gives the optimiser's changes to a constant (transposed for another layout) back for the original: wrong.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ovpart.backend.base import Array, Cut

if TYPE_CHECKING:
    import onnx
    import onnxruntime

_FOLDER_SINCE = (1, 21)  # the version of onnxruntime that reads external data of a model given as bytes from a folder
_FOLDER = "session.model_external_initializers_file_folder_path"


def with_weights(skeleton: onnx.ModelProto, cut: Cut, options: onnxruntime.SessionOptions) -> tuple[bytes, object]:
    """Turn the inputs that are weights into external initializers.

    Parameters
    ----------
    skeleton : onnx.ModelProto
        A form of ``cut.proto``.
    cut : Cut
        With the weights.
    options : onnxruntime.SessionOptions
        Of the session to be: told where the weights are.

    Returns
    -------
    (bytes, object)
        The serialized model, and what must live as long as the session.
    """
    import onnx
    import onnxruntime

    if not cut.weights:
        return skeleton.SerializeToString(), None
    files = {}
    if tuple(int(part) for part in onnxruntime.__version__.split(".")[:2]) >= _FOLDER_SINCE:
        files = {name: place for name, array in cut.weights.items() if (place := file_of(array)) is not None}
    folder = os.path.commonpath([os.path.dirname(path) for path, _ in files.values()]) if files else ""
    proto = onnx.ModelProto()
    proto.CopyFrom(skeleton)
    infos = list(proto.graph.input)
    del proto.graph.input[:]
    values: dict[str, Any] = {}
    for info in infos:
        array = cut.weights.get(info.name)
        if array is None:
            proto.graph.input.append(info)
        elif info.name in files:
            path, offset = files[info.name]
            where = {"location": os.path.relpath(path, folder), "offset": str(offset), "length": str(array.nbytes)}
            _add_external(proto.graph, info, where)
        else:
            # The location is never opened: onnxruntime asks for one, and takes the value given to the options.
            _add_external(proto.graph, info, {"location": "in memory"})
            number = info.type.tensor_type.elem_type
            values[info.name] = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, number)
    if files:
        options.add_session_config_entry(_FOLDER, folder)
    if values:
        options.add_external_initializers(list(values), list(values.values()))
    return proto.SerializeToString(), (values, options, cut.weights)


def file_of(array: Array) -> tuple[str, int] | None:
    """Return the file that an array is a view of, and the offset of its first byte; ``None`` where there is none.

    It is one if it is C-contiguous and the array at its root is a ``numpy.memmap`` that knows its file's name.
    """
    import numpy as np

    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    name = getattr(root, "filename", None)
    if not isinstance(root, np.memmap) or name is None or not array.flags.c_contiguous or not array.nbytes:
        return None
    path = os.path.realpath(name)
    if not os.path.isfile(path):  # moved since it was mapped; the map is still good
        return None
    return path, int(array.ctypes.data) - int(root.ctypes.data) + int(root.offset)


def _add_external(graph: onnx.GraphProto, info: onnx.ValueInfoProto, place: dict[str, str]) -> None:
    import onnx

    kind = info.type.tensor_type
    tensor = graph.initializer.add(name=info.name, data_type=kind.elem_type)
    tensor.dims.extend(dim.dim_value for dim in kind.shape.dim)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in place.items():
        tensor.external_data.add(key=key, value=value)
