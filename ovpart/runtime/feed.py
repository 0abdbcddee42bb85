"""What the user feeds to a run: checked with onnxruntime's words, made into native numpy arrays.

onnxruntime 1.31 sets what is accepted and how a refusal reads; our words follow its words and say which input it is,
what was expected, what was given and what to do. Where we take more than it does (scalars, tuples, anything with
``.numpy()``, big-endian arrays, which it reads as noise), nothing that it takes is refused.

Two of its habits are kept on purpose. A declared shape of ``[]`` is not enforced, since files use it for "rank not
known" as well as for scalars. Symbolic dimensions that share a name need not agree: the engine says so where it
matters.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ovpart.backend.remote import RemoteTensor
from ovpart.errors import InputError
from ovpart.model.types import numpy_dtype

if TYPE_CHECKING:
    import numpy as np

    from ovpart.backend.base import Array, Port

# Element types as onnxruntime writes them in "tensor(...)" (onnxruntime/core/framework/data_types.cc).
_TENSOR_NAMES = {
    "f32": "float", "f64": "double", "f16": "float16", "bf16": "bfloat16", "u8": "uint8", "i8": "int8",
    "u16": "uint16", "i16": "int16", "u32": "uint32", "i32": "int32", "u64": "uint64", "i64": "int64",
    "bool": "bool", "string": "string", "c64": "complex64", "c128": "complex128", "f8e4m3fn": "float8e4m3fn",
    "f8e4m3fnuz": "float8e4m3fnuz", "f8e5m2": "float8e5m2", "f8e5m2fnuz": "float8e5m2fnuz", "u4": "uint4",
    "i4": "int4", "f4e2m1": "float4e2m1", "f8e8m0": "float8e8m0", "u2": "uint2", "i2": "int2",
}  # fmt: skip
_ADVICE = "Please fix either the inputs/outputs or the model."


class FeedCheck:
    """The check of one model's inputs, prepared once.

    Parameters
    ----------
    ports : sequence of Port
        Inputs that every feed must have.
    overridable : sequence of Port
        Inputs that have a default and may be left out, or given as ``None``, which means the same.

    Notes
    -----
    A good feed costs about 0.15 µs an input: identity of the dtype, then one comparison for a static shape, or the rank
    and the fixed dims. Only what fails that goes through :func:`normalise` and the careful checks.
    """

    __slots__ = ("_array_type", "_count", "_optional", "_ports", "_required", "_rows")

    def __init__(self, ports: Sequence[Port], overridable: Sequence[Port] = ()) -> None:
        import numpy as np

        self._required = tuple(port.name for port in ports)
        self._optional = frozenset(port.name for port in overridable)
        self._ports = {port.name: port for port in (*ports, *overridable)}
        plain = all(port.dtype is not None for port in ports)
        self._count = len(ports) if plain else -1  # the length of a feed that may take the short way
        self._rows = tuple(_row(port) for port in ports) if plain else ()
        self._array_type = np.ndarray

    def __call__(self, feed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return the feed with every value as a run takes it: `feed` itself where nothing had to be converted.

        Raises
        ------
        InputError
            If an input is missing, unknown, or of the wrong dtype, rank or fixed size.
        """
        try:
            if len(feed) != self._count:
                return self._carefully(feed)
            array_type = self._array_type
            for name, dtype, static, rank, fixed in self._rows:
                array = feed[name]
                if type(array) is not array_type or array.dtype is not dtype:
                    return self._carefully(feed)
                if static is not None:
                    if array.shape != static:
                        return self._carefully(feed)
                elif rank:
                    shape = array.shape
                    if len(shape) != rank:
                        return self._carefully(feed)
                    for axis, size in fixed:
                        if shape[axis] != size:
                            return self._carefully(feed)
        except (LookupError, TypeError):
            return self._carefully(feed)
        return feed

    def overridden(self, feed: Mapping[str, Array]) -> frozenset[str]:
        """Return the inputs with a default that a feed gives a value to."""
        if not self._optional:
            return self._optional
        return frozenset(name for name in self._optional if feed.get(name) is not None)

    def _carefully(self, feed: Mapping[str, Array]) -> Mapping[str, Array]:
        if not isinstance(feed, Mapping):
            raise InputError(
                f"The input feed must be a mapping of input names to arrays, got {type(feed).__name__}. "
                f"Pass {{{', '.join(f'{name!r}: ...' for name in self._required)}}}."
            )
        require(self._required, feed)
        checked: dict[str, Array] = {}
        for name, value in feed.items():
            port = self._ports.get(name)
            if port is None:
                raise InputError(f"Invalid input name: {name}. {_did_you_mean(name, self._ports, 'inputs')}")
            if value is None and name in self._optional:
                continue
            checked[name] = _checked(port, value)
        return checked


