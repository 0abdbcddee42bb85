"""GPT-2 and T5: what writes text, as a first step over a prompt and as a step with a key/value cache.

The cache goes in and comes out: what a step gives is bound as the next one's input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.topologies.exporting import export
from benchmarks.topologies.language_models import HEADS, LAYERS, LENGTH, SHORTENED, WIDTH, built
from benchmarks.topologies.topology import LANGUAGE, Array, Topology

HEAD = WIDTH // HEADS
WORDS = 32_000
PAST = 40
"""Words that are in the cache already."""
T5_WORDS = 32_128
GPT_CACHE = tuple(f"past_{i}_{kind}" for i in range(LAYERS) for kind in ("key", "value"))
T5_CACHE = tuple(
    f"past_{i}_{side}_{kind}" for i in range(LAYERS) for side in ("self", "cross") for kind in ("key", "value")
)

Feeds = Callable[[int], dict[str, Array]]


def _grown(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.replace("past", "present") for name in names)


def _exported(
    model: Any,
    step: Callable[..., Any],
    feeds: Feeds,
    outputs: tuple[str, ...],
    axes: Mapping[str, Mapping[int, str]],
    opset: int,
    path: Path,
) -> None:
    """Export the function `step` over `model`, called with what `feeds` holds, in that order."""
    import torch

    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *arguments: Any) -> Any:
            return step(*arguments)

    given = {name: torch.from_numpy(array) for name, array in feeds(0).items()}
    dynamic = {name: dict(dims) for name, dims in axes.items()}
    export(Flat(), tuple(given.values()), path, opset=opset, inputs=list(given), outputs=outputs, dynamic=dynamic)


def _ids(words: int, length: int, seed: int, batch: int = 1) -> Array:
    return np.random.default_rng(seed).integers(5, words, (batch, length))


def _gpt2(path: Path) -> None:
    """Write the step over a prompt: logits and the cache that it leaves."""
    model = built("GPT2", "LMHeadModel", vocab_size=WORDS, n_embd=WIDTH, n_head=HEADS)

    def step(ids: Any) -> Any:
        found = model(ids, use_cache=True)
        return found.logits, *_flat(found.past_key_values)

    axes = {"input1": {0: "batch", 1: "sequence"}, "logits": {0: "batch", 1: "sequence"}}
    axes |= {name: {0: "batch", 2: "sequence"} for name in _grown(GPT_CACHE)}
    _exported(model, step, _gpt2_feeds, ("logits", *_grown(GPT_CACHE)), axes, 14, path)


def _gpt2_feeds(seed: int) -> dict[str, Array]:
    return {"input1": _ids(WORDS, LENGTH, seed, 2)}


def _gpt2_with_past(path: Path) -> None:
    """Write the step over one word, with the cache of those before it."""
    from transformers import DynamicCache

    model = built("GPT2", "LMHeadModel", vocab_size=WORDS, n_embd=WIDTH, n_head=HEADS)

    def step(ids: Any, mask: Any, *past: Any) -> Any:
        cache = DynamicCache(list(zip(past[::2], past[1::2], strict=True)))
        found = model(ids, attention_mask=mask, past_key_values=cache, use_cache=True)
        return found.logits, *_flat(found.past_key_values)

    axes = {"input_ids": {0: "batch", 1: "sequence"}, "attention_mask": {0: "batch", 1: "total"}}
    axes |= {name: {0: "batch", 2: "past"} for name in GPT_CACHE}
    axes |= {"logits": {0: "batch", 1: "sequence"}} | {name: {0: "batch", 2: "total"} for name in _grown(GPT_CACHE)}
    _exported(model, step, _gpt2_past_feeds, ("logits", *_grown(GPT_CACHE)), axes, 17, path)


def _gpt2_past_feeds(seed: int) -> dict[str, Array]:
    generator = np.random.default_rng(seed)
    cache = {name: generator.standard_normal((1, HEADS, PAST, HEAD)).astype(np.float32) for name in GPT_CACHE}
    return {"input_ids": _ids(WORDS, 1, seed), "attention_mask": np.ones((1, PAST + 1), np.int64), **cache}


def _flat(cache: Any) -> list[Any]:
    """Return keys and values of each layer in turn."""
    return [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]


def _t5() -> Any:
    return built(
        "T5", "ForConditionalGeneration", vocab_size=T5_WORDS, d_model=WIDTH, d_kv=HEAD, d_ff=4 * WIDTH,
        num_layers=LAYERS, num_heads=HEADS,
    )  # fmt: skip


def _t5_encoder(path: Path) -> None:
    model = _t5()

    def encode(ids: Any, mask: Any) -> Any:
        return model.encoder(ids, attention_mask=mask).last_hidden_state

    axes = {name: {0: "batch", 1: "sequence"} for name in ("input_ids", "attention_mask", "hidden_states")}
    _exported(model, encode, _t5_encoder_feeds, ("hidden_states",), axes, 12, path)


def _t5_encoder_feeds(seed: int) -> dict[str, Array]:
    mask = np.ones((2, LENGTH), np.int64)
    mask[1, LENGTH - 9 - seed % 4 :] = 0
    return {"input_ids": _ids(T5_WORDS, LENGTH, seed, 2) * mask, "attention_mask": mask}


def _t5_decoder(path: Path) -> None:
    """Write the first step: no cache, the encoder's states in."""
    model = _t5()

    def decode(ids: Any, mask: Any, states: Any) -> Any:
        found = model(
            encoder_outputs=(states,), attention_mask=mask, decoder_input_ids=ids, use_cache=False, return_dict=True
        )
        return found.logits

    axes = {"input_ids": {0: "batch", 1: "target"}, "encoder_attention_mask": {0: "batch", 1: "sequence"}}
    axes |= {"encoder_hidden_states": {0: "batch", 1: "sequence"}, "logits": {0: "batch", 1: "target"}}
    _exported(model, decode, _t5_decoder_feeds, ("logits",), axes, 12, path)


