"""Run options that tell at once when a run is to end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ovpart.backend.onnxruntime import import_onnxruntime
from ovpart.compat.adapters import LoraAdapter
from ovpart.errors import OptionError

_Base: Any = import_onnxruntime().RunOptions


class RunOptions(_Base):  # type: ignore[misc]  # onnxruntime gives no types
    """onnxruntime's ``RunOptions``, which it is, whose ``terminate`` stops every engine that computes under it.

    Attributes
    ----------
    adapters : list of LoraAdapter
        Whose parameters runs take.
    """

    def __init__(self) -> None:
        super().__init__()
        self.adapters: list[LoraAdapter] = []
        self._told: dict[object, Callable[[], None]] = {}
        self._lock = threading.Lock()

    def add_active_adapter(self, adapter: LoraAdapter) -> None:
        """Give the parameters of an adapter to every run under these options.

        Raises
        ------
        OptionError
            If the adapter is not one of :mod:`ovpart.compat.onnxruntime`.
        """
        if not isinstance(adapter, LoraAdapter):
            raise OptionError(f"adapter {adapter!r}: pass a LoraAdapter of ovpart.compat.onnxruntime")
        self.adapters.append(adapter)  # not told to onnxruntime, which may have a part of the model only

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
