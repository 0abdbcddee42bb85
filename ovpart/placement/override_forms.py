"""Forms for calls that override initializers: one for each set of names, in which just those are inputs.

What a call leaves alone stays constant, folded and packed, as in the form for calls that override nothing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from ovpart.placement.form import Form

MOST_KEPT = 4
"""Forms that are kept: each holds its weights as the engines pack them."""

Names = frozenset[str]


class OverrideForms:
    """Forms by the initializers that a call overrides, the least lately used one dropped where there are too many.

    Parameters
    ----------
    make : callable
        Makes the form in which the initializers of these names are inputs.
    most : int
        How many forms to keep.
    """

    def __init__(self, make: Callable[[Names], Form], most: int = MOST_KEPT) -> None:
        self._make = make
        self._most = most
        self._forms: OrderedDict[Names, Form] = OrderedDict()
        self._lock = threading.Lock()

    def form_for(self, names: Names) -> Form:
        """Return the form for calls that override `names`, made when it is first asked for."""
        with self._lock:
            form = self._forms.get(names)
            if form is None:
                form = self._forms[names] = self._make(names)
                if len(self._forms) > self._most:
                    # Not closed: a run of another thread may be under way in it. It goes with its last run.
                    self._forms.popitem(last=False)
            self._forms.move_to_end(names)
            return form

    def close(self) -> None:
        """Let go of all forms."""
        with self._lock:
            forms = list(self._forms.values())
        for form in forms:
            form.close()
