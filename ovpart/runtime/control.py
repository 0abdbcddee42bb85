"""Runs that another thread can end, and that take options of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ovpart.errors import OptionError, RunError

if TYPE_CHECKING:
    from ovpart.backend.base import Request

TERMINATED = "Exiting due to terminate flag being set to true."
"""onnxruntime's words for a run that was ended so."""
_POLL_S = 0.005


class RunControl:
    """Carries the options of one run through its steps.

    Parameters
    ----------
    options : object
        Like onnxruntime's ``RunOptions``: a run ends as soon as its ``terminate`` is true. If it has
        ``on_terminate(callback)``, which returns a function that takes the callback back, that is told; else
        ``terminate`` is looked at every 5 ms while an engine computes that does not take the options itself.

    Raises
    ------
    OptionError
        If they are no such options.
    """

    __slots__ = ("options",)

    def __init__(self, options: Any) -> None:
        if not hasattr(options, "terminate"):
            message = f"run_options={options!r}: pass a RunOptions of onnxruntime or of ovpart.compat.onnxruntime"
            raise OptionError(message)
        self.options = options

    @property
    def is_terminated(self) -> bool:
        """Whether the run is to end."""
        return bool(self.options.terminate)

    def check(self) -> None:
        """Raise where the run is to end.

        Raises
        ------
        RunError
            In onnxruntime's words.
        """
        if self.is_terminated:
            raise RunError(TERMINATED)

    def run(self, request: Request) -> None:
        """Compute one step, which ends when the run is to end.

        Raises
        ------
        RunError
            With the engine's words, or because the run is to end.
        """
        self.check()
        run_with = getattr(request, "run_with", None)
        try:
            if run_with is not None:
                run_with(self.options)
                return
            with self._cancelling(request.cancel):
                request.start()
                request.wait()
            self.check()  # an engine that cannot stop halfway has come to its end
        except RunError as error:
            if self.is_terminated:
                raise RunError(TERMINATED) from error
            raise

    @contextmanager
    def _cancelling(self, cancel: Callable[[], None]) -> Iterator[None]:
        """Cancel what is under way when the run is to end.

        A request may compute inside of ``start`` (openvino without streams), and forgets a cancellation that comes
        before: so that is repeated until the step is over.
        """
        over = threading.Event()
        threads: list[threading.Thread] = []

        def watch() -> None:
            while not over.wait(_POLL_S):
                if self.is_terminated:
                    cancel()

        def tell() -> None:
            cancel()
            begin()

        def begin() -> None:
            threads.append(threading.Thread(target=watch, name="ovpart-terminate"))
            threads[-1].start()

        on_terminate = getattr(self.options, "on_terminate", None)
        take_back = _nothing if on_terminate is None else on_terminate(tell)
        try:
            if on_terminate is None:
                begin()
            self.check()  # set after the last look, before anybody was told
            yield
        finally:
            take_back()
            over.set()
            for thread in threads:
                thread.join()


def _nothing() -> None:
    """Take nothing back."""
