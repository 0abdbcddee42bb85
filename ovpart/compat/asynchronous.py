"""Runs in other threads, for ``run_async``."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from ovpart.backend.base import Array
from ovpart.backend.forks import inherited, this_process

Callback: TypeAlias = "Callable[[list[Array], Any, str], None]"


class Runner:
    """Threads that are made when first needed, and end with the session; the interpreter waits for what they run."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._home = this_process()

    def start(self, run: Callable[[], list[Array]], callback: Callback, user_data: Any) -> None:
        """Call `run` in a thread, and `callback` there with what came of it.

        Parameters
        ----------
        run : callable
            Gives the results; what it needs lives as long as it is under way.
        callback : callable
            ``callback(results, user_data, error)``. What it raises goes to ``sys.unraisablehook``.
        user_data : object
            Handed to `callback`.

        Raises
        ------
        RunError
            In a process that was forked from the one that this was made in: its threads are not there.
        """
        if self._home.is_past:
            raise inherited("this session", self._home)
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="ovpart-run-async")
        self._threads.submit(_run, run, callback, user_data)


def _run(run: Callable[[], list[Array]], callback: Callback, user_data: Any) -> None:
    results: list[Array] = []
    words = ""
    try:
        results = run()
    except Exception as error:  # whatever it is, the callback is told
        words = str(error) or type(error).__name__
    try:
        callback(results, user_data, words)
    except Exception as error:  # nobody waits for it: shown as Python shows errors that cannot be raised
        sys.unraisablehook(_Unraisable(error, callback))


class _Unraisable:
    """What ``sys.unraisablehook`` takes (its documented attributes)."""

    def __init__(self, error: Exception, callback: Callback) -> None:
        self.exc_type: type[BaseException] = type(error)
        self.exc_value: BaseException | None = error
        self.exc_traceback = error.__traceback__
        self.err_msg: str | None = "the callback of run_async raised"
        self.object: object = callback
