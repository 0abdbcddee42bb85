"""Values of every dtype, by seed: ordinary ones, and those at which engines differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovpart.model.types import numpy_dtype
from ovpart.probe.case import seed_of

if TYPE_CHECKING:
    from ovpart.backend.base import Array

FLOATS = frozenset({"f32", "f16", "bf16", "f64"})
SMALL_FLOATS = frozenset({"f8e4m3fn", "f8e4m3fnuz", "f8e5m2", "f8e5m2fnuz", "f8e8m0", "f4e2m1"})
SIGNED = frozenset({"i8", "i16", "i32", "i64"})
UNSIGNED = frozenset({"u8", "u16", "u32", "u64"})
NIBBLES = frozenset({"i4", "u4", "i2", "u2"})
COMPLEX = frozenset({"c64", "c128"})
_WORDS = ("", "a", "A", "probe", "Zürich", "two words", "7")


class Maker:
    """Makes the inputs of one operator in one version, with one dtype, in one of two sizes.

    Values depend on the names, the place in order and the shape, not on what else was made: a weight is the same in
    both sizes.

    Attributes
    ----------
    op, version, dtype
        As in :class:`ovpart.probe.case.Key`.
    n : int
        A dimension that differs between the two sizes.
    """

    def __init__(self, op: str, version: int, dtype: str, n: int) -> None:
        self.op = op
        self.version = version
        self.dtype = dtype
        self.n = n
        self._made = 0

    def begin(self) -> None:
        """Start a new draft: places in order are counted anew."""
        self._made = 0

    def x(self, *shape: int, low: float = -2, high: float = 2) -> Array:
        """Return values of the dtype that is varied."""
        return self.of(self.dtype, *shape, low=low, high=high)

    def of(self, dtype: str, *shape: int, low: float = -2, high: float = 2) -> Array:
        """Return values of a dtype: floats between the bounds, integers of both signs, words, truth values."""
        import numpy as np

        self._made += 1
        rng = np.random.default_rng(seed_of(self.op, dtype, self._made, shape))
        kind = numpy_dtype(dtype)
        if dtype == "string":
            return np.asarray(np.array(_WORDS, dtype=object)[rng.integers(0, len(_WORDS), shape)], dtype=object)
        if dtype == "bool":
            return np.asarray(rng.integers(0, 2, shape)).astype(bool)
        if dtype in COMPLEX:
            return np.asarray(rng.uniform(low, high, shape) + 1j * rng.uniform(low, high, shape)).astype(kind)
        if dtype in FLOATS:
            return np.asarray(rng.uniform(low, high, shape)).astype(kind)
        if dtype in SMALL_FLOATS:
            return np.asarray(rng.choice([0.5, 1.0, 2.0, 4.0], shape)).astype(np.float32).astype(kind)
        bottom, top = _span(dtype, low, high)
        return np.asarray(rng.integers(bottom, top, shape, endpoint=True)).astype(kind)

    def ints(self, *values: Any) -> Array:
        """Return a vector of i64: axes, shapes, sizes."""
        import numpy as np

        return np.array(values, dtype=np.int64)

    def array(self, values: Any, dtype: str | None = None) -> Array:
        """Return given values in the dtype that is varied, or another."""
        import numpy as np

        kind = numpy_dtype(dtype or self.dtype)
        return np.asarray(values).astype(np.float64).astype(kind) if kind.kind != "O" else np.asarray(values, object)

    @property
    def is_float(self) -> bool:
        """Whether the dtype holds NaN and infinity in the range of ordinary floats."""
        return self.dtype in FLOATS


def _span(dtype: str, low: float, high: float) -> tuple[int, int]:
    """Return bounds for integers: wider than for floats, so that rounding and signs show, yet products fit."""
    bottom, top = {"i4": (-8, 7), "u4": (0, 15), "i2": (-2, 1), "u2": (0, 3)}.get(dtype, (-7, 7))
    if dtype in UNSIGNED:
        bottom, top = 0, 11
    if (low, high) != (-2, 2):
        bottom, top = max(bottom if dtype in NIBBLES or dtype in UNSIGNED else int(low), int(low)), int(high)
    return bottom, top


def edge_floats(m: Maker) -> Array:
    """Return infinities, zeros of both signs, halves, and numbers at the end of the range."""
    import numpy as np

    largest = {"f32": 3.0e38, "f16": 65504.0, "bf16": 3.0e38, "f64": 1.0e300}[m.dtype]
    values = [np.inf, -np.inf, 0.0, -0.0, 0.5, 1.5, 2.5, -0.5, -1.5, largest, -largest, 1e-3]
    return np.array(values, dtype=np.float64).astype(numpy_dtype(m.dtype))


def nan_floats(m: Maker) -> Array:
    """Return values with NaN first, in the middle and last."""
    import numpy as np

    values = [np.nan, 1.0, -1.0, np.nan, 0.0, 2.0, -3.0, 0.25, np.nan, -0.75, 5.0, np.nan]
    return np.array(values).astype(numpy_dtype(m.dtype))


def wide_integers(m: Maker) -> tuple[Array, str] | None:
    """Return integers that do not fit what engines compute in, and the kind of case that makes."""
    import numpy as np

    from ovpart.probe.case import WIDE32, WIDE64

    kind = numpy_dtype(m.dtype)
    if m.dtype in ("i32", "u32"):
        low = 2**24
        values = [low, low + 1, low - 1, low + 3, 2**30, 2**30 + 1, 3, 7, low * 2 + 1, low * 4 + 1, 1, 0]
        return np.array(values, dtype=kind), WIDE32
    if m.dtype in ("i64", "u64"):
        values = [2**31, 2**31 + 1, 2**32, 2**32 + 5, 2**40, 2**40 + 1, 3, 7, 2**33 + 5, 2**35 + 3, 1, 0]
        return np.array(values, dtype=kind), WIDE64
    return None
