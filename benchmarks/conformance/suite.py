"""The official runner of onnx, watched: what it runs, how far it came, how far off a wrong answer is."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
from onnx.backend.base import Backend, BackendRep
from onnx.backend.test.runner import Runner

from benchmarks.conformance import chance, engines, forms

CATEGORIES = {
    "OnnxBackendNodeModelTest": "node",
    "OnnxBackendSimpleModelTest": "simple",
    "OnnxBackendPyTorchConvertedModelTest": "pytorch-converted",
    "OnnxBackendPyTorchOperatorModelTest": "pytorch-operator",
}
"""The runner's names of the suites that need no network."""
CLOSE = 1e-4
"""A wrong answer is called close where it is within this of the recorded one, as a share of the largest element."""
_SUFFIX = "_cpu"


@dataclass(slots=True)
class Outcome:
    """What became of one test.

    Attributes
    ----------
    test : str
        ``suite/name``.
    verdict : str
        ``pass``; ``close``: see :data:`CLOSE`; ``wrong``; ``refused``: the model was
        not taken; ``failed``: taken, and the run raised; ``crash`` and ``hang`` of the worker; ``same``: the form does
        not differ from the model as given.
    words : str
        What was said, shortened.
    random : bool
        Whether it was judged by distribution.
    nodes_elsewhere : list of str or None
        Why nodes that compute are not on the device; None where nobody can tell.
    """

    test: str
    verdict: str
    words: str = ""
    random: bool = False
    nodes_elsewhere: list[str] | None = None

    def as_row(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


@dataclass(slots=True)
class _Watch:
    """How far the test under way has come."""

    stage: str = "refused"
    prepared: engines.Prepared | None = None
    model: onnx.ModelProto | None = None
    inputs: Sequence[Any] = ()
    left: Sequence[Any] = ()
    operator: str = ""
    elsewhere: list[str] | None = None


class SameForm(Exception):  # noqa: N818 - no error: the form has nothing to change in this model
    """The form is the model as given."""


class Suites:
    """The tests of onnx for one engine in one form."""

    def __init__(self, engine: str, form: str, options: Mapping[str, Any]) -> None:
        self._watch = _Watch()
        self._runner = _runner(engine, form, options, lambda: self._watch)
        self._tests: dict[str, Callable[[], None]] = {}
        for case_name, case in self._runner.test_cases.items():
            suite = CATEGORIES.get(case_name)
            for name in unittest.defaultTestLoader.getTestCaseNames(case) if suite else ():
                if name.endswith(_SUFFIX):
                    self._tests[f"{suite}/{name.removesuffix(_SUFFIX)}"] = getattr(case(name), name)

    def names(self) -> list[str]:
        """Return every test, by suite."""
        return list(self._tests)

    def run(self, name: str) -> Outcome:
        """Run one test."""
        watch = self._watch = _Watch()
        try:
            self._tests[name]()
            verdict, words = "pass", ""
        except SameForm:
            verdict, words = "same", ""
        except AssertionError as error:
            verdict, words = (watch.stage if watch.stage in ("wrong", "close") else "failed"), _short(error)
        except Exception as error:  # whatever an engine raises
            verdict, words = watch.stage, _short(error)
        return Outcome(name, verdict, words, bool(watch.operator), watch.elsewhere)


class _Rep(BackendRep):
    """A prepared model, run twice: memory that is left over shows in the second answer."""

    def __init__(self, watch: _Watch, prepare: Callable[[Sequence[Any]], tuple[engines.Prepared, Sequence[Any]]]):
        self._watch = watch
        self._prepare = prepare

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        watch = self._watch
        prepared, given = self._prepare(inputs)
        watch.prepared, watch.inputs, watch.left, watch.stage = prepared, inputs, given, "failed"
        first = tuple(prepared.run(given))
        second = tuple(prepared.run(given))
        watch.elsewhere = prepared.placement(given)
        watch.stage = "wrong"
        if not watch.operator:
            for one, other in zip(first, second, strict=True):
                if not _same(one, other):
                    raise AssertionError("a second run gives another answer")
        return first


def _runner(engine: str, form: str, options: Mapping[str, Any], watch: Callable[[], _Watch]) -> Runner:
    """Return the official runner over an engine."""

    class Watched(Backend):
        @classmethod
        def supports_device(cls, device: str) -> bool:
            return device == "CPU"

        @classmethod
        def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> _Rep:
            now = watch()
            now.model, now.operator = model, chance.draws(model)
            if form == "constant":

                def later(inputs: Sequence[Any]) -> tuple[engines.Prepared, Sequence[Any]]:
                    changed = forms.constant(model, inputs)
                    if changed is None:
                        raise SameForm
                    return engines.prepare(engine, changed[0], options), changed[1]

                return _Rep(now, later)
            made = engines.prepare(engine, forms.dynamic(model) if form == "dynamic" else model, options)
            return _Rep(now, lambda inputs: (made, inputs))

    class Judged(Runner):
        @classmethod
        def assert_similar_outputs(
            cls, ref_outputs: Any, outputs: Any, rtol: float, atol: float, model_dir: str | None = None
        ) -> None:
            now = watch()
            if now.operator:
                prepared, left = now.prepared, now.left
                assert prepared is not None
                chance.judge(now.operator, lambda: prepared.run(left), now.inputs, ref_outputs, len(outputs))
                return
            ref_outputs, outputs = _with_axes(ref_outputs), _with_axes(outputs)
            try:
                super().assert_similar_outputs(ref_outputs, outputs, rtol, atol, model_dir)
            except AssertionError:
                super().assert_similar_outputs(ref_outputs, outputs, rtol, max(atol, _margin(ref_outputs)), model_dir)
                now.stage = "close"
                raise

    return Judged(Watched, __name__)


def _with_axes(found: Any) -> Any:
    """Return outputs in which scalars within sequences have an axis: the official comparison counts their rows."""
    return [
        [np.atleast_1d(one) if isinstance(one, np.ndarray | np.generic) else one for one in value]
        if isinstance(value, list | tuple)
        else value
        for value in found
    ]


def _margin(wanted: Any) -> float:
    """Return the difference up to which an answer is close, for the least of its tensors."""
    peaks = [
        float(np.abs(array[np.isfinite(array)]).max(initial=0.0)) if array.dtype.kind == "f" else 0.0
        for array in (np.asarray(value) for value in wanted if value is not None and not isinstance(value, list))
    ]
    return CLOSE * max(1.0, min(peaks, default=0.0))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if one is None or other is None:
        return one is other
    one, other = np.asarray(one), np.asarray(other)
    return one.shape == other.shape and one.dtype == other.dtype and _equal(one, other)


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype.kind in "OUSb":
        return bool((one == other).all())
    if one.dtype.kind in "iuc":
        return bool(np.array_equal(one, other))
    # The first runs of a session may be on one engine and on another in turn: two roundings apart in halves.
    rtol = 1e-5 if one.dtype.itemsize > 2 else 2**-6
    return bool(np.allclose(one.astype(np.float64), other.astype(np.float64), rtol=rtol, atol=1e-6, equal_nan=True))


def _short(error: BaseException) -> str:
    words = " ".join(f"{type(error).__name__}: {error}".split())
    return words if len(words) <= 300 else f"{words[:200]} ... {words[-95:]}"
