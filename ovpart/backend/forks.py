"""What a forked process may do with engines that its parent has loaded: leave them alone, and end.

The threads of an engine do not come along in a fork, what they held stays held. A run in the child may come to its end
(the calling thread takes the work of all) or wait for ever; taking a compiled model down joins threads that are not
there, which waits for ever or ends the process; the interpreter does that to every object at its end. With onnxruntime
1.31 already the import starts a thread, and a child that ends by itself (``sys.exit``, not ``os._exit``, which
``multiprocessing`` uses) hangs in a destructor of the library.

So an inherited session says so when it is run (:func:`inherited`), what an engine has made is leaked in the child
(:class:`Held`), and the child's end passes the destructors of libraries by (:func:`end_without_destructors`).
"""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import tempfile
import weakref
from functools import cache
from pathlib import Path

from ovpart.errors import RunError

WAY_OUT = (
    "open it in the child, after the fork, or start processes with multiprocessing's 'spawn' or 'forkserver' method"
)


class Process:
    """A process, as those see it that were made in it.

    Attributes
    ----------
    pid : int
        Its number.
    is_past : bool
        Whether this is a child of it by now.
    """

    __slots__ = ("is_past", "pid")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.is_past = False


# The process that this is: a fact of the process, not of any session. Python tells of forks through functions that are
# registered once; asking for the number at each run takes up to half a microsecond, where system calls are watched.
_HERE: list[Process] = []


def this_process() -> Process:
    """Return the process that this is; what is made in it keeps it, and sees by it that it was inherited."""
    if not _HERE:
        _HERE.append(Process())
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_forked)
    return _HERE[0]


def _forked() -> None:
    _HERE[0].is_past = True
    _HERE[0] = Process()


def inherited(what: str, home: Process) -> RunError:
    """Return the error of whoever uses in a child what its parent has opened.

    Parameters
    ----------
    what : str
        What it is: ``"this session"``.
    home : Process
        That it was opened in.
    """
    return RunError(
        f"{what} was opened in process {home.pid} and cannot be used in process {os.getpid()}, which was forked "
        f"from it: the threads of the engines stay behind in a fork. Do not use it here: {WAY_OUT}."
    )


class Held:
    """Holds what an engine has made, and never takes it down in another process than the one that made it.

    Parameters
    ----------
    *made : object
        Objects of an engine's binding. Whatever else refers to them, they live at least as long as this.
    """

    __slots__ = ("_home", "_made")

    def __init__(self, *made: object) -> None:
        self._home = this_process()
        self._made = made

    # Named here, since modules may be empty when the interpreter ends.
    _keep = staticmethod(ctypes.pythonapi.Py_IncRef)
    _pointer = ctypes.py_object

    def __del__(self) -> None:
        if self._home.is_past:
            for made in self._made:
                self._keep(self._pointer(made))


@cache
def end_without_destructors() -> None:
    """Let children of this process end without the destructors of the libraries that it has loaded.

    What Python does at its end is done, and C's streams are flushed; then the process is gone, with its exit code.
    Where the C library has no ``on_exit`` (it is one of glibc's), nothing is changed.
    """
    atexit.register(_end_here, this_process())


def _end_here(home: Process) -> None:
    if not home.is_past:
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "on_exit") and hasattr(library, "__cxa_atexit"):
        # Called from the last one to the first: before all that libraries have registered.
        library.on_exit(library._exit, None)
        library.__cxa_atexit(library.fflush, None, None)


class OwnFolder:
    """A temporary folder that goes with this object, or with the process that made it; a child leaves it alone.

    Parameters
    ----------
    prefix : str
        Of its name.

    Attributes
    ----------
    path : Path
        Where it is.
    """

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        self.remove = weakref.finalize(self, _remove, str(self.path), this_process())


def _remove(path: str, home: Process) -> None:
    if not home.is_past:
        shutil.rmtree(path, ignore_errors=True)
