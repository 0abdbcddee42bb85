"""All cases of the probe's own: operator × version × dtype × values × form."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from itertools import islice

from ovpart.probe import (
    recipes_bodies,
    recipes_contrib,
    recipes_elementwise,
    recipes_ml,
    recipes_movement,
    recipes_network,
    recipes_quantised,
    recipes_reduce,
    recipes_vision,
)
from ovpart.probe.case import DYNAMIC, DYNAMIC_CONST, FORMS, LEAST_OPSET, STATIC, Case, Draft, Key, constants_of
from ovpart.probe.judge import Trial
from ovpart.probe.schemas import allowed, first_type, versions
from ovpart.probe.values import Maker

Recipe = Callable[[Maker], Iterator[Draft]]

_SIZES = (2, 3)
_CONTRIB_BESIDE = 17
"""Opset of ONNX's own for an operator that onnxruntime keeps there without ONNX knowing of it."""


@cache
def recipes() -> Mapping[str, Recipe]:
    """Return operator → what makes its cases."""
    return {
        **recipes_bodies.RECIPES,
        **recipes_contrib.RECIPES,
        **recipes_elementwise.RECIPES,
        **recipes_ml.RECIPES,
        **recipes_movement.RECIPES,
        **recipes_network.RECIPES,
        **recipes_quantised.RECIPES,
        **recipes_reduce.RECIPES,
        **recipes_vision.RECIPES,
    }


def cases(ops: Collection[str] = (), *, tags: Collection[str] = (), first_only: bool = False) -> Iterator[Case]:
    """Yield the cases of operators, in a fixed order.

    Parameters
    ----------
    ops : collection of str
        Ids of operators; all that there are recipes for by default.
    tags : collection of str
        Only these.
    first_only : bool
        Only the first case of each version and dtype, the ordinary one.
    """
    for op in sorted(ops or recipes()):
        recipe = recipes().get(op)
        if recipe is None:
            continue
        for version in numbers(op):
            for dtype in dtypes(op, version):
                yield from _of_type(op, version, dtype, recipe, tags, first_only)


def numbers(op: str) -> tuple[int, ...]:
    """Return the versions of an operator that are measured: 1 for those that onnx has no schema for."""
    return (1,) if op in recipes_contrib.DTYPES else versions(op)


def dtypes(op: str, version: int) -> tuple[str, ...]:
    """Return the dtypes that are varied for an operator in a version."""
    if op in recipes_contrib.DTYPES:
        return recipes_contrib.DTYPES[op]
    if op in _FIXED:
        return _FIXED[op]
    return allowed(op, version, _VARIED.get(op) or first_type(op, version))


def trial_of(case: Case) -> Trial:
    """Make a case ready to be sent to another process."""
    return Trial(case.key, case.proto().SerializeToString(), case.feeds(), case.kind)


_VARIED: Mapping[str, str] = {
    "ConstantOfShape": "output", "If": "outputs", "Loop": "v_initial", "MelWeightMatrix": "num_mel_bins",
    "OneHot": "values", "RandomNormal": "output", "RandomUniform": "output", "RegexFullMatch": "X", "Where": "X",
}  # fmt: skip
"""Operator → the formal input or type whose dtypes are varied, where that is not its first input."""


_EVERYWHERE = "f32"
"""The dtype whose every case is measured in every version; of others the first case only, but in the newest version."""
_OLDER_FORMS = frozenset({STATIC, DYNAMIC_CONST})
"""Forms of all but the first case in versions before the newest."""

_FIXED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "ConcatFromSequence", "SequenceAt", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength",
            "SequenceMap", "OptionalGetElement", "OptionalHasElement",
        ),
        ("f32",),
    ),
    "If": ("f32", "i64", "bool"),
    "Loop": ("f32", "i64", "bool"),
    "Scan": ("f32", "i64"),
}  # fmt: skip
"""Operators of sequences and bodies: the type inside changes nothing, a few stand for all."""


def _of_type(
    op: str, version: int, dtype: str, recipe: Recipe, tags: Collection[str], first_only: bool
) -> Iterator[Case]:
    most = 1 if first_only else None
    small, large = (list(islice(_drafts(recipe, Maker(op, version, dtype, n)), most)) for n in _SIZES)
    opset = _CONTRIB_BESIDE if op == "SimplifiedLayerNormalization" else version
    opset = opset if "." in op else max(opset, LEAST_OPSET)
    newest = version == numbers(op)[-1]
    for first, second in zip(small, large, strict=True):
        if (tags and first.tag not in tags) or not (newest or dtype == _EVERYWHERE or first is small[0]):
            continue
        seen: set[tuple[frozenset[int], bool]] = set()
        fewer = not newest and first is not small[0] and len(first.inputs) > 1
        for form in FORMS:
            if fewer and form not in _OLDER_FORMS:
                continue
            # Without an input that could be a constant, the constant forms are those before.
            symbolic = form in (DYNAMIC, DYNAMIC_CONST)
            shape = (constants_of(first, form), symbolic)
            if shape in seen or (symbolic and not _has_dims(first, form)):
                continue
            seen.add(shape)
            other = second if symbolic and _same_constants(first, second, form) else None
            yield Case(Key(op, version, dtype, first.tag, form), first.kind, first, other, opset)


def _drafts(recipe: Recipe, m: Maker) -> Iterator[Draft]:
    drafts = recipe(m)
    while True:
        m.begin()
        draft = next(drafts, None)
        if draft is None:
            return
        yield draft


def _has_dims(draft: Draft, form: str) -> bool:
    """Whether some input at run time has a dimension that could be a symbol."""
    fixed = constants_of(draft, form)
    return any(bool(getattr(a, "ndim", 0)) and i not in fixed for i, a in enumerate(draft.inputs))


def _same_constants(first: Draft, second: Draft, form: str) -> bool:
    """Whether two sizes have the same constants and attributes, and so one model."""
    fixed = constants_of(first, form)
    if repr(first.attributes) != repr(second.attributes) or len(first.inputs) != len(second.inputs):
        return False
    return all(
        (a is None and b is None)
        or (a is not None and b is not None and a.shape == b.shape and a.tobytes() == b.tobytes())
        for i, (a, b) in enumerate(zip(first.inputs, second.inputs, strict=True))
        if i in fixed
    )