def _t5_decoder_feeds(seed: int) -> dict[str, Array]:
    generator = np.random.default_rng(seed)
    states = generator.standard_normal((1, LENGTH, WIDTH)).astype(np.float32)
    mask = np.ones((1, LENGTH), np.int64)
    return {"input_ids": _ids(T5_WORDS, 16, seed), "encoder_attention_mask": mask, "encoder_hidden_states": states}


def _t5_with_past(path: Path) -> None:
    """Write a later step: keys and values of the text so far and of the encoder's states come from the cache."""
    from transformers import DynamicCache, EncoderDecoderCache

    model = _t5()

    def decode(ids: Any, mask: Any, states: Any, *past: Any) -> Any:
        own, cross = list(zip(past[::4], past[1::4], strict=True)), list(zip(past[2::4], past[3::4], strict=True))
        cache = EncoderDecoderCache(DynamicCache(own), DynamicCache(cross))
        found = model(
            encoder_outputs=(states,), attention_mask=mask, decoder_input_ids=ids, past_key_values=cache,
            use_cache=True, return_dict=True,
        )  # fmt: skip
        return found.logits, *_flat(found.past_key_values.self_attention_cache)

    own = tuple(name for name in T5_CACHE if "self" in name)
    axes = {"input_ids": {0: "batch"}, "encoder_attention_mask": {0: "batch", 1: "sequence"}}
    axes |= {name: {0: "batch", 2: "past" if "self" in name else "sequence"} for name in T5_CACHE}
    axes |= {"encoder_hidden_states": {0: "batch", 1: "sequence"}, "logits": {0: "batch"}}
    axes |= {name: {0: "batch", 2: "total"} for name in _grown(own)}
    _exported(model, decode, _t5_past_feeds, ("logits", *_grown(own)), axes, 14, path)


def _t5_past_feeds(seed: int) -> dict[str, Array]:
    generator = np.random.default_rng(seed)
    cache = {
        name: generator.standard_normal((1, HEADS, PAST if "self" in name else LENGTH, HEAD)).astype(np.float32)
        for name in T5_CACHE
    }
    states = generator.standard_normal((1, LENGTH, WIDTH)).astype(np.float32)
    mask = np.ones((1, LENGTH), np.int64)
    return {
        "input_ids": _ids(T5_WORDS, 1, seed), "encoder_attention_mask": mask, "encoder_hidden_states": states, **cache
    }  # fmt: skip


TOPOLOGIES = (
    Topology("gpt2", LANGUAGE, _gpt2, _gpt2_feeds, f"{SHORTENED}, over a prompt"),
    Topology("gpt2 with past", LANGUAGE, _gpt2_with_past, _gpt2_past_feeds, f"{SHORTENED}, one word and its cache"),
    Topology("t5-base", LANGUAGE, _t5_encoder, _t5_encoder_feeds, "width 384 of 768, the encoder"),
    Topology("t5-base decoder", LANGUAGE, _t5_decoder, _t5_decoder_feeds, "width 384 of 768, the first step"),
    Topology(
        "t5-base decoder with past", LANGUAGE, _t5_with_past, _t5_past_feeds, "width 384 of 768, one word and its cache"
    ),
)
