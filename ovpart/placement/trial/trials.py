"""Trials in a process of their own: what might crash or hang an engine is compiled and first run there.

A cluster on trial is an executable like any other to the runtime; it computes in the other process. Its answers are the
engine's, so that nothing is computed twice. When it has run once, the cluster is compiled here.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.spawn import get_executable  # what multiprocessing.set_executable was told counts here too
from typing import IO, TYPE_CHECKING, Any

from ovpart import errors
from ovpart.backend.forks import OwnFolder, Process, this_process
from ovpart.errors import CompileError, OvpartError, RunError
from ovpart.placement.trial.cut import PackedCut, pack
from ovpart.placement.trial.process import READY, receive, send

if TYPE_CHECKING:
    from ovpart.backend.base import Array, Backend, Cut, Port
    from ovpart.partition.plan import Label

_log = logging.getLogger("ovpart")

NOT_STARTED = "trial"
"""Stage of an error that says nothing of the engine: the other process could not be started."""
_START_S = 120.0
"""Seconds that the other process may take to start: a second or two, more on a machine that is busy."""
_GONE = object()
_COMMAND = "from ovpart.placement.trial.process import main; main()"
_WORDS = 200
"""Characters of the engine's last line that are told."""


class TrialRefused(CompileError):  # noqa: N818  (a CompileError that knows more)
    """The process of a trial died or had to be killed while it compiled.

    Attributes
    ----------
    hung : bool
        Whether it gave no answer in time.
    """

    def __init__(self, message: str, *, hung: bool, started: bool) -> None:
        super().__init__(message, stage="compile" if started else NOT_STARTED)
        self.hung = hung


class TrialDied(RunError):  # noqa: N818  (what happened to the process, not to the run)
    """The process of a trial died or had to be killed while it computed.

    Attributes
    ----------
    executable : TrialExecutable
        What it computed.
    inputs : tuple of array
        What it computed on.
    hung : bool
        Whether it gave no answer in time.
    """

    def __init__(self, message: str, executable: TrialExecutable, inputs: Sequence[Array], *, hung: bool) -> None:
        super().__init__(message)
        self.executable = executable
        self.inputs = tuple(inputs)
        self.hung = hung


class _Lost(Exception):  # noqa: N818  (carries words to where they become one of ours)
    """The other process gave no answer."""

    def __init__(self, words: str, *, hung: bool = False, started: bool = True) -> None:
        super().__init__(words)
        self.hung = hung
        self.started = started


@dataclass(frozen=True, slots=True)
class _Job:
    """All that the other process needs to compile."""

    number: int
    backend: str | Backend
    device: str
    config: Mapping[str, object]
    cut: PackedCut
    timeout_s: float


class Trials:
    """Compiles and runs cuts in one other process, which is started when first needed and again when it was lost.

    Attributes
    ----------
    passed : set of (str, Label)
        Clusters, by id and label, that have stood their trial.
    """

    def __init__(self) -> None:
        self.passed: set[tuple[str, Label]] = set()
        self._made: weakref.WeakSet[TrialExecutable] = weakref.WeakSet()
        self._lock = threading.RLock()
        self._process: _Process | None = None
        self._folder: OwnFolder | None = None
        self._home = this_process()
        self._numbers = 0

    def compile(
        self, backend: str | Backend, cut: Cut, device: str, config: Mapping[str, object], *, timeout_s: float
    ) -> TrialExecutable:
        """Compile a cut in the other process.

        Parameters
        ----------
        backend : str or Backend
            Name of an installed backend, or one that can be pickled.
        cut : Cut
            The cut.
        device : str
            Device of the engine.
        config : mapping
            For the backend.
        timeout_s : float
            Seconds that the compile, and later each run, may take.

        Raises
        ------
        CompileError
            If the engine refuses it, kills its process, or gives no answer in time.
        """
        with self._lock:
            if self._folder is None:
                self._folder = OwnFolder("ovpart-trial-")
            self._numbers += 1
            job = _Job(self._numbers, backend, device, config, pack(cut, self._folder.path), timeout_s)
            made = TrialExecutable(self, job, *self._compiled(job))
            self._made.add(made)
        return made

    def run(self, executable: TrialExecutable, inputs: Sequence[Array]) -> list[Array]:
        """Run what was compiled, compiling it again where its process was lost since.

        Raises
        ------
        TrialDied
            If the engine kills its process, or gives no answer in time.
        OvpartError
            If the engine fails.
        """
        with self._lock:
            if executable.process is not self._process or self._process is None:
                try:
                    _, _, executable.process = self._compiled(executable.job)
                except CompileError as error:
                    raise TrialDied(str(error), executable, inputs, hung=True) from error
            request = {"do": "run", "id": executable.job.number, "inputs": list(inputs)}
            try:
                outputs: list[Array] = _result(executable.process.ask(request, executable.job.timeout_s))
            except _Lost as lost:
                self._process = None
                raise TrialDied(str(lost), executable, inputs, hung=lost.hung) from lost
            return outputs

    def rest(self) -> None:
        """End the other process if nothing waits for its first run in it."""
        with self._lock:
            if self._process is not None and all(made.has_run for made in self._made):
                self._process.kill()
                self._process = None

    def close(self) -> None:
        """End the other process and drop what was written for it; not in a child of the process that they are of."""
        if self._home.is_past:
            return
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process = None
            if self._folder is not None:
                self._folder.remove()
                self._folder = None

    def _compiled(self, job: _Job) -> tuple[Sequence[Port], Sequence[Port], _Process]:
        request = {
            "do": "compile", "id": job.number, "cut": job.cut, "backend": job.backend, "device": job.device,
            "config": dict(job.config),
        }  # fmt: skip
        try:
            if self._process is None:
                self._process = _Process()
            inputs, outputs = _result(self._process.ask(request, job.timeout_s))
        except _Lost as lost:
            self._process = None
            raise TrialRefused(str(lost), hung=lost.hung, started=lost.started) from lost
        return inputs, outputs, self._process


