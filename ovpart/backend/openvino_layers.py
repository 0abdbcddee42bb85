"""openvino's layers and what they took: performance counters, mapped to nodes through names of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ovpart.backend.base import Cut, LayerTime
from ovpart.backend.layers import keys_of, makers, position_in, tag
from ovpart.backend.openvino_request import OpenVINOExecutable, OpenVINORequest
from ovpart.backend.openvino_types import THROWN

if TYPE_CHECKING:
    import openvino

_NOT_COMPUTED = frozenset({"Parameter", "Constant", "Result"})


def tag_operations(model: openvino.Model, cut: Cut) -> None:
    """Name each operation of a converted model after the node that it comes from.

    One node may become many operations, of which the last alone has its name: those before belong to the node that
    reads them, those after it (repairs) to the node that makes what they read.

    Parameters
    ----------
    model : openvino.Model
        Converted from the cut; its operations are renamed.
    cut : Cut
        With nodes named by position (:func:`ovpart.backend.layers.tagged`).
    """
    made = makers(cut)
    operations = [op for op in model.get_ordered_ops() if op.get_type_name() not in _NOT_COMPUTED]
    owners: dict[str, int] = {}
    for op in operations:
        named = [made[name] for output in op.outputs() for name in sorted(output.get_names()) if name in made]
        own = position_in(op.get_friendly_name())
        if named or own is not None:
            owners[op.name] = named[0] if named else int(str(own))
    for op in reversed(operations):
        if op.name not in owners:
            readers = {target.get_node().name for output in op.outputs() for target in output.get_target_inputs()}
            found = {owners[name] for name in readers if name in owners}
            if len(found) == 1:
                owners[op.name] = found.pop()
    for op in operations:
        if op.name not in owners:
            sources = [op.input_value(index).get_node().name for index in range(op.get_input_size())]
            known = [owners[name] for name in sources if name in owners]
            if known:
                owners[op.name] = known[0]
    for serial, op in enumerate(operations):
        if op.name in owners:
            op.set_friendly_name(f"{tag(owners[op.name])}_{serial}")


def with_counters(options: Mapping[str, object]) -> dict[str, object]:
    """Return openvino's properties with counters on, and one stream: each stream counts for itself."""
    streams = {} if str(options.get("NUM_STREAMS", 1)) in ("0", "1") else {"NUM_STREAMS": 1}
    return {**options, "PERF_COUNT": True, **streams}


class ProfiledOpenVINO(OpenVINOExecutable):
    """A compiled model that times its layers.

    The CPU plugin counts in means over all runs since it was compiled, in whole microseconds, the first and slow ones
    included (openvino 2026.4.1); other plugins tell of the last run.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._kinds: dict[str, str] = {}
        self._totals: dict[str, float] = {}
        self._forgotten: dict[str, float] = {}
        self._runs = 0
        self._counts_means = self._is_on_cpu()

    def bind(self) -> OpenVINORequest:
        """Make a request that notes what each layer took."""
        try:
            return _ProfiledRequest(self)
        except THROWN as error:
            raise self.failed(error) from error

    def layer_times(self) -> Sequence[LayerTime]:
        """Return what each layer took since :meth:`forget_layer_times`, in no order."""
        fused = self._fused()
        cut = self._cut
        return tuple(
            LayerTime(
                name,
                self._kinds[name],
                us,
                () if cut is None else keys_of(map(position_in, [*fused.get(name, ()), name]), cut),
            )
            for name, total in self._totals.items()
            if (us := total - self._forgotten.get(name, 0.0)) > 0
        )

    def forget_layer_times(self) -> None:
        """Leave out the runs so far."""
        self._forgotten = dict(self._totals)

    def note(self, counters: Sequence[Any]) -> None:
        """Add the counters of a run."""
        self._runs += 1
        for layer in counters:
            us = layer.real_time.total_seconds() * 1e6
            if us:
                self._kinds[layer.node_name] = f"{layer.node_type} {layer.exec_type}".strip()
                if self._counts_means:  # cut off after the point: half a microsecond is missing in the mean
                    self._totals[layer.node_name] = (us + 0.5) * self._runs
                else:
                    self._totals[layer.node_name] = self._totals.get(layer.node_name, 0.0) + us

    def _is_on_cpu(self) -> bool:
        try:
            return list(self.compiled.get_property("EXECUTION_DEVICES")) == ["CPU"]
        except THROWN:
            return False

    def _fused(self) -> dict[str, list[str]]:
        """Return the layers that openvino has now → the operations fused into each."""
        try:
            operations = self.compiled.get_runtime_model().get_ops()
        except THROWN:  # choosers of devices have none
            return {}
        found = {}
        for op in operations:
            info = op.get_rt_info()
            if "originalLayersNames" in info:
                found[op.get_friendly_name()] = str(info["originalLayersNames"].astype(str)).split(",")
        return found


class _ProfiledRequest(OpenVINORequest):
    __slots__ = ()

    def run(self) -> None:
        """Compute, and note what each layer took."""
        super().run()
        self._note()

    def wait(self) -> None:
        """Wait for what `start` began, and note what each layer took."""
        super().wait()
        self._note()

    def _note(self) -> None:
        executable = self._executable
        if isinstance(executable, ProfiledOpenVINO):
            try:
                counters = self._request.get_profiling_info()
            except THROWN as error:
                raise executable.failed(error) from error
            executable.note(counters)
