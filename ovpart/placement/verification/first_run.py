"""``verify="first-run"``: what a plan computes is held against onnxruntime once, and what is wrong is demoted."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

from ovpart.backend.base import Array
from ovpart.capability.demotion import Demotion
from ovpart.errors import CompileError, InputError, RunError, VerificationError
from ovpart.model.graph import Model
from ovpart.partition.plan import RUNTIME, Cluster
from ovpart.placement.engines import Engines
from ovpart.placement.realise import Realised, bind
from ovpart.placement.verification.culprit import find_culprit
from ovpart.placement.verification.findings import FAILED, WRONG, CheckedCluster, summary
from ovpart.placement.verification.judge import Judge, summon
from ovpart.placement.verification.verify import check_cluster, check_outputs
from ovpart.planning import LAST_RESORT

FIRST_RUN = "first-run"
"""The option's value."""
STAGE = "verify"
"""Stage of demotions that a verification teaches."""
SINGLE_DEMOTIONS = 8
"""After so many single nodes, what is wrong next is demoted as a whole cluster."""
_LONG = 4
"""A combination of more nodes than this is no broken fusion, but rounding that grows: the whole cluster is demoted."""

_log = logging.getLogger("ovpart")


def wrong_here(
    model: Model, realised: Realised, engines: Engines, feed: Mapping[str, Array], *, known: int = 0
) -> list[Demotion]:
    """Hold a plan's clusters, and its outputs, against onnxruntime on one input.

    Parameters
    ----------
    model : Model
        With constants folded.
    realised : Realised
        The plan and its executables.
    engines : Engines
        Of the session.
    feed : mapping of str to array
        The input.
    known : int
        How many nodes were demoted so before.

    Returns
    -------
    list of Demotion
        The nodes that make clusters wrong; where no cluster is wrong by itself but an output is, all of the cluster
        that rounds most. Empty where all is right, and where onnxruntime cannot compute the model alone.

    Raises
    ------
    VerificationError
        Under ``strict``, instead of demoting.
    """
    fresh = _found(model, realised, engines, feed, known)
    if fresh and engines.options.strict:
        raise VerificationError(f"node {fresh[0].node!r} on {fresh[0].engine}: {fresh[0].words}")
    if fresh:
        _log.warning("%d nodes move to onnxruntime; %s: %s", len(fresh), fresh[0].node, fresh[0].words)
    return fresh


def _found(model: Model, realised: Realised, engines: Engines, feed: Mapping[str, Array], known: int) -> list[Demotion]:
    try:
        judge = summon(model, realised, engines, [feed])
    except (CompileError, RunError, InputError) as error:
        _log.warning("the first run is not verified, onnxruntime cannot compute the model alone: %s", error)
        return []
    delegated = [c for c in realised.plan.clusters if not c.is_island and c.label != LAST_RESORT]
    checked = [check_cluster(judge, realised, cluster) for cluster in delegated]
    fresh = [
        demotion
        for cluster, found in zip(delegated, checked, strict=True)
        if found.status in (WRONG, FAILED)
        for demotion in _of_cluster(judge, cluster, found, whole=known >= SINGLE_DEMOTIONS)
    ]
    if fresh or not delegated:
        return fresh
    schedule = bind(realised)
    try:
        outputs, _ = check_outputs(judge, schedule)
    except (RunError, InputError) as error:
        return _all_of(model, delegated[0], f"wrong here: fails between clusters: {error}")
    finally:
        schedule.close()
    wrong = [value for value in outputs if value.status == WRONG]
    if not wrong:
        return []
    noisiest = min(zip(delegated, checked, strict=True), key=lambda pair: _noise_db(pair[1]))
    words = f"wrong here: rounding adds up to {summary(wrong[0])} in output {wrong[0].name!r}"
    return _all_of(model, noisiest[0], words)


def _of_cluster(judge: Judge, cluster: Cluster, found: CheckedCluster, *, whole: bool) -> list[Demotion]:
    worst = found.worst
    told = found.words if worst is None else summary(worst)
    if whole or cluster.label == RUNTIME:  # a body's own plan is verified when it runs first
        return _all_of(judge.model, cluster, f"wrong here: {told}")
    culprit = find_culprit(judge, cluster, found)
    if len(culprit.indices) > _LONG:
        return _all_of(judge.model, cluster, f"wrong here: {told}")
    together = "" if len(culprit.indices) == 1 else f" (with {len(culprit.indices) - 1} nodes before it)"
    return [Demotion(culprit.key, cluster.label.engine, STAGE, f"wrong here: {culprit.words}{together}")]


def _all_of(model: Model, cluster: Cluster, words: str) -> list[Demotion]:
    return [Demotion(model.graph.nodes[index].key, cluster.label.engine, STAGE, words) for index in cluster.nodes]


def _noise_db(found: CheckedCluster) -> float:
    return min((v.found.sqnr_db for v in found.values if v.found.sqnr_db is not None), default=math.inf)
