"""Requests of engines that compute only while somebody waits: begun in a thread of their own."""

from __future__ import annotations

import threading


class ThreadedRequest:
    """What a request needs besides `run` to be begun, and waited for later.

    Attributes
    ----------
    thread_name : str
        Of the threads, for debuggers.
    """

    __slots__ = ("_error", "_thread")

    thread_name = "ovpart-request"

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        """Compute."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin to compute in a thread of its own."""
        self._error = None
        self._thread = threading.Thread(target=self._run_and_keep_error, name=self.thread_name)
        self._thread.start()

    def wait(self) -> None:
        """Wait for what `start` began, and raise what it raised."""
        self.come_to_rest()
        self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def come_to_rest(self) -> None:
        """Wait for what `start` began, however it ends: `wait` tells that."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _run_and_keep_error(self) -> None:
        try:
            self.run()
        except Exception as error:  # raised by `wait`, in the thread that waits
            self._error = error
