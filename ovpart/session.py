"""The session: a model, planned, compiled and ready to run."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovpart.backend.base import Array
from ovpart.backend.cut import port
from ovpart.backend.fold import by_engines, fold_constants
from ovpart.backend.forks import inherited, this_process
from ovpart.capability.measured import differences
from ovpart.capability.table import load_table
from ovpart.errors import InputError
from ovpart.model.edits import NO_EDITS, Edits
from ovpart.model.free_dimensions import with_sizes
from ovpart.model.graph import Model
from ovpart.model.variants import general_form
from ovpart.options import resolve
from ovpart.partition.nested import scopes
from ovpart.partition.plan import Plan
from ovpart.placement.contest.memory import choice_of, recall
from ovpart.placement.devices.settings import EMULATING_DEVICE
from ovpart.placement.engines import make_engines
from ovpart.placement.evidence import open_notebook
from ovpart.placement.extensions import typed_by_extensions
from ovpart.placement.files.context_file import write_context
from ovpart.placement.files.contexts import BEYOND_COMPILED, open_model, with_contexts
from ovpart.placement.form import Form
from ovpart.placement.given_plan import given_plan
from ovpart.placement.known_operators import refuse_unknown_operators
from ovpart.placement.lessons import Lessons
from ovpart.placement.override_forms import OverrideForms
from ovpart.placement.profiling.profiling import Profiling
from ovpart.placement.remote import Memories, Reaching, is_remote
from ovpart.placement.sharing.group import begin, settled
from ovpart.placement.static_forms import StaticForms
from ovpart.placement.verification.verifying import Verifying
from ovpart.planning import edits_of, plan_model
from ovpart.report.facts import EvidenceFact, RunFacts
from ovpart.report.model import Report, make_report
from ovpart.runtime.control import RunControl
from ovpart.runtime.feed import FeedCheck
from ovpart.runtime.guards import violated
from ovpart.runtime.node_args import NodeArg, node_arg
from ovpart.runtime.oversight import Oversight
from ovpart.runtime.tally import Tally

if TYPE_CHECKING:
    import onnx

    from ovpart.placement.contest.race import Outcome
    from ovpart.placement.files.context_file import Sign
    from ovpart.placement.files.contexts import Check
    from ovpart.placement.realise import Progress
    from ovpart.runtime.admission import PoolFact, Share, Sharing

_log = logging.getLogger("ovpart")


class Session(Verifying, Profiling, Reaching):
    """A model, split between the device asked for and onnxruntime.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The model; also the path of a model in openvino's IR (``.xml``), which openvino runs whole.
    device : str
        The device that nodes are delegated to.
    plan : Plan or path, optional
        Run exactly this plan, made for this model by :func:`ovpart.plan` or loaded from its file.
    progress : callable, optional
        Called before each compile with (clusters done, clusters in all, the cluster that comes).
    context_check : callable, optional
        Where the model holds compiled clusters: called with the name, the blob and the signature of each before
        openvino sees it. It raises where the blob is not to be trusted.
    edits : Edits, optional
        What is changed about the model while it is read, beside what options say.
    oversight : Oversight, optional
        How runs are watched.
    pool : Pool, optional
        Whose threads it shares with other sessions: :class:`ovpart.Pool`.
    **options
        See ``docs/options.md``.

    Raises
    ------
    ModelError
        If the model is broken, or uses an operator that no engine on this machine knows.
    DeviceNotFound
        If the device is not on this machine.
    OptionError, TableError, PlanError
        If an option, an overlay or the plan cannot be used.
    CompileError
        Under ``strict=True``, if an engine refuses a cluster.

    Examples
    --------
    >>> session = Session("model.onnx", device="GPU")  # doctest: +SKIP
    >>> session.run(None, {"image": image})  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes | onnx.ModelProto,
        *,
        device: str = "CPU",
        plan: Plan | str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
        context_check: Check | None = None,
        edits: Edits = NO_EDITS,
        oversight: Oversight | None = None,
        pool: Sharing | None = None,
        **options: Any,
    ) -> None:
        start = time.perf_counter()
        self._home = this_process()
        self._share: Share | None = None
        set_by_pool: dict[str, Any] = {}
        if pool is not None:
            self._share, set_by_pool = pool.share(options)
        self._options = resolve({"device": device, **options, **set_by_pool})
        self._options = replace(self._options, pooled=frozenset(set_by_pool))
        self._table = load_table(self._options.table)
        engines = make_engines(self._options)
        self._engines = replace(engines, sharing=begin(self._options))
        read = open_model(model, self._engines, edits_of(self._options, edits))
        self._model, self._engines = with_contexts(
            with_sizes(read, self._options.free_dimensions), self._engines, context_check
        )
        self._model = typed_by_extensions(self._model, self._engines)
        self._options = self._engines.options
        if oversight is not None:
            self._engines = replace(self._engines, oversight=oversight)
        self._notebook = open_notebook(self._model, self._engines)
        if not self._options.isolate:
            self._engines.trials.passed.update(self._notebook.passed)
        known = self._notebook.demotions if plan is None else ()  # a plan that is given runs as it is
        first, self._known_outcome = self._first_plan(plan)
        self._planning_ms = 1e3 * (time.perf_counter() - start)
        refuse_unknown_operators(self._model, first, self._engines)
        self._folded = fold_constants(self._model, by_engines(*self._options.fallback))
        self._form = Form(
            self._folded,
            self._engines,
            self._table,
            plan=first,
            measured=plan is None and self._known_outcome is None,
            progress=progress,
            lessons=Lessons(known, self._notebook.learn),
            decided=self._remember,
        )
        self._static: StaticForms | None = None
        if self._options.disable_dynamic_shapes:
            make = partial(Form, engines=self._engines, table=self._table)
            self._static = StaticForms(self._folded, self._form, make)
        self._lock = threading.Lock()
        self._without_guards: Form | None = None
        self._overrides = OverrideForms(self._overriding)
        self._tally = Tally()
        graph = self._model.graph
        inputs = [port(name, graph.type_of(name)) for name in graph.inputs]
        self._check = FeedCheck(inputs, [port(name, graph.type_of(name)) for name in graph.overridable])
        self._memories = Memories(self._engines)
        if pool is not None:
            pool.add(self)
        settled(self._engines.sharing, self._options)
        _log.info("%s", self.report.line())

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Array], run_options: object = None
    ) -> list[Array]:
        """Compute outputs.

        Parameters
        ----------
        output_names : sequence of str or None
            The outputs wanted; all, in the model's order, if None or empty.
        input_feed : mapping of str to array
            One array an input. Initializers that are also inputs may be left out.
        run_options : onnxruntime.RunOptions, optional
            Options of this run: setting its ``terminate`` from another thread ends it; what runs on onnxruntime takes
            all of it.

        Returns
        -------
        list of numpy.ndarray
            As onnxruntime gives them. No later run overwrites them, and none shares memory with an input.

        Raises
        ------
        InputError
            If an input is missing, unknown, or of the wrong dtype, rank or fixed size; or an output is unknown.
        RunError
            If the engines fail on this input, the run was ended, or this process was forked from the one that the
            session was opened in.
        """
        if self._home.is_past:
            raise inherited("this session", self._home)
        feed = self._check(input_feed)
        if feed is not input_feed and is_remote(feed):
            return self.run_bound(feed, {}, output_names, run_options)
        control = None if run_options is None else RunControl(run_options)
        share = self._share
        if share is not None:
            share.enter(control)
        try:
            form = self._form_for(feed)
            outputs = form.run(feed, output_names, control)
        finally:
            if share is not None:
                share.leave()
        self._count(form)
        return outputs

    def __call__(self, input_feed: Mapping[str, Array]) -> dict[str, Array]:
        """Compute all outputs and return them by name; raises as :meth:`run`."""
        return dict(zip(self._model.graph.outputs, self.run(None, input_feed), strict=True))

    def get_inputs(self) -> list[NodeArg]:
        """Return the inputs that every run needs, as onnxruntime describes them."""
        return [node_arg(self._model, name) for name in self._model.graph.inputs]

    def get_outputs(self) -> list[NodeArg]:
        """Return the outputs, as onnxruntime describes them."""
        return [node_arg(self._model, name) for name in self._model.graph.outputs]

    def get_overridable_initializers(self) -> list[NodeArg]:
        """Return the inputs that have a default and may be left out of a feed, as onnxruntime describes them."""
        return [node_arg(self._model, name) for name in self._model.graph.overridable]

    @property
    def model(self) -> Model:
        """The model as it was read."""
        return self._model

    @property
    def share(self) -> PoolFact | None:
        """What it has of its pool, and how its runs waited; ``None`` where it is in none."""
        return None if self._share is None else self._share.fact()

    @property
    def plan(self) -> Plan:
        """The plan that runs now: the first one, or what demotions have made of it."""
        return self._form.plan

    @property
    def report(self) -> Report:
        """What went where and why, as of now; print it, save it, gate it."""
        labels = {cluster.label for scope in scopes(self._form.plan) for cluster in scope.plan.clusters}
        emulated = any(self._engines.device_of(label) != label.device for label in labels)
        return make_report(
            self._form.plan,
            self._model,
            engines={label.engine: self._engines.version_of(label) for label in labels},
            options=self._options,
            demotions=self._form.demotions,
            planning_ms=self._planning_ms,
            emulated_on=EMULATING_DEVICE if emulated else None,
            compiles=self._engines.counts.as_data(),
            runs=RunFacts(*self._tally.counts(), self._form.replans, self._form.outcome or self._known_outcome),
            variants=None if self._static is None else self._static.counts,
            inside=self._form.inside(),
            evidence=None if (kept := self._notebook.kept()) is None else EvidenceFact(*kept),
            sharing=None if self._engines.sharing is None else self._engines.sharing.facts(),
            table_differs=differences(self._table.measured_with),
            pool=self.share,
            profile=self._profiled,
        )

    def settle(self, timeout: float | None = None) -> bool:
        """Wait until background work is done.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Returns
        -------
        bool
            Whether all is done: what is measured beside the plan on the first runs is compiled in the background.
        """
        return self._form.settle(timeout)

    def save_context(
        self, path: str | os.PathLike[str], *, embed: bool = True, sign: Sign | None = None
    ) -> tuple[Path, ...]:
        """Write the model with its delegated clusters compiled, as EPContext nodes, to be loaded without a compile.

        Parameters
        ----------
        path : path
            The ONNX file to write.
        embed : bool
            Whether the blobs go into it; else into ``STEM_OpenVINOExecutionProvider.bin`` beside it.
        sign : callable, optional
            Called with the name and the blob of each cluster; what it returns is kept as its signature.

        Returns
        -------
        tuple of Path
            The files written.

        Raises
        ------
        CompileError
            If the device cannot give its compiled clusters.
        OptionError
            If the plan waits for a first run, or the device is emulated.
        RunError
            As :meth:`run`, in a forked process.
        """
        if self._home.is_past:
            raise inherited("this session", self._home)
        return write_context(self._form.realised, self._model, self._engines, Path(path), embed=embed, sign=sign)

    def close(self) -> None:
        """Let go of compiled clusters and their memory; a closed session raises :class:`RunError` when run."""
        for form in (self._form, self._without_guards, self._overrides):
            if form is not None:
                form.close()
        if self._static is not None:
            self._static.close()
        self._engines.trials.close()
        if self._engines.sharing is not None:
            self._engines.sharing.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _count(self, form: Form) -> None:
        self._tally.add(form is self._without_guards)

    def _first_plan(self, given: Plan | str | os.PathLike[str] | None) -> tuple[Plan, Outcome | None]:
        """Return the plan to start with, and what an earlier session measured of it."""
        if given is not None:
            return given_plan(given, self._model), None
        known, held = self._notebook.demotions, self._engines.absent
        predicted = plan_model(self._model, self._options, self._table, demotions=known, held=held)
        return recall(self._notebook, self._model, predicted, self._options, self._table)

    def _remember(self, predicted: Plan, outcome: Outcome) -> None:
        if outcome.is_steady:
            self._notebook.learn(choice=choice_of(predicted, outcome, self._options))

    def _form_for(self, feed: Mapping[str, Array]) -> Form:
        """Return the form that is right for these inputs; the usual one nearly always."""
        overridden = self._check.overridden(feed)
        if overridden:
            return self._overrides.form_for(overridden)
        if self._form.guards and violated(self._form.guards, feed):
            return self._unguarded()
        return self._form if self._static is None else self._static.form_for(feed)

    def _unguarded(self) -> Form:
        with self._lock:
            if self._without_guards is None:
                self._without_guards = self._further_form(self._folded)
            return self._without_guards

    def _overriding(self, names: frozenset[str]) -> Form:
        general = general_form(self._model, names)
        return self._further_form(fold_constants(general, by_engines(*self._options.fallback)))

    def _further_form(self, model: Model) -> Form:
        if self._engines.contexts:
            raise InputError(BEYOND_COMPILED)
        known, learn = self._notebook.demotions, self._notebook.learn
        return Form(model, self._engines, self._table, guarded=False, lessons=Lessons(known, learn))
