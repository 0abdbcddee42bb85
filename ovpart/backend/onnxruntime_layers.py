"""onnxruntime's layers and what they took: its own profile, read when it is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ovpart.backend.base import Cut, LayerTime
from ovpart.backend.layers import keys_of, maker_in, makers, position_in
from ovpart.backend.onnxruntime_request import OnnxRuntimeExecutable

if TYPE_CHECKING:
    import onnxruntime

_KERNEL = "_kernel_time"
_RUN = "model_run"

_Event = Mapping[str, Any]


def profiling_folder(options: onnxruntime.SessionOptions) -> TemporaryDirectory[str]:
    """Ask for a profile in a folder of its own, which goes when what is returned goes."""
    folder = TemporaryDirectory(prefix="ovpart-profile-")
    options.enable_profiling = True
    options.profile_file_prefix = str(Path(folder.name) / "onnxruntime")
    return folder


class ProfiledOnnxRuntime(OnnxRuntimeExecutable):
    """A session that times its nodes.

    Parameters
    ----------
    session, *given, **named
        As for :class:`ovpart.backend.onnxruntime_request.OnnxRuntimeExecutable`; the session was made with profiling.
    folder : TemporaryDirectory
        Where the profile is written.
    """

    def __init__(self, session: Any, *given: Any, folder: TemporaryDirectory[str], **named: Any) -> None:
        super().__init__(session, *given, **named)
        self._binding = self._counted = _Counted(self._binding)
        self._folder = folder
        self._skipped = 0

    def layer_times(self) -> Sequence[LayerTime]:
        """Return what each layer took since :meth:`forget_layer_times`, in no order; a profile can be read once."""
        file = Path(self.session.end_profiling())
        events = json.loads(file.read_text(encoding="utf-8"))
        self._folder.cleanup()
        return _layers(_outermost(_after(events, self._skipped)), self._cut)

    def forget_layer_times(self) -> None:
        """Leave out the runs so far."""
        self._skipped = self._counted.runs


class _Counted:
    """The binding of a session, its runs counted."""

    def __init__(self, binding: Any) -> None:
        self.runs = 0
        self._binding = binding

    def run(self, *given: Any) -> Any:
        self.runs += 1
        return self._binding.run(*given)

    def run_with_iobinding(self, *given: Any) -> Any:
        self.runs += 1
        return self._binding.run_with_iobinding(*given)

    def run_with_ort_values(self, *given: Any) -> Any:
        self.runs += 1
        return self._binding.run_with_ort_values(*given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._binding, name)


def _after(events: Iterable[_Event], skipped: int) -> list[_Event]:
    """Return the kernels of a profile, those of its first runs left out."""
    complete = [event for event in events if event.get("ph") == "X"]
    runs = sorted(event["ts"] for event in complete if event["name"] == _RUN)
    begin = runs[skipped] if skipped < len(runs) else float("inf")
    return [e for e in complete if e["cat"] == "Node" and e["name"].endswith(_KERNEL) and e["ts"] >= begin]


def _outermost(kernels: Iterable[_Event]) -> list[_Event]:
    """Return the kernels that run in no other: those in the body of a Loop are in the Loop's own time."""
    found: list[_Event] = []
    ends: dict[int, int] = {}
    for kernel in sorted(kernels, key=lambda e: (e["ts"], -e["dur"])):
        if kernel["ts"] >= ends.get(kernel["tid"], 0):
            found.append(kernel)
            ends[kernel["tid"]] = kernel["ts"] + kernel["dur"]
    return found


def _layers(kernels: Iterable[_Event], cut: Cut | None) -> tuple[LayerTime, ...]:
    totals: dict[tuple[str, str], float] = {}
    made = {} if cut is None else makers(cut)
    for kernel in kernels:
        name = kernel["name"].removesuffix(_KERNEL)
        key = name, str(kernel["args"].get("op_name", ""))
        totals[key] = totals.get(key, 0.0) + kernel["dur"]

    def nodes(name: str) -> tuple[str, ...]:
        if cut is None:
            return ()
        position = position_in(name)
        return keys_of([maker_in(name, made) if position is None else position], cut)

    return tuple(LayerTime(name, kind, us, nodes(name)) for (name, kind), us in totals.items())
