"""Runs ONNX models on Intel devices, split between OpenVINO and ONNX Runtime, and explains every node's place.

Examples
--------
>>> import ovpart
>>> session = ovpart.Session("model.onnx", device="GPU")  # doctest: +SKIP
>>> session.run(None, {"image": image})  # doctest: +SKIP
>>> print(session.report)  # doctest: +SKIP

Names are loaded on first use: importing ovpart imports none of numpy, onnx, networkx, openvino, onnxruntime.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ovpart.errors import (
    CompileError,
    DeviceNotFound,
    InputError,
    ModelError,
    OptionError,
    OvpartError,
    OvpartWarning,
    PlanError,
    RunError,
    TableError,
    VerificationError,
)

if TYPE_CHECKING:
    from ovpart.backend.remote import RemoteTensor
    from ovpart.capability.verdict import State, Verdict
    from ovpart.compat.inference_session import InferenceSession
    from ovpart.partition.plan import Cluster, Plan
    from ovpart.placement.engines import devices, get_available_openvino_device_ids
    from ovpart.planning import plan
    from ovpart.pool import Pool
    from ovpart.report.model import Report
    from ovpart.session import Session

__version__ = "0.1.0"

__all__ = [
    "Cluster",
    "CompileError",
    "DeviceNotFound",
    "InferenceSession",
    "InputError",
    "ModelError",
    "OptionError",
    "OvpartError",
    "OvpartWarning",
    "Plan",
    "PlanError",
    "Pool",
    "RemoteTensor",
    "Report",
    "RunError",
    "Session",
    "State",
    "TableError",
    "Verdict",
    "VerificationError",
    "__version__",
    "devices",
    "get_available_openvino_device_ids",
    "plan",
]

_HOMES = {
    "Cluster": "ovpart.partition.plan",
    "InferenceSession": "ovpart.compat.inference_session",
    "Plan": "ovpart.partition.plan",
    "Pool": "ovpart.pool",
    "RemoteTensor": "ovpart.backend.remote",
    "Report": "ovpart.report.model",
    "Session": "ovpart.session",
    "State": "ovpart.capability.verdict",
    "Verdict": "ovpart.capability.verdict",
    "devices": "ovpart.placement.engines",
    "get_available_openvino_device_ids": "ovpart.placement.engines",
    "plan": "ovpart.planning",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        message = f"module 'ovpart' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
