"""``disable_dynamic_shapes``: a form of fixed shapes for each set of input shapes, made when it is first met.

As many are kept as were used last; each is held against the form of open shapes on its first run, since fixed shapes
have turned right answers wrong (openvino 2026.4).
"""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ovpart.backend.base import Array
from ovpart.errors import CompileError, ModelError, OvpartWarning
from ovpart.model.graph import Model
from ovpart.model.variants import with_input_shapes
from ovpart.placement.form import Form
from ovpart.placement.verification.measure import difference
from ovpart.placement.verification.tolerance import judged
from ovpart.runtime.guards import violated

MOST_KEPT = 8
"""Forms that are kept: each holds its weights as the device packs them."""

Shapes = tuple[tuple[int, ...], ...]


@dataclass(slots=True)
class _Variant:
    """The form of one set of shapes; ``None`` where there is none that is right."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    form: Form | None = None
    is_made: bool = False
    is_checked: bool = False


class StaticForms:
    """Forms of fixed shapes, the least lately used one dropped where there are too many.

    Parameters
    ----------
    model : Model
        With constants folded.
    usual : Form
        Of open shapes: answers where no variant can.
    make : callable
        Makes the form of a model.
    most : int
        How many variants to keep.
    """

    def __init__(self, model: Model, usual: Form, make: Callable[[Model], Form], most: int = MOST_KEPT) -> None:
        self._model = model
        self._usual = usual
        self._make = make
        self._most = most
        graph = model.graph
        self._open = tuple(name for name in graph.inputs if not graph.type_of(name).is_static)
        self._variants: OrderedDict[Shapes, _Variant] = OrderedDict()
        self._lock = threading.Lock()
        self._counts = {"made": 0, "used": 0, "dropped": 0, "given_up": 0}

    @property
    def counts(self) -> dict[str, int]:
        """How many variants were ``made``, how many runs ``used`` one that was there, how many were ``dropped``
        for others, and ``given_up`` because they could not be made or answered otherwise.
        """  # noqa: D205
        with self._lock:
            return dict(self._counts)

    def form_for(self, feed: Mapping[str, Array]) -> Form:
        """Return the form that answers a feed: the variant of its shapes, or the one of open shapes.

        Raises
        ------
        RunError
            If the run that a variant is checked with fails on open shapes too.
        """
        shapes = tuple(tuple(feed[name].shape) for name in self._open if hasattr(feed[name], "shape"))
        if not self._open or len(shapes) != len(self._open):
            return self._usual
        variant = self._variant(shapes)
        with variant.lock:
            if not variant.is_made:
                variant.form, variant.is_made = self._made(shapes), True
            form = variant.form
            if form is None or (form.guards and violated(form.guards, feed)):
                return self._usual
            if not variant.is_checked:
                agrees = self._agrees(form, feed)
                variant.is_checked = True
                if not agrees:
                    variant.form = None
                    self._give_up(shapes, "its answers differ from those of open shapes")
                    return self._usual
            return form

    def close(self) -> None:
        """Let go of all variants."""
        with self._lock:
            variants = [variant.form for variant in self._variants.values() if variant.form is not None]
        for form in variants:
            form.close()

    def _variant(self, shapes: Shapes) -> _Variant:
        with self._lock:
            variant = self._variants.get(shapes)
            if variant is None:
                variant = self._variants[shapes] = _Variant()
                if len(self._variants) > self._most:
                    # Not closed: a run of another thread may be under way in it. It goes with its last run.
                    self._variants.popitem(last=False)
                    self._counts["dropped"] += 1
            else:
                self._counts["used"] += 1
                self._variants.move_to_end(shapes)
            return variant

    def _made(self, shapes: Shapes) -> Form | None:
        try:
            form = self._make(with_input_shapes(self._model, dict(zip(self._open, shapes, strict=True))))
        except (CompileError, ModelError) as error:
            self._give_up(shapes, str(error))
            return None
        self._count("made")
        return form

    def _agrees(self, form: Form, feed: Mapping[str, Array]) -> bool:
        """Whether a variant answers a feed as the form of open shapes does."""
        pairs = zip(form.run(feed, None), self._usual.run(feed, None), strict=True)
        return all(judged(difference(mine, theirs)).is_right for mine, theirs in pairs)

    def _give_up(self, shapes: Shapes, why: str) -> None:
        self._count("given_up")
        warnings.warn(
            f"disable_dynamic_shapes=True has no effect on inputs of the shapes {list(shapes)}: {why}",
            OvpartWarning,
            stacklevel=5,
        )

    def _count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1
