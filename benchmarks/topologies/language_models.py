"""What language networks are made from: transformers' modules with random weights, at half their width.

Widths are half (384 of 768 units, 6 of 12 heads, so that a head is as wide as ever), depth and operators whole, and
vocabularies over 32,000 words are cut to that. Weights are drawn wide enough that attention picks words out: with the
tiny ones that training starts from, every position would look alike.
"""

from __future__ import annotations

from typing import Any

from benchmarks.topologies.vision import torchvision

WIDTH, HEADS, LAYERS = 384, 6, 12
LARGEST_VOCABULARY = 32_000
LENGTH = 64
"""Words of the sequences that the networks run on, where the original does not fix the number."""

NARROWED = "width 384 of 768"
SHORTENED = "width 384 of 768, 32,000 words"
EMBEDDINGS = ("embed", "wte", "wpe", "shared", "relative_attention_bias")

PROJECTIONS = ("attention.output.dense", "out_lin", "attn.c_proj", "Attention.o")
"""What attention adds to each word, at half strength: else all words become one after some layers."""


def seeded_language(module: Any, seed: int = 0) -> Any:
    """Return `module` in evaluation mode with random weights under which positions, heads and layers differ."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    for name, weight in module.named_parameters():
        damping = 0.5 if any(word in name for word in PROJECTIONS) else 1.0
        if weight.dim() < 2:
            nn.init.normal_(weight, mean=float(name.endswith("weight")), std=0.1)
        else:
            embedding = any(word in name for word in EMBEDDINGS)
            nn.init.normal_(weight, std=1.0 if embedding else damping * weight.shape[-1] ** -0.5)
    return module.eval()


def built(kind: str, head: str, **settings: object) -> Any:
    """Return transformers' module, such as BertForMaskedLM of `kind` Bert and `head` ForMaskedLM, seeded.

    Attention is written out: that is what the documents' files hold.
    """
    torchvision()
    import transformers

    config = getattr(transformers, f"{kind}Config")(**settings)
    config._attn_implementation = "eager"
    return seeded_language(getattr(transformers, f"{kind}{head}")(config))
