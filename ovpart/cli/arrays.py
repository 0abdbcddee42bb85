"""Arrays for the command line: inputs from files or at random, outputs into files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import numpy as np

# onnxruntime's names of element types (NodeArg.type) as numpy spells them; what numpy lacks comes from ml_dtypes.
_DTYPES = {
    "float": "float32", "double": "float64", "float16": "float16", "bfloat16": "bfloat16", "bool": "bool",
    "int8": "int8", "int16": "int16", "int32": "int32", "int64": "int64",
    "uint8": "uint8", "uint16": "uint16", "uint32": "uint32", "uint64": "uint64", "string": "object",
}  # fmt: skip


def load_inputs(files: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Read one .npy file an input; pickled objects are refused.

    Raises
    ------
    click.BadParameter
        If a file is not there or is no array.
    """
    import numpy as np

    arrays: dict[str, np.ndarray] = {}
    for name, file in files.items():
        try:
            loaded = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise click.BadParameter(f"{file}: {error}", param_hint="--input") from error
        if not isinstance(loaded, np.ndarray):
            raise click.BadParameter(f"{file} holds several arrays: give one .npy an input", param_hint="--input")
        arrays[name] = loaded.astype(object) if loaded.dtype.kind == "U" else loaded
    return arrays


def parse_shapes(shapes: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Read ``1,3,224,224`` (or ``1x3x224x224``) for each input; an empty text is a scalar.

    Raises
    ------
    click.BadParameter
        If a dimension is no number, or negative.
    """
    parsed = {}
    for name, text in shapes.items():
        dims = [d for d in re.split(r"[,x]", text.strip()) if d]
        if not all(d.strip().isdecimal() for d in dims):
            raise click.BadParameter(f"{text!r} is no shape: write {name}=1,3,224,224", param_hint="--shape")
        parsed[name] = tuple(int(d) for d in dims)
    return parsed


def random_inputs(
    needed: Sequence[Any], given: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], seed: int
) -> dict[str, np.ndarray]:
    """Make the inputs that were not given: floats normally distributed, integers 0 or 1, strings ``"a"``.

    Parameters
    ----------
    needed : sequence
        What ``Session.get_inputs`` returns.
    given : mapping
        Inputs that are there already.
    shapes : mapping
        Shapes of inputs; else the declared one with 1 for every free dimension.
    seed : int
        The same seed gives the same arrays.

    Raises
    ------
    click.UsageError
        If an input is no tensor.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {}
    for argument in needed:
        shape = shapes.get(argument.name, tuple(d if isinstance(d, int) else 1 for d in argument.shape))
        if argument.name in given:
            continue
        element = re.fullmatch(r"tensor\((\w+)\)", argument.type)
        if element is None or element[1] not in _DTYPES:
            message = f"input {argument.name!r} is of type {argument.type}: nothing random can be made of that"
            raise click.UsageError(message)
        arrays[argument.name] = _random(generator, _DTYPES[element[1]], shape)
    return arrays


def _random(generator: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    import numpy as np

    if dtype == "object":
        return np.full(shape, "a", dtype=object)
    if "float" in dtype:
        wide = np.asarray(generator.normal(size=shape))
        if dtype == "bfloat16":
            import ml_dtypes

            return wide.astype(ml_dtypes.bfloat16)
        return wide.astype(dtype)
    return np.asarray(generator.integers(0, 2, shape)).astype(dtype)


def describe(value: object) -> dict[str, object]:
    """Say what an output is: dtype, shape, and for numbers the least, the greatest and the mean."""
    import numpy as np

    if not isinstance(value, np.ndarray):
        return {"kind": type(value).__name__, "length": len(value) if isinstance(value, (list, dict)) else None}
    facts: dict[str, object] = {"dtype": str(value.dtype), "shape": list(value.shape)}
    if value.size and value.dtype.kind in "iuf":
        wide = value.astype(np.float64)
        facts |= {"min": float(wide.min()), "max": float(wide.max()), "mean": float(wide.mean())}
    return facts


def save_outputs(outputs: Mapping[str, object], folder: Path) -> dict[str, list[str]]:
    """Write each output into a folder, made if it is not there: ``NAME.npy``, a sequence as ``NAME.0.npy`` and so on.

    A map becomes ``.json``, an empty optional a file that holds ``null``.

    Returns
    -------
    dict of str to list of str
        Output → files written. Names of a model are not trusted: what may not stand in a file name becomes ``_``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, list[str]] = {}
    taken: set[str] = set()
    for name, value in outputs.items():
        stem = _file_stem(name, taken)
        items = [(f"{stem}.{k}", item) for k, item in enumerate(value)] if isinstance(value, list) else [(stem, value)]
        written[name] = [_save(item, folder, file) for file, item in items]
    return written


def _save(item: object, folder: Path, stem: str) -> str:
    import numpy as np

    if item is None or isinstance(item, Mapping):
        path = folder / f"{stem}.json"
        plain = None if item is None else {str(key): np.asarray(entry).tolist() for key, entry in item.items()}
        path.write_text(json.dumps(plain), encoding="utf-8")
        return str(path)
    path = folder / f"{stem}.npy"
    array = np.asarray(item)
    np.save(path, array.astype(str) if array.dtype == object else array, allow_pickle=False)
    return str(path)


def _file_stem(name: str, taken: set[str]) -> str:
    """Return a file name's stem for a value, none of them twice."""
    stem = re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".")[:100] or "output"
    number = 1
    unique = stem
    while unique.lower() in taken:
        number += 1
        unique = f"{stem}_{number}"
    taken.add(unique.lower())
    return unique
