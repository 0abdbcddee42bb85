"""onnxruntime's names, with our sessions behind them: ``import ovpart.compat.onnxruntime as onnxruntime``.

What needs no session is onnxruntime's own. Programs that cannot be edited run with
``sys.modules["onnxruntime"] = ovpart.compat.onnxruntime`` before they import it.
"""

from __future__ import annotations

from typing import Any

from ovpart.backend.onnxruntime import import_onnxruntime
from ovpart.compat.adapters import LoraAdapter
from ovpart.compat.binding import IOBinding
from ovpart.compat.inference_session import InferenceSession
from ovpart.compat.metadata import ModelMetadata
from ovpart.compat.priorities import AVAILABLE
from ovpart.compat.provider import get_openvino_device, set_openvino_device
from ovpart.compat.run_options import RunOptions
from ovpart.compat.session_options import SessionOptions
from ovpart.placement.engines import get_available_openvino_device_ids
from ovpart.runtime.node_args import NodeArg

__wrapped__: Any = import_onnxruntime()
"""onnxruntime itself: what engines use where this module stands under its name."""
__version__: str = __wrapped__.__version__
__path__: list[str] = list(__wrapped__.__path__)
"""Sub-modules (``onnxruntime.capi``, ``onnxruntime.quantization``) are found where onnxruntime has them."""

__all__ = [
    "IOBinding",
    "InferenceSession",
    "LoraAdapter",
    "ModelMetadata",
    "NodeArg",
    "RunOptions",
    "SessionOptions",
    "get_available_openvino_device_ids",
    "get_available_providers",
    "get_device",
    "get_openvino_device",
    "set_openvino_device",
]


def get_available_providers() -> list[str]:
    """Return the providers that a session here can be asked for, in their default order."""
    return list(AVAILABLE)


def get_device() -> str:
    """Return ``"CPU-OPENVINO"``: what onnxruntime says when it is built with that provider."""
    return "CPU-OPENVINO"


def __getattr__(name: str) -> Any:
    try:
        return getattr(__wrapped__, name)
    except AttributeError:
        message = f"module 'onnxruntime' has no attribute {name!r}"
        raise AttributeError(message) from None


def __dir__() -> list[str]:
    return sorted({*__all__, *dir(__wrapped__)})
