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
        elif isinstance(part, nn.PReLU):
            nn.init.uniform_(part.weight, 0.1, 0.4)
        elif isinstance(part, nn.modules.batchnorm._NormBase | nn.GroupNorm):
            if weight is not None and bias is not None:
                nn.init.uniform_(weight, 0.7, 1.1)
                nn.init.normal_(bias, std=0.1)
            if getattr(part, "running_mean", None) is not None:
                nn.init.normal_(part.running_mean, std=0.1)
                nn.init.uniform_(part.running_var, 0.7, 1.5)
    return module.eval()


def settled(module: Any, *arguments: Any) -> Any:
    """Return `module` with batch norm statistics near those of one run on `arguments`, as training leaves them.

    Near, and not equal: random factors keep each norm from being a mere repetition of its input's statistics. For deep
    residual networks, in which the signal would else double from block to block.
    """
    import torch
    from torch import nn

    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    # One value a channel has no variance: such norms keep what they were given.
    flat = [norm for norm in norms if isinstance(norm, nn.BatchNorm1d)]
    for norm in norms:
        if norm not in flat:
            norm.train()
            norm.momentum = 1.0
    with torch.no_grad():
        module(*arguments)
        for norm in norms:
            norm.eval()
            if norm not in flat:
                norm.momentum = 0.1
                norm.running_var.clamp_(min=1e-4)
                norm.running_mean += 0.1 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
                norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.8, 1.3)
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
    keep_norms: bool = False,
) -> None:
    """Write `module`, as it runs on `arguments`, to `path`; by the older exporter unless `dynamo`.

    `keep_norms` keeps each BatchNormalization, and Dropout too, where the older exporter would fold them away: so are
    the files of other frameworks.
    """
    import torch

    mode = torch.onnx.TrainingMode.PRESERVE if keep_norms else torch.onnx.TrainingMode.EVAL
    older: dict[str, Any] = {} if dynamo else {"training": mode, "do_constant_folding": not keep_norms}
    with torch.no_grad():
        torch.onnx.export(
            module, arguments, str(path), opset_version=opset, input_names=list(inputs), output_names=list(outputs),
            dynamic_axes=dynamic, dynamo=dynamo, **older,
        )  # fmt: skip
