"""What ``ovpart convert`` writes: IR of a model or of its clusters, and models with their plan on them."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from ovpart.backend.fold import fold_constants
from ovpart.backend.registry import backend
from ovpart.errors import OvpartWarning
from ovpart.model.read import read_model
from ovpart.options import resolve
from ovpart.placement.files.annotate import write_annotated
from ovpart.placement.files.ir import write_clusters, write_ir
from ovpart.planning import DEVICE_ENGINE, plan


def convert(
    model: str | os.PathLike[str], kind: str, output: Path | None = None, *, fp16: bool = False, **options: Any
) -> tuple[Path, ...]:
    """Write a model in another form.

    Parameters
    ----------
    model : path
        The model.
    kind : str
        ``"whole"``: IR of all of it. ``"clusters"``: IR of each delegated cluster. ``"annotated"``: ONNX, each node
        with its place and reason.
    output : Path, optional
        By default beside the model: ``NAME.xml``, ``NAME_clusters/``, ``NAME_annotated.onnx``.
    fp16 : bool
        Whether IR keeps weights in f16.
    **options
        Planning options, ``device`` among them; of no effect on ``"whole"``.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    CompileError
        If openvino cannot convert the model, or a cluster of it.
    OptionError
        If the name of the output does not fit, or an option is none of a plan.
    """
    path = Path(model)
    read = read_model(path)
    if kind == "whole":
        given = resolve(options, planning_only=True).given
        for name in sorted(given):
            text = f"{name}={options[name]!r} has no effect: the whole model is converted, no plan is made"
            warnings.warn(text, OvpartWarning, stacklevel=2)
        return write_ir(read, output or path.with_suffix(".xml"), backend(DEVICE_ENGINE), fp16=fp16)
    if kind == "annotated":
        target = output or path.with_name(f"{path.stem}_annotated.onnx")
        return (write_annotated(read, plan(read, **options), target),)
    folded = fold_constants(read)
    target = output or path.with_name(f"{path.stem}_clusters")
    return write_clusters(folded, plan(folded, **options), target, backend(DEVICE_ENGINE), fp16=fp16)
