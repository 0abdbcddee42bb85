"""The process that trials happen in: it compiles and runs what might take a process down, and tells how it went.

It is started by :mod:`ovpart.placement.trial.trials`, reads requests from its standard input and answers on what was
its standard output; what an engine prints goes to standard error. It ends when its standard input does, that is, with
whoever started it.

A message is a pickle after its length in eight bytes. Both ends are this package, on one machine, of one user.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import sys
from collections.abc import Mapping
from typing import IO, Any

from ovpart.backend.base import Backend, Executable
from ovpart.backend.registry import backend
from ovpart.errors import CompileError, OvpartError, RunError
from ovpart.placement.trial.cut import PackedCut, unpack

READY = "ready"
"""First message of the process: it is up, and what happens from now on is the engine's doing."""
_LENGTH_BYTES = 8


def send(stream: IO[bytes], message: object) -> None:
    """Write a message."""
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(len(data).to_bytes(_LENGTH_BYTES, "little") + data)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read a message.

    Raises
    ------
    EOFError
        If the other end is gone.
    """
    head = stream.read(_LENGTH_BYTES)
    if len(head) < _LENGTH_BYTES:
        raise EOFError
    length = int.from_bytes(head, "little")
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)


def main() -> None:
    """Answer requests until there are none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started this; its end is ours
    _no_core_files()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # an engine that prints must not write into the answers
    requests = sys.stdin.buffer
    compiled: dict[int, Executable] = {}
    for needed in ("numpy", "onnx"):  # before the clock of a trial runs
        importlib.import_module(needed)
    send(answers, READY)
    while True:
        try:
            request = receive(requests)
        except EOFError:
            break
        send(answers, _answer(request, compiled))
    answers.flush()
    os._exit(0)  # an engine that crashes while it is taken down has nothing to tell any more


def _answer(request: Mapping[str, Any], compiled: dict[int, Executable]) -> tuple[str, Any]:
    """Do what a request asks for; return ``("done", result)`` or ``("failed", (class, words, stage, node))``."""
    try:
        if request["do"] == "compile":
            executable = _compile(request)
            compiled[request["id"]] = executable
            return "done", (tuple(executable.inputs), tuple(executable.outputs))
        return "done", _run(compiled[request["id"]], request["inputs"])
    except CompileError as error:
        return "failed", (type(error).__name__, str(error), error.stage, error.node)
    except OvpartError as error:
        return "failed", (type(error).__name__, str(error), "run", None)
    except Exception as error:  # what a backend lets slip is its refusal
        kind = CompileError if request["do"] == "compile" else RunError
        return "failed", (kind.__name__, f"{type(error).__name__}: {error}", request["do"], None)


def _compile(request: Mapping[str, Any]) -> Executable:
    packed: PackedCut = request["cut"]
    chosen: Backend = backend(request["backend"]) if isinstance(request["backend"], str) else request["backend"]
    return chosen.compile(unpack(packed), request["device"], request["config"])


def _run(executable: Executable, inputs: list[Any]) -> list[Any]:
    run = executable.bind()
    for index, array in enumerate(inputs):
        run.set_input(index, array)
    run.run()
    return [run.take_output(index) for index in range(len(executable.outputs))]


def _no_core_files() -> None:
    """Have the kernel write no memory image of a crash that was expected."""
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


if __name__ == "__main__":
    main()
