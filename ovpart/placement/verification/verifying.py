"""The methods of a session that hold it against onnxruntime and write down what is wrong."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ovpart.backend.base import Array
from ovpart.backend.forks import Process, inherited
from ovpart.errors import InputError
from ovpart.model.graph import Model
from ovpart.placement.engines import Engines
from ovpart.placement.form import Form
from ovpart.placement.verification.findings import Verification
from ovpart.placement.verification.quarantine import default_path, quarantine
from ovpart.placement.verification.verify import REPEATS, Asked
from ovpart.runtime.feed import FeedCheck


class Verifying:
    """What :class:`ovpart.session.Session` inherits; it has the attributes and the method that are asked for here."""

    _model: Model
    _engines: Engines
    _check: FeedCheck
    _home: Process

    def _form_for(self, feed: Mapping[str, Array]) -> Form:
        raise NotImplementedError

    def verify(
        self,
        feed: Mapping[str, Array] | Sequence[Mapping[str, Array]],
        *,
        tolerance: float | None = None,
        repeats: int | None = None,
        bisect: bool = True,
        origin: str = "given",
    ) -> Verification:
        """Hold every cluster, every value that crosses, and the outputs against onnxruntime alone.

        Parameters
        ----------
        feed : mapping of str to array, or several
            Inputs, as :meth:`run` takes them. With several, runs on one are held against state that another has left.
        tolerance : float, optional
            Largest error over the range for floats of every dtype; by default a bound for each dtype.
        repeats : int, optional
            How often each input is run; 2 by default.
        bisect : bool
            Whether clusters that are wrong are searched for the node that makes them so.
        origin : str
            Where the inputs are from, for the text.

        Returns
        -------
        Verification
            ``is_right``; ``clusters`` and ``outputs`` with their errors; ``culprits``; as text and as JSON.

        Raises
        ------
        InputError
            As :meth:`run`; also where there is no feed.
        RunError, CompileError
            If onnxruntime itself cannot compute the model on these inputs; or in a forked process, as :meth:`run`.
        """
        if self._home.is_past:
            raise inherited("this session", self._home)
        feeds = [feed] if isinstance(feed, Mapping) else list(feed)
        if not feeds:
            message = "nothing to verify on: give at least one feed"
            raise InputError(message)
        checked = [self._check(one) for one in feeds]
        forms = {id(form): form for form in map(self._form_for, checked)}
        if len(forms) > 1:
            message = "the feeds take different plans (outside a guard, or overridden initializers): verify one by one"
            raise InputError(message)
        (form,) = forms.values()
        return form.verify(checked, Asked(tolerance, REPEATS if repeats is None else repeats, origin, bisect))

    def quarantine(self, found: Verification, path: str | os.PathLike[str] | None = None) -> list[str]:
        """Write rules that keep what a verification found wrong off the device, for ``table=`` of later sessions.

        Parameters
        ----------
        found : Verification
            What :meth:`verify` of this session gave.
        path : path, optional
            The table, created or extended; by default ``quarantine.yaml`` in the user's folder for settings.

        Returns
        -------
        list of str
            The operators that a rule was added for; empty where the table had them all, or nothing was found.

        Raises
        ------
        TableError
            If the file at `path` is no table.
        """
        culprits = [(culprit, culprit.label.device) for culprit in found.culprits if culprit.label is not None]
        engines = {c.label.engine: self._engines.version_of(c.label) for c, _ in culprits if c.label is not None}
        where = default_path() if path is None else Path(path)
        return [operator for operator, _, _ in quarantine(self._model, culprits, engines, where)]
