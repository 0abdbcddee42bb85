"""Errors of ovpart that are onnxruntime's errors as well, so that programs which catch those keep working."""

from __future__ import annotations

from typing import Any

from ovpart.errors import CompileError, DeviceNotFound, InputError, ModelError, OvpartError, RunError


def as_onnxruntime(error: OvpartError) -> Exception:
    """Return an error that is what `error` is, and what onnxruntime raises in its place.

    Parameters
    ----------
    error : OvpartError
        Raised by a session.

    Returns
    -------
    Exception
        `error` itself where onnxruntime raises a plain ``ValueError``, which it is already: missing inputs, arguments.
    """
    kind = _kind(error)
    if kind is None or isinstance(error, kind):
        return error
    return also(error, kind)


def also(error: OvpartError, kind: type[Exception]) -> Exception:
    """Return an error that is what `error` is, and of `kind` too."""
    joined: Any = _joined(type(error), kind)
    made: Exception = joined.__new__(joined, *error.args)
    made.args = error.args
    made.__dict__.update(error.__dict__)
    made.__cause__ = error.__cause__
    return made.with_traceback(error.__traceback__)


def _kind(error: OvpartError) -> type[Exception] | None:
    from onnxruntime.capi import onnxruntime_pybind11_state as binding

    words = str(error)
    if isinstance(error, InputError):
        # A missing input is found in onnxruntime's Python half, which raises a plain ValueError.
        found = None if words.startswith("Required inputs") else binding.InvalidArgument
    elif isinstance(error, ModelError):
        found = _kind_of_broken(words, binding)
    elif isinstance(error, (RunError, CompileError)):
        cause = error.__cause__
        found = type(cause) if cause is not None and type(cause).__module__ == binding.__name__ else binding.Fail
    else:
        found = RuntimeError if isinstance(error, DeviceNotFound) else None
    return found


def _kind_of_broken(words: str, binding: Any) -> type[Exception]:
    if "does not exist" in words:
        kind: type[Exception] = binding.NoSuchFile
    elif "no ONNX model" in words or "no graph" in words:
        kind = binding.InvalidProtobuf
    else:
        kind = binding.InvalidGraph
    return kind


def _joined(ours: type[OvpartError], theirs: type[Exception]) -> Any:
    return type(ours.__name__, (ours, theirs), {"__module__": ours.__module__, "__doc__": ours.__doc__})
