"""One form of a model that answers runs: its plan, its compiled clusters, and how both are mended while it is in use.

A session has up to three forms: the usual one; the one without guarded nodes, for inputs outside a guard's range; and
the general one, for calls that override an initializer. The latter two are made when first needed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from ovpart.backend.base import Array
from ovpart.capability.demotion import Demotion
from ovpart.capability.table import Table
from ovpart.capability.verdict import Guard
from ovpart.errors import CompileError, OvpartError, RunError
from ovpart.model.graph import Model
from ovpart.model.variants import with_types
from ovpart.partition.plan import Plan
from ovpart.placement.contest.contest import Contest
from ovpart.placement.contest.opening import Decided, open_contest
from ovpart.placement.contest.race import Outcome
from ovpart.placement.engines import Engines
from ovpart.placement.fallback import refuse_fallback
from ovpart.placement.island import island, type_seen, without_rank
from ovpart.placement.last_resort import lacking_kernel
from ovpart.placement.lessons import Lessons, heeds
from ovpart.placement.nested import Path, ScopeState
from ovpart.placement.realise import (
    Progress,
    Realised,
    bind,
    close_bodies,
    demote_failed,
    inside_of_plan,
    realise,
    with_current_bodies,
    without_engines,
)
from ovpart.placement.verification.findings import Verification
from ovpart.placement.verification.first_run import FIRST_RUN, wrong_here
from ovpart.placement.verification.verify import Asked, verify_plan
from ovpart.planning import FALLBACK, LAST_RESORT, plan_model
from ovpart.runtime.control import RunControl
from ovpart.runtime.guards import merge, violated
from ovpart.runtime.pool import CLOSED
from ovpart.runtime.schedule import Schedule

_log = logging.getLogger("ovpart")


class Form:
    """A model in one form, with the plan and the schedule that answer runs.

    Parameters
    ----------
    model : Model
        With constants folded.
    engines : Engines
        What compiles.
    table : Table
        The support table, for planning anew after a demotion.
    guarded : bool
        Whether guarded nodes may be delegated in this form.
    plan : Plan, optional
        Where it starts from; made here if not given.
    measured : bool
        Whether the first runs measure the plan against other ways, unless the options say what to do.
    progress : callable, optional
        Told before each compile of a cluster.
    inner : bool
        Whether the model is a body of control flow.
    lessons : Lessons, optional
        What earlier sessions have learnt of this model, and where what this one learns goes.
    decided : callable, optional
        Told which way of running the model was measured to be the fastest.

    Raises
    ------
    CompileError
        If no engine takes a node, or under ``strict`` if one refuses a cluster.
    """

    def __init__(
        self,
        model: Model,
        engines: Engines,
        table: Table,
        *,
        guarded: bool = True,
        plan: Plan | None = None,
        measured: bool = False,
        progress: Progress | None = None,
        inner: bool = False,
        lessons: Lessons | None = None,
        decided: Decided | None = None,
    ) -> None:
        self._model = model
        self._engines = engines
        self._table = table
        self._guarded = guarded
        self._inner = inner
        self._lock = threading.Lock()
        self._plain: Schedule | None = None
        self._progress = progress
        self._lessons, self._decided = lessons or Lessons(), decided
        known = self._lessons.here
        self._plan = plan if plan is not None and heeds(plan, known) else self._first_plan(known)
        self._known = len(known)
        self._demotions: tuple[Demotion, ...] = known
        self._guards: tuple[Guard, ...] = ()
        self._realised: Realised | None = None
        self._schedule: Schedule | None = None
        self._contest: Contest | None = None
        self._won_guards: tuple[Guard, ...] = ()
        self._measured = measured
        self._on_trial = self._closed = self._unchecked = False
        self._replans = 0
        self._outcome: Outcome | None = None
        if self._is_deferred:
            refuse_fallback(self._plan, engines.options)
        else:
            self._realise(self._plan)

    @property
    def plan(self) -> Plan:
        """The plan that runs now; where nodes are deferred, the one that the first run will mend."""
        return self._plan if self._realised is None else with_current_bodies(self._plan, self._realised)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What inputs must hold to for this form to be right."""
        return self._guards

    @property
    def demotions(self) -> tuple[Demotion, ...]:
        """What trials have taught so far."""
        return self._demotions

    def inside(self) -> Mapping[Path, ScopeState]:
        """Return what the runs so far showed of bodies with plans of their own, by path from this scope inwards."""
        return {} if self._realised is None else inside_of_plan(self._realised)

    @property
    def steady(self) -> Schedule | None:
        """The schedule that answers runs; ``None`` while runs are tried, checked or measured, or show ranks."""
        return None if self._contest is not None or self._on_trial or self._unchecked else self._schedule

    @property
    def realised(self) -> Realised | None:
        """The plan with its executables; ``None`` until the first run has shown the ranks that it waits for."""
        if self._closed:
            raise RunError(CLOSED)
        return self._realised

    def twin(self, engines: Engines) -> Form:
        """Return a form of the same model and the plan that runs now, compiled anew by other engines."""
        return Form(self._model, engines, self._table, guarded=self._guarded, plan=self.plan, inner=self._inner)

    @property
    def replans(self) -> int:
        """How often the plan was made anew, for what trials, failures and first runs had shown."""
        return self._replans

    @property
    def outcome(self) -> Outcome | None:
        """What the first runs measured of the plan and of other ways; ``None`` where they did not."""
        return self._outcome

    def settle(self, timeout: float | None) -> bool:
        """Wait until rivals of the plan are compiled, if that has begun; return whether they are."""
        return self._contest is None or self._contest.settle(timeout)

    @property
    def _is_deferred(self) -> bool:
        return any(verdict.deferred for verdict in self._plan.verdicts)

    def run(
        self, feed: Mapping[str, Array], wanted: Sequence[str] | None, control: RunControl | None = None
    ) -> list[Array]:
        """Compute the outputs asked for; all if `wanted` is None.

        Raises
        ------
        RunError
            If onnxruntime, which answers where the device fails, fails on this input too.
        """
        if self._unchecked:
            self._check_first_run(feed)
        if self._won_guards and violated(self._won_guards, feed):
            return self._plain_schedule().run(feed, wanted)  # let in before they held
        contest = self._contest
        if contest is not None and control is None:
            answer = contest.run(feed, wanted)
            if contest.is_over:
                self._end_contest(contest)
            return answer
        schedule = self._schedule
        if schedule is None:
            if control is not None:
                control.check()
            outputs = self._first_run(feed, wanted)
        else:
            outputs = schedule.run(feed, wanted) if control is None else schedule.run(feed, wanted, control)
        if self._on_trial:
            self._end_trials()
        return outputs

    def verify(self, feeds: Sequence[Mapping[str, Array]], asked: Asked) -> Verification:
        """Hold the plan that runs now against onnxruntime; raises as ``verify_plan``."""
        if self._schedule is None:
            self._first_run(feeds[0], None)
        with self._lock:
            model, realised, schedule = self._model, self._realised, self._schedule
        if self._closed or realised is None or schedule is None:
            raise RunError(CLOSED)
        return verify_plan(model, realised, self._engines, schedule, feeds, asked)

    def _check_first_run(self, feed: Mapping[str, Array]) -> None:
        """Hold the plan against onnxruntime on its first input, and mend it until it is right."""
        with self._lock:
            known = 0
            while self._unchecked and self._realised is not None:
                wrong = wrong_here(self._model, self._realised, self._engines, feed, known=known)
                self._unchecked = False
                if wrong:
                    known += len(wrong)
                    self._demotions = (*self._demotions, *wrong)
                    self._realise(self._plan_anew(self._demotions))

    def close(self) -> None:
        """Let go of everything compiled."""
        if self._contest is not None:
            self._contest.close()
        for schedule in (self._schedule, self._plain):
            if schedule is not None:
                schedule.close()
        self._rival, self._closed = None, True
        if self._realised is not None:
            close_bodies(self._realised)
            self._realised = without_engines(self._realised)

    def _plan_anew(self, demotions: Sequence[Demotion]) -> Plan:
        self._replans += 1
        return self._first_plan(demotions)

    def _first_plan(self, demotions: Sequence[Demotion] = ()) -> Plan:
        return plan_model(
            self._model,
            self._engines.options,
            self._table,
            demotions=self._lessons.of_all(demotions),
            guarded=self._guarded,
            held=self._engines.absent,
            inner=self._inner,
        )

    def _body_form(self, model: Model, plan: Plan | None, path: tuple[str, str]) -> Form:
        """Return the form of a body; without a plan, the one without guarded nodes."""
        lessons = self._lessons.of_body(path)
        engines = self._engines
        if plan is not None:  # a body in a loop has a threshold of its own
            engines = replace(engines, options=replace(engines.options, min_gain=plan.min_gain))
        guarded = self._guarded and plan is not None
        return Form(model, engines, self._table, guarded=guarded, plan=plan, inner=True, lessons=lessons)

    def _realise(self, plan: Plan) -> None:
        """Compile a plan and let it answer from now on; runs under way finish on the one before."""
        realised = realise(
            self._model,
            plan,
            self._engines,
            self._plan_anew,
            demotions=self._demotions,
            known={} if self._realised is None else self._realised.reusable(),
            progress=self._progress,
            make_form=self._body_form,
        )
        self._realised, self._plan, self._demotions = realised, realised.plan, realised.demotions
        self._guards = merge(realised.plan.guards) if self._guarded else ()
        on_failure = partial(self._answer_failure, realised)
        self._schedule = bind(realised, on_failure=on_failure, oversight=self._engines.oversight)
        if len(self._demotions) > self._known:
            self._lessons.learn(self._demotions)
        self._on_trial = realised.on_trial
        self._unchecked = self._engines.options.verify == FIRST_RUN and bool(realised.plan.delegated)
        if self._contest is not None:
            self._contest.close()
        self._contest = None
        if self._measured and not self._on_trial:
            told = (self._guarded, self._body_form, self._answer_rivals_failure)
            self._contest = open_contest(self._model, realised, self._schedule, self._engines, self._table, *told)

    def _end_trials(self) -> None:
        """Compile here what has stood its trial: from the next run on it computes in this process."""
        with self._lock:
            realised = self._realised
            passed = set() if realised is None else realised.stood_trial()
            if not passed:
                return
            self._engines.trials.passed |= passed
            self._realise(self._plan)
            self._lessons.learn((), passed)
            if not self._on_trial:
                self._engines.trials.rest()

    def _end_contest(self, contest: Contest) -> None:
        """Keep what was the fastest and let go of the others."""
        with self._lock:
            if self._contest is not contest:
                return
            self._contest, predicted = None, self._plan
            self._outcome, entry = contest.end()
            if entry is not None:
                self._guards = self._won_guards = entry.guards
                self._plan, self._demotions = entry.realised.plan, entry.realised.demotions
                self._realised, self._schedule = entry.realised, entry.schedule
        if self._outcome is not None and self._decided is not None:
            self._decided(predicted, self._outcome)

    def _answer_rivals_failure(
        self, failed: Realised, cluster_id: str, error: OvpartError, feed: Mapping[str, Array]
    ) -> Sequence[Array]:
        """Answer a failure of a rival that has won; one that is still measured is measured no more."""
        if self._contest is not None and self._realised is not failed:
            raise error
        return self._answer_failure(failed, cluster_id, error, feed)

    def _answer_failure(
        self, failed: Realised, cluster_id: str, error: OvpartError, feed: Mapping[str, Array]
    ) -> Sequence[Array]:
        """Answer a run in which a cluster failed; demote the cluster if onnxruntime can do what the device cannot."""
        cluster = next(c for c in failed.plan.clusters if c.id == cluster_id)
        options = self._engines.options
        if cluster.label == LAST_RESORT:
            raise error  # it is there because no other engine takes it
        lacking = lacking_kernel(failed.plan.graph, cluster, error, options)
        if lacking is not None:
            with self._lock:
                if self._realised is failed:
                    self._demotions = (*self._demotions, lacking)
                    self._realise(self._plan_anew(self._demotions))
            assert self._schedule is not None
            return self._schedule.run(feed)
        is_fallback = cluster.label.engine == FALLBACK.engine
        alone = is_fallback and len(failed.plan.clusters) == 1
        told_to_raise = options.strict or FALLBACK.engine in options.disable_fallback
        if alone or told_to_raise or self._engines.contexts or self._engines.oversight.raises_failures:
            raise error
        try:
            # Raises where the input itself is at fault.
            outputs: Sequence[Array] | None = self._plain_schedule().run(feed)
        except CompileError:
            if is_fallback:
                raise
            outputs = None  # onnxruntime does not take the model whole: the mended plan is what can answer
        # A rank at its boundary, which an earlier run had shown, may be another one in this run.
        if is_fallback and outputs is not None:
            return outputs
        with self._lock:
            if self._realised is failed:
                _log.warning("a cluster of %d nodes failed and moves to onnxruntime: %s", len(cluster.nodes), error)
                fresh = demote_failed(failed, cluster, error, self._engines, self._known)
                self._demotions = (*self._demotions, *fresh)
                self._realise(self._plan_anew(self._demotions))
            mended = self._schedule
        if outputs is None and mended is not None:
            outputs = mended.run(feed)
        if outputs is None:
            raise error
        return outputs

    def _plain_schedule(self) -> Schedule:
        """Return a schedule of the model as one island, compiled when first needed."""
        if self._plain is None:
            self._plain = island(self._model, self._engines, self._model.graph.outputs)
        return self._plain

    def _first_run(self, feed: Mapping[str, Array], wanted: Sequence[str] | None) -> list[Array]:
        """Answer on onnxruntime with every value of unknown rank as an output too, and plan anew with what is seen.

        onnx's inference has no rank behind some operators, and a cluster needs the rank of each input.
        """
        with self._lock:
            if self._schedule is not None:
                return self._schedule.run(feed, wanted)
            graph = self._model.graph
            unknown = without_rank(graph)
            shown = tuple(dict.fromkeys((*graph.outputs, *unknown)))
            schedule = island(self._model, self._engines, shown)
            seen = dict(zip(shown, schedule.run(feed), strict=True))
            schedule.close()
            self._model = with_types(self._model, {name: type_seen(seen[name]) for name in unknown})
            self._realise(self._plan_anew(self._demotions))
            _log.info("the first run showed the ranks of %d values; planned again", len(unknown))
            return [seen[name] for name in wanted or graph.outputs]