def check_feed(ports: Sequence[Port], overridable: Sequence[Port], feed: Mapping[str, Array]) -> Mapping[str, Array]:
    """Check one feed; see :class:`FeedCheck`, which is the way for more than one."""
    return FeedCheck(ports, overridable)(feed)


def require(names: Iterable[str], feed: Mapping[str, Array]) -> None:
    """Raise :class:`ovpart.errors.InputError` in onnxruntime's words if `feed` lacks one of `names`."""
    missing = [name for name in names if name not in feed]
    if not missing:
        return
    given = list(feed)
    words = f"Required inputs ({missing}) are missing from input feed ({given})."
    guesses = {name: near for name in missing for near in difflib.get_close_matches(name, map(str, given), n=1)}
    unknown = [f"{near!r} for {name!r}" for name, near in guesses.items() if near not in names]
    raise InputError(f"{words} Did you give {', '.join(unknown)}?" if unknown else words)


def check_outputs(wanted: Iterable[str], known: Iterable[str]) -> None:
    """Raise :class:`ovpart.errors.InputError` in onnxruntime's words if an output asked for does not exist."""
    known = list(known)
    for name in wanted:
        if name not in known:
            raise InputError(f"Invalid output name:{name}. {_did_you_mean(name, known, 'outputs')}")


def normalise(value: object, dtype: np.dtype | None = None) -> Array:
    """Return what a run takes for a value that a user gave.

    Parameters
    ----------
    value : object
        An array (also a subclass), a list, tuple or number, a numpy scalar, or what has ``.numpy()`` (an OrtValue, a
        tensor of another framework) or ``__array__``.
    dtype : numpy.dtype, optional
        For lists, tuples and Python numbers, which carry none of their own.

    Returns
    -------
    numpy.ndarray
        In native byte order and with numpy's own integer types; strings as objects. Memory is shared where it can be.

    Raises
    ------
    InputError
        If no array can be made of it.
    """
    import numpy as np

    if not isinstance(value, np.ndarray):
        value = _as_array(value, dtype)
    array = np.asarray(value)
    if array.dtype.kind in "US":
        return _as_strings(array)
    if array.dtype.kind == "V" and array.dtype.names is None and dtype is not None and dtype.kind == "O":
        return _as_strings(array.view(f"S{array.dtype.itemsize}"))
    if not array.dtype.isnative:
        return array.astype(array.dtype.newbyteorder("="))
    if array.dtype.char in "qQ" and array.dtype.char != np.dtype(array.dtype.name).char:
        # onnxruntime gives int64 back as C's "long long", which openvino refuses where "long" has 64 bits too.
        return array.view(array.dtype.name)
    return array


def _row(port: Port) -> tuple[str, np.dtype, tuple[int, ...] | None, int, tuple[tuple[int, int], ...]]:
    """Return name, dtype, the shape if it is static, the rank (0: not enforced) and the fixed dims of a port."""
    fixed = _fixed(port)
    rank = len(port.shape or ())
    static = tuple(size for _, size in fixed) if rank and len(fixed) == rank else None
    return port.name, numpy_dtype(port.dtype or ""), static, rank, fixed


def _fixed(port: Port) -> tuple[tuple[int, int], ...]:
    # A negative size stands for "any" in files of old exporters; onnxruntime reads it so.
    return tuple((axis, dim) for axis, dim in enumerate(port.shape or ()) if isinstance(dim, int) and dim >= 0)


