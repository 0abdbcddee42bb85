"""The seam between ovpart and an engine: what a backend takes and what it gives back.

A third party's engine implements these protocols, is found by the entry-point group ``ovpart.backends``, and passes
``ovpart.testing.backend_suite``; nothing else needs a change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from ovpart.model.types import Dim

if TYPE_CHECKING:
    import onnx

    from ovpart.model.graph import Model

Array: TypeAlias = Any
"""A numpy array; for values that are no tensor what onnxruntime uses: a list (sequence), a dict (map), ``None``."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device of an engine.

    Attributes
    ----------
    name : str
        As the engine calls it: ``"CPU"``, ``"GPU.0"``.
    description : str
        The full name of the hardware.
    """

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of an executable.

    Attributes
    ----------
    name : str
        The value's name in the model (not the engine's).
    dtype : str or None
        Short dtype name; ``None`` for what is no tensor.
    shape : tuple of Dim, or None
        ``None`` where the rank is unknown.
    """

    name: str
    dtype: str | None
    shape: tuple[Dim, ...] | None


@dataclass(frozen=True, slots=True)
class Cut:
    """A cluster made ready for an engine: a model of its own over shared weights.

    Attributes
    ----------
    proto : onnx.ModelProto
        The skeleton: the cluster's nodes in topological order, small constants inside, large ones as graph inputs that
        `weights` fills. ``proto.graph.input`` lists `inputs` first, then the names of `weights`.
    inputs, outputs : tuple of Port
        Boundary values in a fixed order; executables keep this order.
    weights : mapping of str to numpy.ndarray
        Large constants: writeable views of one memory map, never copied. Read-only by agreement.
    node_names : tuple of str
        Keys of the model's nodes, parallel to ``proto.graph.node``, to translate an engine's words back.
    """

    proto: onnx.ModelProto
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    weights: Mapping[str, Array]
    node_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LayerTime:
    """What a layer of an engine took.

    Attributes
    ----------
    name : str
        As the engine calls it.
    kind : str
        What it computes, and with which kernel where the engine says so.
    us : float
        Microseconds, over all runs.
    nodes : tuple of str
        Keys of the model's nodes that are computed in it, in topological order; empty where none can be named: layers
        that the engine has put in between.
    """

    name: str
    kind: str
    us: float
    nodes: tuple[str, ...]


@runtime_checkable
class Request(Protocol):
    """One run at a time: owns its buffers. Ports go by index, in the order of the executable.

    ``take_output`` gives an array that no later run of this request overwrites.
    A request keeps alive what it was given until the next ``set_input`` of that index.
    """

    def set_input(self, index: int, array: Array) -> None:
        """Bind an input by address, without a copy where the engine allows it."""

    def run(self) -> None:
        """Compute; raises whatever the engine raises as :class:`ovpart.errors.RunError`."""

    def start(self) -> None:
        """Begin to compute and return at once."""

    def wait(self) -> None:
        """Wait for what `start` began; raises :class:`ovpart.errors.RunError`."""

    def cancel(self) -> None:
        """Ask a run under way to stop."""

    def take_output(self, index: int) -> Array:
        """Return an output of the last run."""


@runtime_checkable
class Executable(Protocol):
    """A compiled cluster or model.

    An executable may offer more, which the runtime uses where it is there: ``static_shape(index)`` gives the shape that
    an output has in every run (``None`` where it may change), and then its requests have ``bind_output(index, array)``:
    that output is written into `array` in every run from then on, and need not be taken.
    """

    inputs: Sequence[Port]
    outputs: Sequence[Port]

    def bind(self) -> Request:
        """Make a request: one per concurrent run."""

    def export(self) -> bytes | None:
        """Return the compiled blob, ``None`` where the engine has none."""


@runtime_checkable
class TellsLayers(Protocol):
    """An executable that times its layers: what ``compile_profiled`` of a backend gives."""

    def layer_times(self) -> Sequence[LayerTime]:
        """Return what each layer took in the runs since :meth:`forget_layer_times`; asked for once, after the last."""

    def forget_layer_times(self) -> None:
        """Leave out the runs so far."""


@runtime_checkable
class Profiles(Protocol):
    """A backend whose engine times its layers."""

    def compile_profiled(self, cut: Cut, device: str, config: Mapping[str, object]) -> Executable:
        """Compile a cluster so that it times its layers (:class:`TellsLayers`), which slows it down."""


@runtime_checkable
class Backend(Protocol):
    """An engine. One that is a :class:`Profiles` too has its layers in profiles.

    ``config`` of the compile methods holds keys of ovpart's own, in small letters (``num_threads``), and properties of
    the engine as the engine calls them; a key that a backend does not know is an OptionError.
    An engine's package is imported when a method needs it, not with the backend's module.
    """

    name: str

    def devices(self) -> Sequence[Device]:
        """Return the devices that can be used now."""

    def fingerprint(self, device: str) -> str:
        """Return engine build, driver and instruction set in one line: part of every cache key."""

    def compile(self, cut: Cut, device: str, config: Mapping[str, object]) -> Executable:
        """Compile a cluster; raises :class:`ovpart.errors.CompileError` with its stage and, if known, the node."""

    def compile_whole(self, model: Model, device: str, config: Mapping[str, object]) -> Executable:
        """Compile the untouched model; same errors as `compile`."""

    def load(self, blob: bytes | memoryview, cut: Cut, device: str, config: Mapping[str, object]) -> Executable:
        """Take up a blob that `export` gave; raises :class:`ovpart.errors.CompileError` where it does not fit."""
