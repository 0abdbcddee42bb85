"""A pool of what one run at a time may use: taken without a lock, made on demand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from ovpart.errors import RunError

T = TypeVar("T")

CLOSED = "The session is closed: make a new one to run the model again."


class Pool(Generic[T]):
    """Holds what is idle; makes another where nothing is, so its size is the greatest concurrency there ever was.

    ``deque.append`` and ``deque.pop`` are atomic in CPython, so that threads never wait for each other. The last one
    given back is taken first: its memory is warm.

    Parameters
    ----------
    make : callable
        Makes one; may be called by several threads at a time.
    """

    __slots__ = ("_closed", "_idle", "_make")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._idle: deque[T] = deque()
        self._closed = False

    def take(self) -> T:
        """Return an idle one, or a new one; give it back with :meth:`give`, or drop it if it may be damaged.

        Raises
        ------
        RunError
            If the pool is closed.
        """
        try:
            return self._idle.pop()
        except IndexError:
            if self._closed:
                raise RunError(CLOSED) from None
            return self._make()

    def give(self, item: T) -> None:
        """Give back what :meth:`take` gave."""
        self._idle.append(item)
        # Looked at after the append: a `close` that came in between has either seen the item or is seen here.
        if self._closed:
            self._idle.clear()

    def close(self) -> None:
        """Let go of all that is idle, and of all that is given back from now on."""
        self._closed = True
        self._idle.clear()

    def __len__(self) -> int:
        """How many are idle."""
        return len(self._idle)
