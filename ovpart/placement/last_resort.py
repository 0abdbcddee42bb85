"""What onnxruntime takes at compile time and says at run time that it does not have, goes to onnx.reference."""

from __future__ import annotations

import re

from ovpart.capability.demotion import Demotion
from ovpart.model.graph import Graph
from ovpart.options import Options
from ovpart.partition.plan import Cluster
from ovpart.planning import FALLBACK, LAST_RESORT

_LACKS = re.compile(r"\bnot (?:supported|implemented|defined)\b|inconsistent total_sequence_length", re.IGNORECASE)
"""Words of a kernel that lacks something, rather than of an input that is at fault (onnxruntime 1.31).

The latter are those of Attention-24 on a mask that is shorter than the keys, which counts as padded.
"""
_NODE = re.compile(r"Name:'(?P<name>[^']*)'")


def lacking_kernel(graph: Graph, cluster: Cluster, error: Exception, options: Options) -> Demotion | None:
    """Return the demotion of the node of which onnxruntime says that it cannot compute it on these inputs.

    Parameters
    ----------
    graph : Graph
        The scope.
    cluster : Cluster
        What failed at its run.
    error : Exception
        With onnxruntime's words.
    options : Options
        ``fallback`` and ``strict``.

    Returns
    -------
    Demotion or None
        ``None`` where the cluster is none of onnxruntime's, the words say something else, the node is not named, or
        there is no engine behind onnxruntime.
    """
    words = str(error)
    if cluster.label != FALLBACK or options.strict or LAST_RESORT.engine not in options.fallback:
        return None
    if not _LACKS.search(words):
        return None
    nodes = [graph.nodes[index] for index in cluster.nodes]
    match = _NODE.search(words)
    named = [node for node in nodes if match is not None and match["name"] in (node.key, node.label) and match["name"]]
    found = named or (nodes if len(nodes) == 1 else [])
    return Demotion(found[0].key, FALLBACK.engine, "run", words) if len(found) == 1 else None
