"""The optimised model that ``SessionOptions.optimized_model_filepath`` asks for: onnxruntime's, which it writes."""

from __future__ import annotations

import os
from typing import Any

from ovpart.backend.onnxruntime import import_onnxruntime
from ovpart.compat.warn import warn


def write_optimised(model: Any, options: Any) -> None:
    """Let onnxruntime optimise a model and write it to the path that the options give; nothing without a path.

    Warns
    -----
    OvpartWarning
        If onnxruntime does not take the model.
    """
    path = options.optimized_model_filepath
    if not path:
        return
    given = model if isinstance(model, (bytes, str, os.PathLike)) else model.SerializeToString()
    profiles = options.enable_profiling
    options.enable_profiling = False
    try:
        import_onnxruntime().InferenceSession(given, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # the binding's errors have no common base
        warn(f"optimized_model_filepath={path!r} has no effect: onnxruntime does not take the model: {error}")
    finally:
        options.enable_profiling = profiles
