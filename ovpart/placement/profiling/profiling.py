"""The method of a session that says where its time goes."""

from __future__ import annotations

from collections.abc import Mapping

from ovpart.backend.base import Array
from ovpart.errors import OptionError
from ovpart.model.graph import Model
from ovpart.placement.engines import Engines
from ovpart.placement.form import Form
from ovpart.placement.profiling.facts import Profiled
from ovpart.placement.profiling.measure import profile_form
from ovpart.runtime.feed import FeedCheck

RUNS = 10
"""Runs that times are means of, where nothing else is asked for."""


class Profiling:
    """What :class:`ovpart.session.Session` inherits; it has the attributes and the method that are asked for here."""

    _model: Model
    _engines: Engines
    _check: FeedCheck
    _profiled: Profiled | None = None

    def _form_for(self, feed: Mapping[str, Array]) -> Form:
        raise NotImplementedError

    def profile(self, feed: Mapping[str, Array], *, runs: int = RUNS) -> Profiled:
        """Measure what each cluster takes, and each node in it as far as engines tell.

        The plan that answers runs is compiled a second time, with openvino's performance counters and onnxruntime's
        profile on; ordinary runs stay as they are. The report has the times from then on.

        Parameters
        ----------
        feed : mapping of str to array
            Inputs, as :meth:`run` takes them.
        runs : int
            How many runs the times are means of, after two that are not counted.

        Returns
        -------
        Profiled
            ``clusters``, ``layers``, ``nodes``, and ``mapped``: the share of the time that could be mapped to nodes.

        Raises
        ------
        InputError
            As :meth:`run`.
        OptionError
            If `runs` is less than 1, or the model holds compiled clusters.
        RunError, CompileError
            If an engine fails on these inputs, or with its timing on.
        """
        if runs < 1:
            raise OptionError(f"runs={runs}: at least one run is needed for a mean")
        checked = self._check(feed)
        form = self._form_for(checked)
        if self._engines.contexts:
            raise OptionError("the model holds compiled clusters, which keep no time: profile the model they are from")
        self._profiled = profile_form(form, self._engines, self._model.name, checked, runs)
        return self._profiled
