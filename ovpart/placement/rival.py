"""What a plan that rests on predictions is measured against: the whole model on onnxruntime."""

from __future__ import annotations

import logging

from ovpart.errors import CompileError
from ovpart.partition.overruling import not_worth
from ovpart.placement.engines import Engines
from ovpart.placement.race import MAX_WEIGHT_BYTES
from ovpart.placement.realise import Realised, realise_alone
from ovpart.planning import LAST_RESORT, held_back

_log = logging.getLogger("ovpart")


def rival_of(realised: Realised, engines: Engines) -> Realised | None:
    """Return the model on onnxruntime alone, compiled.

    Parameters
    ----------
    realised : Realised
        The plan that is to be measured.
    engines : Engines
        What compiles.

    Returns
    -------
    Realised or None
        ``None`` where there is nothing to measure: nothing is delegated, the user has said what to do, the weights
        are too large to hold twice, or onnxruntime does not take the model.
    """
    options = engines.options
    told = (
        options.min_gain is not None
        or options.pin
        or options.emulate
        or options.strict
        or options.disable_fallback
        or engines.contexts
        or any(cluster.label == LAST_RESORT for cluster in realised.plan.clusters)  # no rival does without it
    )
    weights = realised.model.weights
    if told or not realised.plan.delegates or sum(weights.nbytes(name) for name in weights) > MAX_WEIGHT_BYTES:
        return None
    try:
        return realise_alone(
            realised.model, held_back(realised.model, realised.plan, not_worth("", source="measured")), engines
        )
    except CompileError as error:
        _log.info("onnxruntime alone does not take the model: %s", error)
        return None
