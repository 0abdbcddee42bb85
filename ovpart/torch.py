"""PyTorch modules on ovpart: exported to ONNX, partitioned, run, torch tensors in and out without copies.

Needs PyTorch 2.6 or newer with onnxscript: ``pip install "ovpart[torch]"``. Nothing else in ovpart imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

from ovpart.backend.forks import OwnFolder
from ovpart.errors import InputError, OptionError
from ovpart.session import Session

if TYPE_CHECKING:
    import numpy as np

    from ovpart.report.model import Report

# Dtypes that numpy lacks → the integer of their size, through which their bits are handed over.
_CARRIED = {
    torch.bfloat16: (torch.uint16, "bfloat16"),
    torch.float8_e4m3fn: (torch.uint8, "float8_e4m3fn"),
    torch.float8_e5m2: (torch.uint8, "float8_e5m2"),
}


class Wrapped(torch.nn.Module):
    """A module that runs on ovpart; made by :func:`wrap`. For inference: its outputs carry no gradient.

    Attributes
    ----------
    session : ovpart.Session
        What runs.
    """

    def __init__(self, session: Session, folder: OwnFolder, example: Any, out_spec: pytree.TreeSpec) -> None:
        super().__init__()
        self.session = session
        self._folder = folder  # the weights are mapped from a file in it
        leaves, self._in_spec = pytree.tree_flatten(example)
        self._fixed = {i: leaf for i, leaf in enumerate(leaves) if not isinstance(leaf, torch.Tensor)}
        self._out_spec = out_spec
        self._names = [port.name for port in session.get_inputs()]
        given = len(leaves) - len(self._fixed)
        if given != len(self._names):
            raise OptionError(
                f"the module takes {given} tensors, the exported model {len(self._names)} inputs "
                f"({', '.join(self._names)}): an input that changes nothing was left out. Leave it out of the call too."
            )

    @property
    def report(self) -> Report:
        """What went where and why."""
        return self.session.report

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run on tensors of the CPU, in the structure of the example.

        Returns
        -------
        Any
            Tensors in the structure that the module returns. Their memory is their own.

        Raises
        ------
        InputError
            If the structure, a value that is no tensor, a dtype or a shape is not that of the example.
        """
        leaves, spec = pytree.tree_flatten((args, kwargs))
        if spec != self._in_spec:
            raise InputError(f"the call has the structure {spec}; the module was exported with {self._in_spec}")
        for index, value in self._fixed.items():
            if leaves[index] is not value and leaves[index] != value:
                raise InputError(
                    f"argument {index} is {leaves[index]!r}; the module was exported with {value!r}, which is fixed "
                    "since then. Wrap the module again with the other value."
                )
        tensors = [leaf for i, leaf in enumerate(leaves) if i not in self._fixed]
        feed = {name: to_numpy(tensor) for name, tensor in zip(self._names, tensors, strict=True)}
        return pytree.tree_unflatten([to_torch(array) for array in self.session.run(None, feed)], self._out_spec)


def wrap(
    module: torch.nn.Module,
    example_inputs: Sequence[Any] | torch.Tensor,
    *,
    example_kwargs: Mapping[str, Any] | None = None,
    dynamic_shapes: Any = None,
    opset: int | None = None,
    device: str = "CPU",
    **options: Any,
) -> Wrapped:
    """Export a module, partition it, and return a module that runs on ovpart.

    Parameters
    ----------
    module : torch.nn.Module
        Exported as it is in ``eval()``; its own mode stays. It must be one that ``torch.export`` takes.
    example_inputs : sequence, or one tensor
        Positional arguments to export with.
    example_kwargs : mapping, optional
        Keyword arguments to export with.
    dynamic_shapes : optional
        Which dimensions may change, as ``torch.onnx.export`` takes it: ``({0: "batch"},)``. Others are fixed.
    opset : int, optional
        ONNX opset to export to; by default torch's.
    device : str
        As for :class:`ovpart.Session`.
    **options
        Options of :class:`ovpart.Session`.

    Raises
    ------
    OptionError
        If an option is unknown, or the example has tensors that the module does not use.

    Notes
    -----
    What torch cannot export it refuses with ``torch.onnx.OnnxExporterError``, which comes through as it is.
    """
    args = (example_inputs,) if isinstance(example_inputs, torch.Tensor) else tuple(example_inputs)
    kwargs = dict(example_kwargs or {})
    training = module.training
    module.eval()
    try:
        program = torch.onnx.export(
            module, args, kwargs=kwargs, dynamo=True, dynamic_shapes=dynamic_shapes, opset_version=opset, verbose=False
        )
    finally:
        module.train(training)
    if program is None or program.exported_program is None:
        raise OptionError("torch.onnx.export gave no program: this PyTorch is too old, 2.6 is needed")
    folder = OwnFolder("ovpart-torch-")
    path = folder.path / "module.onnx"
    program.save(str(path), external_data=True)
    session = Session(path, device=device, **options)
    return Wrapped(session, folder, (args, kwargs), program.exported_program.call_spec.out_spec)


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor of the CPU as an array over the same memory; a dtype that numpy lacks as ml_dtypes has it.

    Raises
    ------
    InputError
        If the tensor is on another device.
    """
    if not isinstance(tensor, torch.Tensor):
        raise InputError(f"a tensor is needed where the example had one, not {type(tensor).__name__}")
    if tensor.device.type != "cpu":
        raise InputError(f"the tensor is on {tensor.device}; move it to the CPU first: tensor.cpu()")
    plain = tensor.detach().contiguous()
    if plain.dtype not in _CARRIED:
        array: np.ndarray = plain.numpy()
        return array
    import ml_dtypes
    import numpy as np

    carrier, name = _CARRIED[plain.dtype]
    bits: np.ndarray = plain.view(carrier).numpy()
    return bits.view(np.dtype(getattr(ml_dtypes, name)))


def to_torch(array: np.ndarray) -> torch.Tensor:
    """Return an array as a tensor over the same memory."""
    for dtype, (carrier, name) in _CARRIED.items():
        if array.dtype.name == name:
            whole = torch.from_numpy(array.view(f"uint{8 * carrier.itemsize}"))
            return whole.view(dtype)
    return torch.from_numpy(array)