class TrialExecutable:
    """A cluster on trial: computes in the other process.

    Attributes
    ----------
    inputs, outputs : sequence of Port
        As the engine gave them.
    has_run : bool
        Whether a run of it has come to a good end.
    """

    def __init__(
        self, trials: Trials, job: _Job, inputs: Sequence[Port], outputs: Sequence[Port], process: _Process
    ) -> None:
        self.trials = trials
        self.job = job
        self.inputs = inputs
        self.outputs = outputs
        self.process = process
        self.has_run = False

    def bind(self) -> TrialRequest:
        """Make a request."""
        return TrialRequest(self)

    def export(self) -> None:
        """Return nothing: what is on trial is not kept."""


class TrialRequest:
    """One run of a cluster on trial."""

    __slots__ = ("_executable", "_inputs", "_outputs")

    def __init__(self, executable: TrialExecutable) -> None:
        self._executable = executable
        self._inputs: list[Array] = [None] * len(executable.inputs)
        self._outputs: list[Array] = []

    def set_input(self, index: int, array: Array) -> None:
        """Keep an input for the run."""
        self._inputs[index] = array

    def run(self) -> None:
        """Compute in the other process; raises as :meth:`Trials.run`."""
        self._outputs = self._executable.trials.run(self._executable, self._inputs)
        self._executable.has_run = True

    def start(self) -> None:
        """Do nothing yet: the run happens in :meth:`wait`, since there is one other process for all requests."""

    def wait(self) -> None:
        """Compute what :meth:`start` announced."""
        self.run()

    def cancel(self) -> None:
        """Do nothing: a run on trial ends by itself or at its time-out."""

    def take_output(self, index: int) -> Array:
        """Return an output; its memory came from the other process and is nobody else's."""
        return self._outputs[index]


class _Process:
    """The other process, its pipes, and the thread that waits for its answers."""

    def __init__(self) -> None:
        python = get_executable()
        if not python:
            raise _Lost("no trial was possible: this Python knows no interpreter to start", started=False)
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        try:
            # -P: the folder that the program was started in is no place to import from, unless sys.path says so.
            self._popen = subprocess.Popen(
                [python, "-P", "-c", _COMMAND],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words, env=environment,
            )  # fmt: skip
        except OSError as error:
            raise _Lost(f"no trial was possible: {error}", started=False) from error
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._requests = self._popen.stdin
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(self._popen.stdout, self._answers), daemon=True).start()
        self._end = weakref.finalize(self, _end, self._popen, this_process())
        try:
            ready = self._answer(_START_S)
        except _Lost as lost:
            raise _Lost(f"no trial was possible, its process did not start: {lost}", started=False) from lost
        if ready != READY:
            self.kill()
            raise _Lost("no trial was possible: its process speaks another language", started=False)

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> Any:
        """Send a request and return the answer; raises :class:`_Lost`."""
        try:
            send(self._requests, request)
        except OSError:
            _log.debug("the process for trials takes no request")  # what it died of is told where its answer is missed
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise _Lost(f"no trial was possible, a setting cannot be sent: {error}", started=False) from error
        return self._answer(timeout_s)

    def kill(self) -> None:
        """End the process."""
        self._end()

    def _answer(self, timeout_s: float) -> Any:
        try:
            answer = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            self.kill()
            raise _Lost(f"no answer within {timeout_s:g} s", hung=True) from None
        if answer is not _GONE:
            return answer
        code = self._popen.wait()
        self.kill()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        last = self._last_words()
        raise _Lost(f"the engine's process died ({how}){f': {last}' if last else ''}")

    def _last_words(self) -> str:
        self._words.seek(0)
        lines = self._words.read().decode("utf-8", "replace").split("\n")
        return next((line.strip()[:_WORDS] for line in reversed(lines) if line.strip()), "")


def _listen(answers: IO[bytes], heard: queue.SimpleQueue[Any]) -> None:
    """Pass on what the other process says, until it says no more."""
    try:
        while True:
            heard.put(receive(answers))
    except (EOFError, OSError, ValueError):
        heard.put(_GONE)


def _end(popen: subprocess.Popen[bytes], home: Process) -> None:
    if home.is_past:
        return  # forked from the process that it belongs to
    popen.kill()
    popen.wait()
    for stream in (popen.stdin, popen.stdout):
        # The buffer of a pipe whose reader died cannot be flushed: that is no loss.
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()


def _result(answer: tuple[str, Any]) -> Any:
    """Return what was asked for, or raise what the other process has caught."""
    kind, content = answer
    if kind == "done":
        return content
    name, words, stage, node = content
    if name == CompileError.__name__:
        raise CompileError(words, stage=stage, node=node)
    error: OvpartError = getattr(errors, name, RunError)(words)
    raise error
