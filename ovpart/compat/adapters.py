"""LoRA adapters: parameters that a run gives to inputs with defaults."""

from __future__ import annotations

from typing import Any

import numpy as np

from ovpart.backend.base import Array
from ovpart.backend.onnxruntime import import_onnxruntime
from ovpart.compat.values import to_array

_Base: Any = import_onnxruntime().LoraAdapter


class LoraAdapter(_Base):  # type: ignore[misc]  # onnxruntime gives no types
    """onnxruntime's ``LoraAdapter``, which it is, whose parameters can be read.

    Attributes
    ----------
    parameters : dict of str to array
        Input of the model → its value.
    """

    def __init__(self) -> None:
        super().__init__()
        self.parameters: dict[str, Array] = {}

    def Load(self, path: str) -> None:  # noqa: N802  (onnxruntime's name)
        """Read an adapter file."""
        super().Load(path)
        adapter = import_onnxruntime().AdapterFormat.read_adapter(path)  # its values are its memory (onnxruntime 1.20)
        self.parameters = {name: np.array(to_array(value)) for name, value in adapter.get_parameters().items()}
