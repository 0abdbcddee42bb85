"""openvino with extensions of the user's: operators that its frontend learns to convert, or to compute."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ovpart.backend.base import Cut
from ovpart.backend.openvino import OpenVINOBackend
from ovpart.backend.openvino_devices import import_openvino
from ovpart.backend.openvino_types import THROWN, short_name
from ovpart.backend.words import shortened
from ovpart.errors import CompileError, OptionError
from ovpart.model.types import ValueType


class ExtendedOpenVINO(OpenVINOBackend):
    """openvino's Core with extensions: one of its own, so that other sessions do not see them.

    Parameters
    ----------
    extensions : sequence
        Paths of shared libraries, extensions of ``openvino.frontend`` (``ConversionExtension``, ``OpExtension``), or
        classes of operators (``openvino.Op``).

    Raises
    ------
    EngineMissing
        If openvino is not installed.
    OptionError
        If one of them is none of these, or openvino does not take it.
    """

    def __init__(self, extensions: Sequence[object]) -> None:
        openvino = import_openvino()
        core = openvino.Core()
        for position, extension in enumerate(extensions):
            _add(openvino, core, extension, f"extensions[{position}]")
        super().__init__(core)
        self.extensions = tuple(extensions)
        self._identity = ", ".join(map(_identity, extensions))

    @property
    def portable(self) -> bool:
        """Whether another process can have the same extensions: it can load libraries, and nothing else."""
        return all(isinstance(extension, str) for extension in self.extensions)

    def __reduce__(self) -> tuple[type[ExtendedOpenVINO], tuple[object, ...]]:
        """Pickle it by its libraries."""
        if not self.portable:
            raise pickle.PicklingError("extensions that are objects of this process cannot go to another one")
        return ExtendedOpenVINO, (self.extensions,)

    def fingerprint(self, device: str) -> str:
        """Return what openvino's says, and which extensions there are: libraries by their content."""
        return f"{super().fingerprint(device)} | extensions {self._identity}"

    def types_of(self, cut: Cut) -> list[ValueType]:
        """Return the types of a cut's outputs, as openvino infers them when it converts it.

        Raises
        ------
        CompileError
            If it cannot convert it.
        """
        converted = self._converted(cut)
        found = []
        for output in converted.outputs:
            shape = output.partial_shape
            dims = None
            if shape.rank.is_static:
                dims = tuple(dim.get_length() if dim.is_static else None for dim in shape)
            found.append(ValueType("tensor", short_name(output.element_type), dims))
        if len(found) != len(cut.outputs):
            raise CompileError(f"openvino gives {len(found)} outputs of {len(cut.outputs)}", stage="convert")
        return found


def _add(openvino: Any, core: Any, extension: object, where: str) -> None:
    """Give an extension to a Core, or say what is wrong with it."""
    is_operator = isinstance(extension, type) and issubclass(extension, openvino.Op)
    if not isinstance(extension, (str, openvino.Extension)) and not is_operator:
        raise OptionError(
            f"{where} is {extension!r}: pass the path of a shared library, a ConversionExtension or OpExtension of "
            "openvino.frontend.onnx, or a class derived from openvino.Op"
        )
    if isinstance(extension, str) and not Path(extension).is_file():
        raise OptionError(f"{where}: there is no file {extension!r}")
    try:
        core.add_extension(extension)
    except THROWN as error:
        name = repr(extension) if isinstance(extension, str) else type(extension).__name__
        raise OptionError(
            f"{where}: openvino {openvino.get_version()} does not take {name}: {shortened(error)} A library must be "
            "built for this version of openvino."
        ) from error


def _identity(extension: object) -> str:
    """Return what tells an extension from others: of an object of this process its class alone."""
    if not isinstance(extension, str):
        kind = extension if isinstance(extension, type) else type(extension)
        return f"{kind.__module__}.{kind.__qualname__}"
    content = hashlib.blake2b(Path(extension).read_bytes(), digest_size=8).hexdigest()
    return f"{Path(extension).name} {content}"
