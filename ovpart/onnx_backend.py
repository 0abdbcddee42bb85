"""ovpart behind the backend interface of onnx, so that what speaks that interface can drive it.

The official tests of onnx (``onnx.backend.test``) are the best known user: ``benchmarks/conformance`` runs them.
Everything that a session takes as an option may be given as a keyword argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onnx.backend.base import Backend, BackendRep

from ovpart.errors import InputError, ModelError
from ovpart.placement.engines import devices
from ovpart.session import Session

if TYPE_CHECKING:
    import onnx

    from ovpart.backend.base import Array

_TOLERANCES = frozenset({"rtol", "atol"})
"""Keyword arguments that the official runner hands to `prepare` though they are its own."""


class OvpartRep(BackendRep):
    """A model that is prepared: a session that takes its inputs by position.

    Attributes
    ----------
    session : Session
        What runs it; its report tells what went where.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Array, ...]:
        """Compute all outputs.

        Parameters
        ----------
        inputs : sequence of array, mapping of str to array, or array
            By position in the model's order, where initializers that are inputs too may follow; by name; or the only
            one.
        **kwargs
            None is known.

        Returns
        -------
        tuple of numpy.ndarray
            In the model's order.

        Raises
        ------
        InputError
            If the inputs do not fit the model, or there is a keyword argument.
        RunError
            If the engines fail on this input.
        """
        if kwargs:
            raise InputError(f"run takes no keyword arguments, got {', '.join(kwargs)}: give options to prepare")
        return tuple(self.session.run(None, self._feed(inputs)))

    def _feed(self, inputs: Any) -> Mapping[str, Array]:
        if isinstance(inputs, Mapping):
            return inputs
        names = [argument.name for argument in self.session.get_inputs()]
        values = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        if len(values) != len(names):
            raise InputError(f"the model has {len(names)} inputs ({', '.join(names)}), got {len(values)}")
        return dict(zip(names, values, strict=True))


class OvpartBackend(Backend):
    """ovpart as a backend of onnx; `device` is openvino's name of a device, with ``CPU:0`` for ``CPU`` too.

    Examples
    --------
    >>> from ovpart import onnx_backend
    >>> onnx_backend.prepare(model, "CPU", min_gain=0).run([x])  # doctest: +SKIP
    """

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether openvino offers a device on this machine; ``CUDA`` never is."""
        wanted = _device(device)
        return any(found.name == wanted or found.name.startswith(f"{wanted}.") for found in devices())

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether the device is there: no valid model is refused beforehand."""
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> OvpartRep:
        """Make a session.

        Parameters
        ----------
        model : onnx.ModelProto
            Or a path, or bytes.
        device : str
            What nodes are delegated to.
        **kwargs
            Options of :class:`ovpart.Session`. ``rtol`` and ``atol``, which belong to the official runner, are let by.

        Raises
        ------
        OvpartError
            As :class:`ovpart.Session` does.
        """
        options = {name: value for name, value in kwargs.items() if name not in _TOLERANCES}
        return OvpartRep(Session(model, device=_device(device), **options))

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any) -> tuple[Array, ...]:
        """Prepare a model, compute its outputs once, and let go of it."""
        prepared = cls.prepare(model, device, **kwargs)
        with prepared.session:
            return prepared.run(inputs)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[Any, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Array, ...]:
        """Compute one operator.

        Parameters
        ----------
        node : onnx.NodeProto
            The node.
        inputs : sequence of array, or mapping of str to array
            By position, one for each input that has a name; or by name.
        device : str
            What it may be delegated to.
        outputs_info : sequence of (dtype, shape), optional
            Of the outputs, where onnx's inference cannot tell.
        **kwargs
            ``opset_version`` of the node's domain (the newest that onnx knows, without), and options of a session.

        Raises
        ------
        InputError
            If there is not one array an input.
        ModelError
            If the type of an output is neither inferred nor given.
        """
        feed = _by_name(node, inputs)
        opset = kwargs.pop("opset_version", None) or _newest_opset(node.domain)
        return cls.run_model(_model_of(node, feed, outputs_info, opset), feed, device, **kwargs)


def _device(device: str) -> str:
    """Return openvino's name of a device: ``GPU:1`` of onnx is ``GPU.1``, ``CPU:0`` is ``CPU``."""
    name, _, number = device.partition(":")
    return f"{name}.{number}" if number and (name, number) != ("CPU", "0") else name


def _by_name(node: onnx.NodeProto, inputs: Any) -> dict[str, Array]:
    names = list(dict.fromkeys(name for name in node.input if name))
    if isinstance(inputs, Mapping):
        return {name: inputs[name] for name in names}
    given = [name for name in node.input if name]
    if len(inputs) != len(given):
        raise InputError(f"{node.op_type} reads {len(given)} inputs ({', '.join(given)}), got {len(inputs)}")
    return dict(zip(given, inputs, strict=True))


def _newest_opset(domain: str) -> int:
    import onnx.defs

    if domain in ("", "ai.onnx"):
        return onnx.defs.onnx_opset_version()
    known = [schema.since_version for schema in onnx.defs.get_all_schemas_with_history() if schema.domain == domain]
    return max(known, default=1)


def _model_of(
    node: onnx.NodeProto,
    feed: Mapping[str, Array],
    outputs_info: Sequence[tuple[Any, tuple[int, ...]]] | None,
    opset: int,
) -> onnx.ModelProto:
    """Return a model of one node, typed as what is fed."""
    import numpy as np
    import onnx
    from onnx import helper

    def info(name: str, dtype: Any, shape: Sequence[int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)

    inputs = [info(name, np.asarray(value).dtype, np.shape(value)) for name, value in feed.items()]
    made = [name for name in node.output if name]
    outputs = (
        [info(name, *about) for name, about in zip(made, outputs_info, strict=True)]
        if outputs_info is not None
        else [onnx.ValueInfoProto(name=name) for name in made]
    )
    graph = helper.make_graph([node], node.op_type, inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(node.domain, opset)])
    return _inferred(model) if outputs_info is None else model


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    import onnx.shape_inference

    inferred = onnx.shape_inference.infer_shapes(model)
    for output in inferred.graph.output:
        if output.type.WhichOneof("value") is None:
            raise ModelError(
                f"the type of output {output.name!r} of {model.graph.name} cannot be inferred: give outputs_info"
            )
    return inferred


is_compatible = OvpartBackend.is_compatible
prepare = OvpartBackend.prepare
run_model = OvpartBackend.run_model
run_node = OvpartBackend.run_node
supports_device = OvpartBackend.supports_device
