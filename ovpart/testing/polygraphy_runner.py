"""A Polygraphy runner, so that ``polygraphy run`` and ``polygraphy debug reduce`` work on ovpart.

Needs Polygraphy: ``pip install ovpart[polygraphy]``. Its command line finds :func:`argument_groups` by the entry-point
group ``polygraphy.run.plugins``.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from polygraphy.backend.base import BaseRunner
from polygraphy.common import TensorMetadata
from polygraphy.datatype import DataType
from polygraphy.tools.args import ModelArgs, OnnxLoadArgs
from polygraphy.tools.args import util as args_util
from polygraphy.tools.args.base import BaseRunnerArgs
from polygraphy.tools.script import make_invocable
from polygraphy.util import invoke_if_callable

if TYPE_CHECKING:
    import os

    import onnx

    from ovpart.backend.base import Array


class OvpartRunner(BaseRunner):  # type: ignore[misc]  # Polygraphy has no types
    """Runs a model with ovpart, under Polygraphy's comparator.

    Parameters
    ----------
    model : path, bytes, onnx.ModelProto, or a callable that gives one of them
        The model; a session is made of it when the runner is activated.
    device : str
        The device that nodes are delegated to.
    name : str, optional
        What Polygraphy calls the runner.
    **options
        Options of a session. ``min_gain`` is 0 unless it is given: who compares wants to see the device compute.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes | onnx.ModelProto | Callable[[], Any],
        device: str = "CPU",
        *,
        name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name=name, prefix=f"ovpart-{device}")
        self._model = model
        self._options = {"min_gain": 0, **options, "device": device}

    def activate_impl(self) -> None:
        """Make the session."""
        from ovpart.session import Session

        model, _ = invoke_if_callable(self._model)
        self.session = Session(model, **self._options)

    def get_input_metadata_impl(self) -> Any:
        """Return names, dtypes and shapes of the inputs."""
        described = TensorMetadata()
        for port in self.session.get_inputs():
            described.add(port.name, dtype=DataType.from_dtype(port.type, "onnxruntime"), shape=port.shape)
        return described

    def infer_impl(self, feed_dict: Mapping[str, Array]) -> OrderedDict[str, Array]:
        """Compute all outputs of a feed of numpy arrays."""
        start = time.perf_counter()
        outputs = self.session.run(None, feed_dict)
        self.inference_time = time.perf_counter() - start
        names = [port.name for port in self.session.get_outputs()]
        return OrderedDict(zip(names, outputs, strict=True))

    def deactivate_impl(self) -> None:
        """Close the session."""
        self.session.close()
        del self.session


class OvpartRunnerArgs(BaseRunnerArgs):  # type: ignore[misc]  # Polygraphy has no types
    """
    ovpart Inference: running inference on Intel devices with ovpart.

    Depends on:

        - ModelArgs
        - OnnxLoadArgs
    """

    def add_parser_args_impl(self) -> None:
        """Declare the flags."""
        self.group.add_argument(
            "--ovpart-device", default="CPU", help="The device that nodes are delegated to: CPU ..."
        )
        self.group.add_argument(
            "--ovpart-options",
            nargs="+",
            default=[],
            metavar="NAME:VALUE",
            help="Options of the session, such as 'min_gain:50 semantics:ieee'. min_gain is 0 unless it is given.",
        )

    def parse_impl(self, args: Any) -> None:
        """Read the flags."""
        self.device = args_util.get(args, "ovpart_device")
        self.options = args_util.parse_arglist_to_dict(args_util.get(args, "ovpart_options"))

    def get_name_opt_impl(self) -> tuple[str, str]:
        """Return what the runner is called, and its flag."""
        return "ovpart", "ovpart"

    def add_to_script_impl(self, script: Any) -> None:
        """Write the runner into the script that Polygraphy runs."""
        loader = self.arg_groups[OnnxLoadArgs]
        must_load = loader.must_use_onnx_loader()
        model = loader.add_to_script(script, serialize_model=True) if must_load else self.arg_groups[ModelArgs].path
        script.add_import(imports=["OvpartRunner"], frm=OvpartRunner.__module__)
        script.add_runner(make_invocable("OvpartRunner", model, device=self.device, **(self.options or {})))


def argument_groups() -> list[BaseRunnerArgs]:
    """Return what ``polygraphy run`` adds to its command line."""
    return [OvpartRunnerArgs()]
