"""Several models on one machine: sessions that share its cores by priority."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ovpart.errors import OptionError, RunError
from ovpart.options import resolve
from ovpart.runtime.admission import CLOSED, PATIENCE, Admission, PoolFact, Share
from ovpart.session import Session

if TYPE_CHECKING:
    import onnx

    from ovpart.runtime.admission import InPool

THREADS_A_STREAM = 4
"""Threads that a run gets by default on a machine with as many: more of them add less and less to one run."""


class Pool:
    """A number of threads that the runs of several sessions share.

    No more threads compute at a time than the pool has: a run takes what its session computes with and waits where
    there are too few. Of those that wait, a higher priority goes first; no run is overtaken without end.

    Parameters
    ----------
    threads : int, optional
        How many threads compute at a time, at most; by default as many as this process may use cores.
    streams : int, optional
        How many runs compute at a time where sessions say nothing else: each then takes ``threads // streams``
        threads. By default one for every four threads: few, so that each run is short. As many as there are threads
        gives the most runs in all.
    reserve : int
        How many of the threads are kept for runs of priority HIGH, which then wait for each other at most, and not
        until a long run of a lower priority is over. Idle where there are none.

    Raises
    ------
    OptionError
        If there are fewer threads than streams, fewer than one of either, or none that are not kept.

    Examples
    --------
    >>> with Pool(threads=8) as pool:  # doctest: +SKIP
    ...     detector = pool.open("detector.onnx", priority="HIGH")
    ...     indexer = pool.open("embedding.onnx", priority="LOW", num_threads=2)
    """

    def __init__(self, threads: int | None = None, streams: int | None = None, *, reserve: int = 0) -> None:
        self.threads = _count(threads, "threads") if threads is not None else _cores()
        self.streams = _count(streams, "streams") if streams is not None else max(1, self.threads // THREADS_A_STREAM)
        if self.streams > self.threads:
            raise OptionError(f"streams={self.streams}: a pool of {self.threads} threads has at most as many")
        if isinstance(reserve, bool) or not isinstance(reserve, int) or not 0 <= reserve < self.threads:
            raise OptionError(f"reserve={reserve!r}: a pool of {self.threads} threads keeps fewer than those, or none")
        self.reserve = reserve
        self._admission = Admission(self.threads, reserve)
        self._sessions: weakref.WeakSet[InPool] = weakref.WeakSet()
        self._closed = False

    def open(
        self,
        model: str | os.PathLike[str] | bytes | onnx.ModelProto,
        *,
        priority: str | None = None,
        **options: Any,
    ) -> Session:
        """Open a session in the pool: ``Session(model, pool=pool, model_priority=priority, ...)``.

        Parameters
        ----------
        model : path, bytes or onnx.ModelProto
            As :class:`ovpart.Session` takes it.
        priority : str, optional
            ``"HIGH"``, ``"MEDIUM"`` (the default) or ``"LOW"``; a GPU or NPU is told too.
        **options
            Of the session. ``num_threads`` is what one of its runs takes.

        Raises
        ------
        OptionError
            If it would take more threads than the pool has; and as :class:`ovpart.Session`.
        RunError
            If the pool is closed.
        """
        if priority is not None:
            if options.get("model_priority") is not None:
                message = "priority and model_priority are one and the same: give one of them"
                raise OptionError(message)
            options["model_priority"] = priority
        return Session(model, pool=self, **options)

    def share(self, options: Mapping[str, Any]) -> tuple[Share, dict[str, Any]]:
        """Return the share of a session, and what it is to be told; called by :class:`ovpart.Session`.

        Returns
        -------
        share : Share
            What its runs wait with.
        options : dict
            Settings that keep the engines to the share: openvino gets a stream for each run that can be under way,
            onnxruntime the threads of one run, which do not spin while they wait.

        Raises
        ------
        OptionError, RunError
            As :meth:`open`.
        """
        if self._closed:
            raise RunError(CLOSED)
        told = resolve({name: options.get(name) for name in _READ})
        threads = told.num_threads or self._usual(told.model_priority)
        streams = told.num_streams or (self.threads // threads if threads > 1 else 1)
        share = self._admission.share(threads, told.model_priority or "DEFAULT")
        return share, {
            "num_threads": threads * streams,
            "num_streams": streams,
            "onnxruntime_config": {"num_threads": threads, "spinning": False, **told.onnxruntime_config},
        }

    def _usual(self, priority: str | None) -> int:
        """Return how many threads a run takes where nobody says."""
        most = self.threads - self.reserve
        return min(self.threads // self.streams, max(most, self.reserve) if priority == "HIGH" else most)

    def add(self, session: InPool) -> None:
        """Have a session closed with the pool.

        Raises
        ------
        RunError
            If the pool was closed meanwhile.
        """
        self._sessions.add(session)
        if self._closed:
            session.close()
            raise RunError(CLOSED)

    @property
    def shares(self) -> tuple[tuple[str, PoolFact], ...]:
        """The name of the model and the share of each session there is, the highest priority first."""
        facts = [(session.model.name, session.share) for session in list(self._sessions)]
        found = [(name, fact) for name, fact in facts if fact is not None]
        return tuple(sorted(found, key=lambda one: (PATIENCE[one[1].priority], one[0])))

    def close(self) -> None:
        """Close the pool and its sessions: runs that wait raise, those under way come to their end."""
        self._closed = True
        self._admission.close()
        for session in list(self._sessions):
            session.close()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __str__(self) -> str:
        lines = [f"  {name}: {fact}" for name, fact in self.shares]
        return "\n".join([f"pool of {self.threads} threads", *lines])


_READ = ("num_threads", "num_streams", "model_priority", "onnxruntime_config")


def _count(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionError(f"{what}={value!r}: a pool takes a whole number, 1 or more")
    return value


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
