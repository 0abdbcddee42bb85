"""Run options that tell at once when a run is to end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ovpart.backend.onnxruntime import import_onnxruntime

_Base: Any = import_onnxruntime().RunOptions


class RunOptions(_Base):  # type: ignore[misc]  # onnxruntime gives no types
    """onnxruntime's ``RunOptions``, which it is, whose ``terminate`` stops every engine that computes under it."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[object, Callable[[], None]] = {}
        self._lock = threading.Lock()

    @property
    def terminate(self) -> bool:
        """Whether runs under these options end, those under way and those to come, until it is taken back."""
        return bool(_Base.terminate.fget(self))

    @terminate.setter
    def terminate(self, value: bool) -> None:
        _Base.terminate.fset(self, value)
        if value:
            with self._lock:  # held, so that nobody is told who has taken it back
                for tell in self._told.values():
                    tell()

    def on_terminate(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call `tell` when ``terminate`` is set; returns a function that takes this back."""
        key = object()
        with self._lock:
            self._told[key] = tell

        def take_back() -> None:
            with self._lock:
                self._told.pop(key, None)

        return take_back
