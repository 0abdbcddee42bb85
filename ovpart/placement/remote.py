"""Runs of a form over the memory of a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ovpart.backend.cut import port
from ovpart.backend.forks import Process, inherited
from ovpart.backend.remote import HasMemory, RemoteMemory, RemoteTensor
from ovpart.capability.target import parse_target
from ovpart.errors import InputError
from ovpart.partition.plan import Label
from ovpart.planning import DEVICE_ENGINE
from ovpart.runtime.control import RunControl
from ovpart.runtime.remote import check_targets, deliver, on_host, run_remote

if TYPE_CHECKING:
    from ovpart.backend.base import Array
    from ovpart.model.graph import Model
    from ovpart.placement.engines import Engines
    from ovpart.placement.form import Form
    from ovpart.runtime.admission import Share
    from ovpart.runtime.feed import FeedCheck


class Memories:
    """The memory of the devices of a session, found when it is first needed."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._found: dict[str, RemoteMemory] = {}

    def __call__(self, tensor: RemoteTensor) -> RemoteMemory:
        """Return the memory that a tensor lies in.

        Raises
        ------
        DeviceNotFound
            If its device is not on this machine.
        InputError
            If the device is emulated, or has no memory of its own.
        """
        found = self._found.get(tensor.device)
        if found is None:
            found = self._found[tensor.device] = self._memory(tensor)
        return found

    def _memory(self, tensor: RemoteTensor) -> RemoteMemory:
        engines = self._engines
        if engines.options.emulate:
            raise InputError(f"a tensor lies on {tensor.device}, which is emulated on the CPU: pass an array")
        devices = (*engines.properties, *parse_target(engines.options.device).labels)
        named = (device for device in devices if tensor.lies_on(device))
        label = Label(DEVICE_ENGINE, next(named, tensor.device))
        backend = engines.backend_of(label)
        if not isinstance(backend, HasMemory):
            raise InputError(f"a tensor lies on {tensor.device}, which {label.engine} cannot reach into: pass an array")
        return backend.memory(label.device, engines.settings_of(label))


def is_remote(feed: Mapping[str, Array]) -> bool:
    """Whether anything in a feed lies in the memory of a device."""
    return any(isinstance(value, RemoteTensor) for value in feed.values())


def run_form(
    form: Form,
    feed: Mapping[str, Array],
    targets: Mapping[str, RemoteTensor],
    wanted: Sequence[str],
    memories: Memories,
    control: RunControl | None,
) -> list[Array]:
    """Compute outputs over tensors of a device; raises as :meth:`Form.run`.

    While the form is still tried or measured, it computes on arrays, and what lies on a device is read and written.
    """
    for target in targets.values():
        memories(target)  # where it cannot be written, nothing is computed
    schedule = form.steady
    if schedule is not None:
        return run_remote(schedule, feed, targets, wanted, memories, control)
    values = form.run(on_host(feed, memories), wanted, control)
    return [deliver(targets, name, value, memories) for name, value in zip(wanted, values, strict=True)]


class Reaching:
    """What :class:`ovpart.session.Session` inherits; it has the attributes and the method that are asked for here."""

    _model: Model
    _form: Form
    _check: FeedCheck
    _home: Process
    _share: Share | None
    _memories: Memories

    def _form_for(self, feed: Mapping[str, Array]) -> Form:
        raise NotImplementedError

    def _count(self, form: Form) -> None:
        raise NotImplementedError

    def read(self, tensor: RemoteTensor) -> Array:
        """Return a copy of what lies in the memory of a device.

        Raises
        ------
        DeviceNotFound, InputError, RunError
            As :meth:`run_bound`.
        """
        return self._memories(tensor).read(tensor)

    def run_bound(
        self,
        input_feed: Mapping[str, Array],
        targets: Mapping[str, RemoteTensor],
        output_names: Sequence[str] | None = None,
        run_options: object = None,
    ) -> list[Array]:
        """Compute with inputs and outputs in the memory of a device: without a copy where a cluster there meets them.

        Parameters
        ----------
        input_feed : mapping of str to array or RemoteTensor
            As for :meth:`run`.
        targets : mapping of str to RemoteTensor
            Where outputs are to be written.
        output_names, run_options : optional
            As for :meth:`run`.

        Returns
        -------
        list
            One an output: its target where it has one, else an array.

        Raises
        ------
        DeviceNotFound
            If a tensor lies on a device that is not there.
        InputError, RunError
            As :meth:`run`; also where memory does not fit its output, or cannot be reached into.
        """
        if self._home.is_past:
            raise inherited("this session", self._home)
        feed = self._check(input_feed)
        graph = self._model.graph
        names = tuple(output_names or graph.outputs)
        check_targets(targets, {name: port(name, graph.type_of(name)) for name in graph.outputs})
        control = None if run_options is None else RunControl(run_options)
        if self._share is not None:
            self._share.enter(control)
        try:
            guarded = {name: feed[name] for guard in self._form.guards for name in guard.inputs if name in feed}
            feed = {**feed, **on_host(guarded, self._memories)}  # guards look at values
            form = self._form_for(feed)
            outputs = run_form(form, feed, targets, names, self._memories, control)
        finally:
            if self._share is not None:
                self._share.leave()
        self._count(form)
        return outputs
