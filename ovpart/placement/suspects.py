"""Which clusters are tried in a process of their own, and who is to blame where one does not come back."""

from __future__ import annotations

from collections.abc import Sequence

from ovpart.capability.control import PIN
from ovpart.capability.demotion import Demotion
from ovpart.capability.verdict import State
from ovpart.errors import CompileError, OvpartError
from ovpart.model.graph import Model
from ovpart.partition.boundary import boundary
from ovpart.partition.plan import Cluster, Label, Plan
from ovpart.placement.bisect import first_failing_prefix
from ovpart.placement.cutting import cut_of
from ovpart.placement.engines import Engines
from ovpart.placement.extensions import tried_elsewhere
from ovpart.placement.trial.trials import TrialDied


def suspects(plan: Plan, nodes: Sequence[int]) -> list[int]:
    """Return the nodes that nobody has vouched for: unknown to the table, or pinned against it."""
    return [i for i in nodes if plan.verdicts[i].state is State.UNKNOWN or plan.verdicts[i].rule == PIN]


def wants_trial(plan: Plan, cluster: Cluster, engines: Engines) -> bool:
    """Return whether a cluster must be compiled and first run in a process of its own.

    Parameters
    ----------
    plan : Plan
        The plan that it is of.
    cluster : Cluster
        The cluster.
    engines : Engines
        Knows the option ``isolate`` and what has stood its trial.
    """
    if cluster.is_island or (cluster.id, cluster.label) in engines.trials.passed:
        return False
    wanted = engines.options.isolate or bool(suspects(plan, cluster.nodes))
    return wanted and tried_elsewhere(engines, cluster.label.engine)


def demotions_of(model: Model, label: Label, nodes: Sequence[int], stage: str, words: str) -> list[Demotion]:
    """Return the demotion of each of some nodes from a label."""
    return [Demotion(model.graph.nodes[i].key, label.engine, stage, words, label.device) for i in nodes]


def demote_hung(model: Model, plan: Plan, cluster: Cluster, error: CompileError) -> list[Demotion]:
    """Return demotions for a compile that gave no answer.

    No search is made: each step of one could take the whole time-out again. The suspects are to blame, or the whole
    cluster where there are none.
    """
    guilty = suspects(plan, cluster.nodes) or cluster.nodes
    return demotions_of(model, cluster.label, guilty, error.stage, str(error))


def demote_died(
    model: Model, plan: Plan, cluster: Cluster, nodes: Sequence[int], error: TrialDied, engines: Engines
) -> list[Demotion]:
    """Return demotions for a first run that took its process down, or gave no answer.

    Parameters
    ----------
    model : Model
        With constants folded.
    plan : Plan
        The plan that ran.
    cluster : Cluster
        The cluster that failed.
    nodes : sequence of int
        The part of it that did.
    error : TrialDied
        What happened, on which inputs.
    engines : Engines
        What compiles.
    """
    if error.hung:
        guilty = suspects(plan, nodes) or list(nodes)
    else:
        values = {port.name: array for port, array in zip(error.executable.inputs, error.inputs, strict=True)}

        def dies(prefix: Sequence[int]) -> bool:
            reads, _ = boundary(model.graph, prefix)
            try:
                executable = engines.try_out(cut_of(model, prefix), cluster.label)
                engines.trials.run(executable, [values[name] for name in reads])
            except OvpartError:
                return True
            return False

        guilty = [first_failing_prefix(nodes, dies)]
    return demotions_of(model, cluster.label, guilty, "run", str(error))
