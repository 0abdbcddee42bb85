"""Decoders of today, small: a key/value cache goes in and comes out, heads share keys, positions are rotated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.topologies.sketch import Sketch, info
from benchmarks.topologies.topology import Array, floats

HEADS, KEYS, HEAD, PAST = 4, 2, 16, 6
"""Heads, those that keys and values have, numbers of each, and words in the cache."""


def cached(path: Path, *, layers: int = 3) -> None:
    """Write a decoder of today: RMS norms, rotary positions, grouped heads, keys and values in and out (opset 23)."""
    s = Sketch(23, seed=27)
    width = HEADS * HEAD
    x = s.add("Gather", s.constant(s.weights(200, width, std=1.0)), "ids")
    angles = np.arange(64)[:, None] / 10 ** (np.arange(HEAD // 2) / 4)
    cos, sin = s.constant(np.cos(angles).astype(np.float32)), s.constant(np.sin(angles).astype(np.float32))

    def linear(x: str, inward: int, outward: int) -> str:
        return s.add("MatMul", x, s.constant(s.weights(inward, outward, std=1 / np.sqrt(inward))))

    def normed(x: str) -> str:
        gain = s.constant(s.random.uniform(0.7, 1.3, width).astype(np.float32))
        return s.add("RMSNormalization", x, gain, axis=-1)

    for i in range(layers):
        y = normed(x)
        q, k = linear(y, width, width), linear(y, width, KEYS * HEAD)
        q = s.add("RotaryEmbedding", q, cos, sin, "positions", num_heads=HEADS)
        k = s.add("RotaryEmbedding", k, cos, sin, "positions", num_heads=KEYS)
        names = [s.name("attended"), f"key_{i}_out", f"value_{i}_out"]
        parts = (q, k, linear(y, width, KEYS * HEAD), "", f"key_{i}", f"value_{i}")
        sizes: dict[str, Any] = {"q_num_heads": HEADS, "kv_num_heads": KEYS, "is_causal": 1}
        y = s.many("Attention", *parts, outputs=names, **sizes)[0]
        x = s.add("Add", x, linear(y, width, width))
        y = normed(x)
        gate = linear(y, width, 2 * width)
        y = s.add("Mul", s.activated(gate, "silu"), linear(y, width, 2 * width))
        x = s.add("Add", x, linear(y, 2 * width, width))
    s.add("MatMul", normed(x), s.constant(s.weights(width, 200, std=0.1)), output="logits")
    states = [f"{kind}_{i}" for i in range(layers) for kind in ("key", "value")]
    tokens = ["batch", "tokens"]
    inputs = [info("ids", tokens, "INT64"), info("positions", tokens, "INT64")]
    inputs += [info(name, ["batch", KEYS, "past", HEAD]) for name in states]
    outputs = [info(f"{name}_out", ["batch", KEYS, "total", HEAD]) for name in states]
    s.save(path, inputs, [info("logits", [*tokens, 200]), *outputs])


def cache_feeds(seed: int, layers: int = 3) -> dict[str, Array]:
    """Return two words after those of a cache (seed 0: one word)."""
    generator = np.random.default_rng(seed)
    words = 1 + seed % 2
    positions = np.arange(PAST, PAST + words)[None]
    states = {f"{kind}_{i}": (1, KEYS, PAST, HEAD) for i in range(layers) for kind in ("key", "value")}
    return {"ids": generator.integers(0, 200, (1, words)), "positions": positions, **floats(seed, **states)}


def grouped(path: Path, *, layers: int = 3) -> None:
    """Write the decoder as onnxruntime's own tools do: GroupQueryAttention with its rotation, simplified norms."""
    import onnx

    s = Sketch(17, seed=28, com_microsoft=1)
    width = HEADS * HEAD
    x = s.add("Gather", s.constant(s.weights(200, width, std=1.0)), "ids")
    angles = np.arange(64)[:, None] / 10 ** (np.arange(HEAD // 2) / 4)
    cos, sin = s.constant(np.cos(angles).astype(np.float32)), s.constant(np.sin(angles).astype(np.float32))
    lengths = s.add("Cast", s.add("Sub", s.add("ReduceSum", "mask", s.constant([1])), s.constant([[1]])), to=6)
    total = s.add("Cast", s.add("Gather", s.add("Shape", "mask"), s.constant(1)), to=6)

    def linear(x: str, inward: int, outward: int) -> str:
        return s.add("MatMul", x, s.constant(s.weights(inward, outward, std=1 / np.sqrt(inward))))

    sizes: dict[str, Any] = {"num_heads": HEADS, "kv_num_heads": KEYS, "do_rotary": 1}
    for i in range(layers):
        gain = s.constant(s.random.uniform(0.7, 1.3, width).astype(np.float32))
        y = s.add("SimplifiedLayerNormalization", x, gain, axis=-1, epsilon=1e-5)
        parts = [linear(y, width, outward) for outward in (width, KEYS * HEAD, KEYS * HEAD)]
        names = [s.name("attended"), f"key_{i}_out", f"value_{i}_out"]
        given = (*parts, f"key_{i}", f"value_{i}", lengths, total, cos, sin)
        y = s.many("GroupQueryAttention", *given, outputs=names, domain="com.microsoft", **sizes)[0]
        gain = s.constant(s.random.uniform(0.7, 1.3, width).astype(np.float32))
        names = [s.name("normed"), "", "", s.name("summed")]
        skip = "SkipSimplifiedLayerNormalization"
        y, _, _, x = s.many(skip, x, linear(y, width, width), gain, outputs=names, domain="com.microsoft")
        x = s.add("Add", x, linear(s.activated(linear(y, width, 2 * width), "silu"), 2 * width, width))
    s.add("MatMul", x, s.constant(s.weights(width, 200, std=0.1)), output="logits")
    states = [f"{kind}_{i}" for i in range(layers) for kind in ("key", "value")]
    inputs = [info("ids", ["batch", "tokens"], "INT64"), info("mask", ["batch", "total"], "INT64")]
    inputs += [info(name, ["batch", KEYS, "past", HEAD]) for name in states]
    outputs = [info(f"{name}_out", ["batch", KEYS, "total", HEAD]) for name in states]
    onnx.save(s.model(inputs, [info("logits", ["batch", "tokens", 200]), *outputs], checked=False), path)


def grouped_feeds(seed: int, layers: int = 3) -> dict[str, Array]:
    """Return one word after those of a cache, which is shorter with an odd seed."""
    generator = np.random.default_rng(seed)
    past = PAST - seed % 2
    states = {f"{kind}_{i}": (1, KEYS, past, HEAD) for i in range(layers) for kind in ("key", "value")}
    return {
        "ids": generator.integers(0, 200, (1, 1)), "mask": np.ones((1, past + 1), np.int64), **floats(seed, **states)
    }  # fmt: skip
