"""Cases of operators of images, regions, signals, attention; and of those that draw at random."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ovpart.probe.case import Draft
from ovpart.probe.values import Maker


def resize(m: Maker) -> Iterator[Draft]:
    """Yield cases of Resize."""
    x = m.x(m.n, 2, 4, 5, high=3)
    up, down = m.array([1, 1, 2, 1.5], "f32"), m.array([1, 1, 0.5, 0.6], "f32")
    if m.version < 11:
        yield Draft("plain", [x, up], {"mode": "nearest"})
        yield Draft("linear", [x, up], {"mode": "linear"})
        return

    def sized(tag: str, scales: Any, **attributes: Any) -> Draft:
        return Draft(tag, [x, None if m.version >= 13 else m.array([], "f32"), scales], attributes)

    yield sized("plain", up)
    yield Draft("sizes", [m.x(2, 2, 4, 5), *_nothing(m), m.ints(2, 2, 7, 3)], {"mode": "nearest"})
    yield sized("linear", up, mode="linear")
    yield sized("linear down", down, mode="linear")
    if m.dtype != "f32":
        return
    for coordinates in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"):
        if coordinates == "half_pixel_symmetric" and m.version < 19:
            continue
        for mode in ("nearest", "linear", "cubic"):
            for way, scales in (("up", up), ("down", down)):
                tag = f"{mode} {coordinates} {way}"
                yield sized(tag, scales, mode=mode, coordinate_transformation_mode=coordinates)
    twice = m.array([1, 1, 2, 2], "f32")
    yield sized("cubic twice", twice, mode="cubic")
    for mode in ("nearest", "linear"):
        yield sized(f"{mode} align_corners twice", twice, mode=mode, coordinate_transformation_mode="align_corners")
    for rounding in ("round_prefer_ceil", "floor", "ceil"):
        yield sized(rounding, up, mode="nearest", nearest_mode=rounding)
    yield sized("cubic coefficient", up, mode="cubic", cubic_coeff_a=-0.5)
    yield sized("exclude outside", down, mode="cubic", exclude_outside=1)
    crop = {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 9.0}
    roi = m.array([0, 0, 0.1, 0.2, 1, 1, 0.8, 1.2], "f32")
    yield Draft("crop", [x, roi, up], crop)
    if m.version >= 18:
        yield sized("antialias", down, mode="linear", antialias=1)
        scales = m.array([2, 1.5], "f32")
        yield Draft("axes", [x, None, scales], {"mode": "linear", "axes": [2, 3]})
        yield Draft("cubic axes", [x, None, scales], {"mode": "cubic", "axes": [2, 3]})
        for policy in ("not_larger", "not_smaller"):
            kept = {"mode": "nearest", "axes": [2, 3], "keep_aspect_ratio_policy": policy}
            yield Draft(policy, [x, None, None, m.ints(9, 7)], kept)


def _nothing(m: Maker) -> list[Any]:
    return [None, None] if m.version >= 13 else [m.array([], "f32"), m.array([], "f32")]


def upsample(m: Maker) -> Iterator[Draft]:
    """Yield cases of Upsample: scales are an attribute in version 7, an input in 9."""
    for mode in ("nearest", "linear"):
        x = m.x(m.n, 2, 3, 4)
        tag = "plain" if mode == "nearest" else mode
        if m.version < 9:
            yield Draft(tag, [x], {"mode": mode, "scales": [1.0, 1.0, 2.0, 2.0]})
        else:
            yield Draft(tag, [x, m.array([1, 1, 2, 2], "f32")], {"mode": mode})


def grid_sample(m: Maker) -> Iterator[Draft]:
    """Yield cases of GridSample."""
    newer = m.version >= 20
    modes = ("linear", "nearest", "cubic") if newer else ("bilinear", "nearest", "bicubic")
    grid = m.of("f32", m.n, 3, 4, 2, low=-1.2, high=1.2)
    for mode in modes:
        for padding in ("zeros", "border", "reflection"):
            tag = "plain" if (mode, padding) == (modes[0], "zeros") else f"{mode} {padding}"
            yield Draft(tag, [m.x(m.n, 2, 5, 6), grid], {"mode": mode, "padding_mode": padding}, runtime=frozenset({1}))
    yield Draft("corners", [m.x(m.n, 2, 5, 6), grid], {"align_corners": 1}, runtime=frozenset({1}))
    if newer:
        yield Draft("3-D", [m.x(2, 1, 3, 4, 5), m.of("f32", 2, 2, 2, 2, 3, low=-1, high=1)])


def affine_grid(m: Maker) -> Iterator[Draft]:
    """Yield cases of AffineGrid."""
    for corners in (0, 1):
        tag = "corners" if corners else "plain"
        yield Draft(tag, [m.x(2, 2, 3), m.ints(2, 3, 4, 5)], {"align_corners": corners})
    yield Draft("3-D", [m.x(1, 3, 4), m.ints(1, 2, 3, 4, 2)])


def roi(m: Maker) -> Iterator[Draft]:
    """Yield cases of RoiAlign and MaxRoiPool."""
    x = m.x(2, 3, 8, 8)
    if m.op == "MaxRoiPool":
        rois = m.array([[0, 1, 1, 5, 6], [1, 0, 2, 7, 7]])
        yield Draft("plain", [x, rois], {"pooled_shape": [2, 2]})
        yield Draft("scale", [x, rois], {"pooled_shape": [2, 3], "spatial_scale": 0.5})
        return
    rois, which = m.array([[1, 1, 5, 6], [0, 2, 7, 7]]), m.ints(0, 1)
    size = {"output_height": 2, "output_width": 3, "sampling_ratio": 2}
    yield Draft("plain", [x, rois, which], size)
    yield Draft("max", [x, rois, which], {**size, "mode": "max"})
    yield Draft("adaptive", [x, rois, which], {"output_height": 2, "output_width": 2, "spatial_scale": 0.5})
    if m.version >= 16:
        yield Draft("half pixel", [x, rois, which], {**size, "coordinate_transformation_mode": "half_pixel"})
        yield Draft("unshifted", [x, rois, which], {**size, "coordinate_transformation_mode": "output_half_pixel"})


def suppression(m: Maker) -> Iterator[Draft]:
    """Yield cases of NonMaxSuppression."""
    corners = [[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, -0.1, 1, 0.9], [0, 10, 1, 11], [0, 10.1, 1, 11.1], [0, 100, 1, 101]]
    boxes = m.array([corners])
    scores = m.array([[[0.9, 0.75, 0.6, 0.95, 0.5, 0.3]]])
    limits = [m.array([3], "i64"), m.array([0.5], "f32"), m.array([0.0], "f32")]
    yield Draft("plain", [boxes, scores, *limits])
    yield Draft("threshold", [boxes, scores, m.array([3], "i64"), m.array([0.5], "f32"), m.array([0.4], "f32")])
    yield Draft("without limits", [boxes, scores])
    half = m.array([[[0, 0, 1, 1], [0, 0.5, 1, 1.5]]])
    at = m.array([0.3333333432674408], "f32")
    yield Draft("at the threshold", [half, m.array([[[0.9, 0.8]]]), m.array([3], "i64"), at])
    yield Draft("centres", [abs(boxes), scores, *limits], {"center_point_box": 1})


def fourier(m: Maker) -> Iterator[Draft]:
    """Yield cases of DFT, whose axis is an attribute in version 17 and an input since 20."""
    for tag, axis, attributes in (
        ("plain", 1, {}), ("axis 2", 2, {}), ("inverse", 1, {"inverse": 1}), ("one-sided", 1, {"onesided": 1}),
    ):  # fmt: skip
        parts = 2 if tag == "inverse" else 1
        x = m.x(m.n, 8, 4, parts)
        if m.version < 20:
            yield Draft(tag, [x], {"axis": axis, **attributes})
        else:
            yield Draft(tag, [x, None, m.array(axis, "i64")], attributes)


def short_fourier(m: Maker) -> Iterator[Draft]:
    """Yield cases of STFT."""
    window = m.x(8, low=0.5, high=1)
    yield Draft("plain", [m.x(m.n, 32, 1), m.array(4, "i64"), window])
    yield Draft("one-sided", [m.x(m.n, 32, 1), m.array(4, "i64"), window], {"onesided": 1})
    yield Draft("length", [m.x(m.n, 32, 1), m.array(4, "i64"), None, m.array(8, "i64")])
    yield Draft("two-sided", [m.x(m.n, 32, 1), m.array(4, "i64"), window], {"onesided": 0})


def window(m: Maker) -> Iterator[Draft]:
    """Yield cases of the window functions."""
    yield Draft("plain", [m.array(10)])
    yield Draft("symmetric", [m.array(9)], {"periodic": 0})


def mel(m: Maker) -> Iterator[Draft]:
    """Yield a case of MelWeightMatrix."""
    yield Draft("plain", [m.array(8), m.array(16), m.array(8000), m.array(0, "f32"), m.array(4000, "f32")])


def attention(m: Maker) -> Iterator[Draft]:
    """Yield cases of Attention."""

    def heads(count: int, length: int) -> Any:
        return m.x(m.n, count, length, 8, low=-1, high=1)

    qkv = [heads(2, 4), heads(2, 6), heads(2, 6)]
    free = frozenset({1, 2})
    yield Draft("plain", qkv, runtime=free)
    yield Draft("causal", qkv, {"is_causal": 1}, runtime=free)
    yield Draft("mask", [*qkv, m.x(4, 6)], runtime=free)
    yield Draft("truth mask", [*qkv, m.array([[1, 1, 1, 0, 1, 0]] * 4, "bool")], runtime=free)
    yield Draft("softcap", qkv, {"softcap": 2.0}, runtime=free)
    yield Draft("scale", qkv, {"scale": 0.1}, runtime=free)
    yield Draft("fewer key heads", [heads(4, 4), heads(2, 6), heads(2, 6)], runtime=free)
    packed = [m.x(m.n, 4, 16, low=-1, high=1), m.x(m.n, 6, 16, low=-1, high=1), m.x(m.n, 6, 16, low=-1, high=1)]
    yield Draft("3-D", packed, {"q_num_heads": 2, "kv_num_heads": 2}, runtime=free)
    past = [heads(2, 3), heads(2, 3)]
    yield Draft("past", [*qkv, None, *past], outputs=3, runtime=frozenset({1, 2, 4, 5}))
    if m.version >= 25:
        yield Draft("window", qkv, {"left_window_size": 1, "right_window_size": 1}, runtime=free)


def rotary(m: Maker) -> Iterator[Draft]:
    """Yield cases of RotaryEmbedding."""
    x = m.x(m.n, 2, 4, 8)
    cache = [m.x(10, 4), m.x(10, 4)]
    positions = m.of("i64", m.n, 4, low=0, high=9)
    free = frozenset({3})
    yield Draft("plain", [x, *cache, positions], runtime=free)
    yield Draft("interleaved", [x, *cache, positions], {"interleaved": 1}, runtime=free)
    yield Draft("3-D", [m.x(m.n, 4, 16), *cache, positions], {"num_heads": 2}, runtime=free)
    partial = [m.x(10, 2), m.x(10, 2)]
    yield Draft("partial", [x, *partial, positions], {"rotary_embedding_dim": 4, "num_heads": 2}, runtime=free)


def state_space(m: Maker) -> Iterator[Draft]:
    """Yield cases of LinearAttention and CausalConvWithState."""
    if m.op == "CausalConvWithState":
        yield Draft("plain", [m.x(m.n, 3, 6), m.x(3, 1, 4)], outputs=2)
        return
    qkv = [m.x(m.n, 4, 16, low=-1, high=1) for _ in range(3)]
    attributes = {"q_num_heads": 2, "kv_num_heads": 2, "update_rule": "linear"}
    yield Draft("plain", qkv, attributes, outputs=2, runtime=frozenset({1, 2}))


def swiglu(m: Maker) -> Iterator[Draft]:
    """Yield cases of SwiGLU."""
    yield Draft("plain", [m.x(m.n, 4), m.x(m.n, 4)])


def drawn(m: Maker) -> Iterator[Draft]:
    """Yield cases of operators that draw at random, with odds that leave nothing to chance."""
    from ovpart.model.types import dtype_number

    kind = dtype_number(m.dtype)
    if m.op == "Bernoulli":
        yield Draft("plain", [m.array([[0, 1, 1], [1, 0, 0]])])
    elif m.op == "Multinomial":
        yield Draft("plain", [m.array([[0, 60, 0], [60, 0, 0]])], {"sample_size": 4})
    elif m.op == "RandomNormalLike":
        yield Draft("plain", [m.x(m.n, 3)], {"mean": 1.5, "scale": 0.0, "dtype": kind if m.is_float else 1})
    elif m.op == "RandomUniformLike":
        yield Draft("plain", [m.x(m.n, 3)], {"low": 1.5, "high": 1.5, "dtype": kind if m.is_float else 1})
    elif m.op == "RandomNormal":
        yield Draft("plain", [], {"mean": 1.5, "scale": 0.0, "shape": [2, 3], "dtype": kind})
    else:
        yield Draft("plain", [], {"low": 1.5, "high": 1.5, "shape": [2, 3], "dtype": kind})


RECIPES: Mapping[str, Callable[[Maker], Iterator[Draft]]] = {
    **dict.fromkeys(("BlackmanWindow", "HammingWindow", "HannWindow"), window),
    **dict.fromkeys(("MaxRoiPool", "RoiAlign"), roi),
    **dict.fromkeys(("CausalConvWithState", "LinearAttention"), state_space),
    **dict.fromkeys(
        ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"), drawn
    ),
    "AffineGrid": affine_grid,
    "Attention": attention,
    "DFT": fourier,
    "GridSample": grid_sample,
    "MelWeightMatrix": mel,
    "NonMaxSuppression": suppression,
    "Resize": resize,
    "RotaryEmbedding": rotary,
    "STFT": short_fourier,
    "SwiGLU": swiglu,
    "Upsample": upsample,
}
"""Operator → its cases."""
