"""Progress of compiles on standard error: a spinner where rich is installed and somebody looks, else a plain line."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from ovpart.partition.plan import Cluster

Progress = Callable[[int, int, Cluster], None]
"""Called before each compile with: clusters done, clusters in all, the cluster that comes."""

_PATIENCE_S = 1.0
"""Without a spinner nothing is said before compiling has taken so many seconds: most models compile at once."""


@contextmanager
def compile_progress() -> Iterator[Progress]:
    """Give a callback that tells of compiles while the block runs."""
    if sys.stderr.isatty() and importlib.util.find_spec("rich") is not None:
        from rich.console import Console

        with Console(stderr=True).status("reading and planning …") as status:
            yield lambda done, total, cluster: status.update(_words(done, total, cluster))
        return
    began: list[float] = []

    def tell(done: int, total: int, cluster: Cluster) -> None:
        began.append(time.monotonic())
        if began[-1] - began[0] > _PATIENCE_S:
            click.echo(_words(done, total, cluster), err=True)

    yield tell


def _words(done: int, total: int, cluster: Cluster) -> str:
    where = f"{cluster.label.engine} {cluster.label.device}"
    nodes = f"{len(cluster.nodes)} node{'' if len(cluster.nodes) == 1 else 's'}"
    return f"compiling cluster {done + 1} of {total}: {nodes} for {where} …"
