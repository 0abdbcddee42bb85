"""Find the node that makes an engine refuse a cluster, in log2(nodes) compiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def first_failing_prefix(nodes: Sequence[int], refuses: Callable[[Sequence[int]], bool]) -> int:
    """Return the node whose arrival makes a prefix of a cluster fail.

    A prefix of a cluster in topological order is convex, as the cluster is, so each one can be cut and tried by itself.

    Parameters
    ----------
    nodes : sequence of int
        The cluster's nodes in topological order; the whole is known to be refused.
    refuses : callable
        Compiles a prefix and tells whether the engine refused it.

    Returns
    -------
    int
        The last node of the shortest prefix found to be refused (of a monotone failure: the guilty node).

    Examples
    --------
    >>> first_failing_prefix([3, 5, 8, 9], lambda prefix: 8 in prefix)
    8
    """
    good, bad = 0, len(nodes)
    while bad - good > 1:
        middle = (good + bad) // 2
        if refuses(nodes[:middle]):
            bad = middle
        else:
            good = middle
    return nodes[bad - 1]
