"""From a torch module to a file: seeded weights that keep a signal alive through any depth, then torch's exporters.

Imports torch inside functions: the environment that runs models has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def seeded(module: Any, seed: int = 0) -> Any:
    """Return `module` in evaluation mode with random weights and batch norm statistics, the same for the same seed.

    Convolutions and linear layers keep the variance of what passes (He's rule); norms scale by about 1, and running
    means and variances are random too, so that an engine that mixes them up is found out.
    """
    import torch
    from torch import nn

    torch.manual_seed(seed)
    for part in module.modules():
        weight, bias = getattr(part, "weight", None), getattr(part, "bias", None)
        if isinstance(part, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, mode="fan_in", nonlinearity="relu")
            if bias is not None:
                nn.init.normal_(bias, std=0.05)
        elif isinstance(part, nn.modules.batchnorm._NormBase | nn.GroupNorm):
            if weight is not None and bias is not None:
                nn.init.uniform_(weight, 0.7, 1.1)
                nn.init.normal_(bias, std=0.1)
            if getattr(part, "running_mean", None) is not None:
                nn.init.normal_(part.running_mean, std=0.1)
                nn.init.uniform_(part.running_var, 0.7, 1.5)
    return module.eval()


def export(
    module: Any,
    arguments: tuple[Any, ...],
    path: Path,
    *,
    opset: int,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic: dict[str, dict[int, str]] | None = None,
    dynamo: bool = False,
) -> None:
    """Write `module`, as it runs on `arguments`, to `path`; by the older exporter unless `dynamo`."""
    import torch

    with torch.no_grad():
        torch.onnx.export(
            module, arguments, str(path), opset_version=opset, input_names=list(inputs), output_names=list(outputs),
            dynamic_axes=dynamic, dynamo=dynamo, do_constant_folding=True,
        )  # fmt: skip
