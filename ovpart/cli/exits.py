"""Exit codes of the command line: a contract, listed in ``docs/cli.md``."""

from __future__ import annotations

from enum import IntEnum

from ovpart.errors import (
    CompileError,
    DeviceNotFound,
    InputError,
    ModelError,
    OptionError,
    OvpartError,
    PlanError,
    RunError,
    TableError,
    VerificationError,
)


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    GATE_FAILED = 1
    USAGE = 2
    MODEL_REFUSED = 3
    NO_DEVICE = 4
    ENGINE_FAILED = 5
    INTERRUPTED = 130


_OF_ERROR: tuple[tuple[type[OvpartError], Exit], ...] = (
    (ModelError, Exit.MODEL_REFUSED),
    (DeviceNotFound, Exit.NO_DEVICE),
    (CompileError, Exit.ENGINE_FAILED),
    (RunError, Exit.ENGINE_FAILED),
    (VerificationError, Exit.GATE_FAILED),
    (OptionError, Exit.USAGE),
    (InputError, Exit.USAGE),
    (TableError, Exit.USAGE),
    (PlanError, Exit.USAGE),
)


def exit_of(error: OvpartError) -> Exit:
    """Return the exit code of an error.

    Examples
    --------
    >>> exit_of(DeviceNotFound("no GPU"))
    <Exit.NO_DEVICE: 4>
    """
    return next((code for kind, code in _OF_ERROR if isinstance(error, kind)), Exit.ENGINE_FAILED)
