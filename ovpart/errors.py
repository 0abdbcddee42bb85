"""The error tree: one class for each meaning, every message says what happened, where, and what can be done.

Errors about arguments of the caller are ``ValueError`` as well, so that programs written for onnxruntime or numpy
conventions keep working.
"""

from __future__ import annotations


class OvpartError(Exception):
    """Base of everything that ovpart raises on purpose."""


class ModelError(OvpartError):
    """The model is broken, refers to what it must not, or uses an operator that no engine knows."""


class TableError(OvpartError):
    """A support table (``op_support.yaml`` or an overlay) is not valid; the message starts with ``file:line``."""


class OptionError(OvpartError, ValueError):
    """An option has an unknown name or a value that it cannot take."""


class InputError(OvpartError, ValueError):
    """An array given to ``run`` is missing, unknown, or has the wrong dtype or shape."""


class DeviceNotFound(OvpartError):  # noqa: N818  (the name is part of the public face)
    """The device asked for is not on this machine; the message says what is."""


class EngineMissing(OvpartError):  # noqa: N818  (named as DeviceNotFound is)
    """The package of an engine is not installed; the message says how to install it."""


class EngineForked(EngineMissing):
    """An engine was loaded before this process was forked, and its threads stayed behind; the message says where."""


class CompileError(OvpartError):
    """An engine refused a cluster before its first run.

    Parameters
    ----------
    message : str
        What was refused and what can be done.
    stage : str
        ``"read"``, ``"convert"``, ``"compile"`` or ``"load"``.
    node : str or None
        The node that the engine's words name, as its key (:attr:`ovpart.model.graph.Node.key`), where they name one.
    """

    def __init__(self, message: str, *, stage: str = "compile", node: str | None = None) -> None:
        super().__init__(message)
        self.stage = stage
        self.node = node


class RunError(OvpartError):
    """An engine failed while computing, and no other engine could answer."""


class VerificationError(OvpartError):
    """A result differs from the reference by more than the bound asked for."""


class PlanError(OvpartError):
    """A saved plan does not belong to this model, or is not a plan."""


class OvpartWarning(UserWarning):
    """Category of every warning that ovpart gives."""