def _checked(port: Port, value: object) -> Array:
    """Return a value as a run takes it, or say what is wrong with it."""
    if port.dtype is None:  # a sequence, map or optional: the engine knows its types
        return value
    if value is None:
        raise InputError(f"Input {port.name!r} is None. Give an array: {declared(port)}.")
    expected = numpy_dtype(port.dtype)
    try:
        # What lies in a device's memory has dtype and shape, and stays there.
        array = _Described(value) if isinstance(value, RemoteTensor) else normalise(value, expected)
    except InputError as error:
        raise InputError(f"Input {port.name!r} ({declared(port)}): {error}") from error
    if array.dtype != expected:
        raise InputError(
            f"Unexpected input data type. Actual: ({_tensor_name(array.dtype)}) , "
            f"expected: (tensor({_TENSOR_NAMES[port.dtype]})). Input {port.name!r} was given as {array.dtype}, "
            f"the model declares {declared(port)}: convert it, {_cast_hint(expected)}."
        )
    shape = array.shape
    if port.shape and len(shape) != len(port.shape):
        raise InputError(
            f"Invalid rank for input: {port.name} Got: {len(shape)} Expected: {len(port.shape)} {_ADVICE} "
            f"The model declares {declared(port)}, the shape given is {list(shape)}."
        )
    wrong = [(axis, shape[axis], size) for axis, size in _fixed(port) if shape[axis] != size]
    if wrong:
        lines = "".join(f"\n index: {axis} Got: {got} Expected: {size}" for axis, got, size in wrong)
        raise InputError(
            f"Got invalid dimensions for input: {port.name} for the following indices{lines}\n {_ADVICE} "
            f"The model declares {declared(port)}, the shape given is {list(shape)}."
        )
    return array if not isinstance(array, _Described) else value


class _Described:
    """What is checked of a tensor that is not here."""

    def __init__(self, tensor: RemoteTensor) -> None:
        self.dtype = tensor.numpy_dtype
        self.shape = tensor.shape


def declared(port: Port) -> str:
    """Return how a model declares an input, in numpy's words: ``float32[1, N, ?]``."""
    name = "?" if port.dtype is None else "string" if port.dtype == "string" else numpy_dtype(port.dtype).name
    if port.shape is None:
        return name
    return f"{name}[{', '.join('?' if dim is None else str(dim) for dim in port.shape)}]"


def onnx_type(port: Port) -> str:
    """Return the type of a tensor in onnxruntime's words: ``tensor(float)``; with ``?`` where the dtype is unknown."""
    return f"tensor({_TENSOR_NAMES.get(port.dtype or '', '?')})"


def _as_array(value: object, dtype: np.dtype | None) -> Array:
    import numpy as np

    try:
        if isinstance(value, np.generic):
            return np.asarray(value)
        if isinstance(value, (list, tuple, bool, int, float, complex, str, bytes)):
            return _from_list(value, dtype)
        if callable(to_numpy := getattr(value, "numpy", None)):
            return np.asarray(to_numpy())
        if hasattr(value, "__array__"):
            return np.asarray(value)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise InputError(f"Could not create tensor from given input {type(value).__name__}: {error}") from error
    raise InputError(f"Unable to handle object of type {type(value)}: give a numpy array.")


def _from_list(value: object, dtype: np.dtype | None) -> Array:
    import numpy as np

    array = np.array(value, dtype)
    if dtype is not None and dtype.kind in "iu":
        # numpy before 2.0 wraps what is out of range, without a word.
        exact = np.array(value)
        if exact.dtype.kind in "iu" and not np.array_equal(exact, array):
            raise OverflowError(f"an integer is out of bounds for {dtype.name}")
    return array


def _as_strings(array: Array) -> Array:
    """Return fixed-width strings as objects; bytes are read as UTF-8, the encoding of ONNX strings."""
    if array.dtype.kind == "U":
        return array.astype(object)
    import numpy as np

    try:
        return np.char.decode(array, "utf-8").astype(object)
    except UnicodeDecodeError as error:
        raise InputError(f"bytes that are not UTF-8: {error}. Decode them first.") from error


def _tensor_name(dtype: np.dtype) -> str:
    for short, words in _TENSOR_NAMES.items():
        if numpy_dtype(short) == dtype:
            return f"tensor({words})"
    return f"tensor({dtype.name})"


def _cast_hint(dtype: np.dtype) -> str:
    import numpy as np

    if dtype.kind == "O":
        return "to strings: .astype(object)"
    owner = "numpy" if hasattr(np, dtype.name) else "ml_dtypes"
    return f".astype({owner}.{dtype.name})"


def _did_you_mean(name: object, known: Iterable[str], kind: str) -> str:
    known = list(known)
    near = difflib.get_close_matches(str(name), known, n=1)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    return f"{guess}The {kind} of the model are {known}."
