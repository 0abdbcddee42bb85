"""What sessions of one process have in common: maps of files, compiled clusters, the file of blobs that they write.

Sessions that ask for it form a group. A group holds on to nothing: a cluster or a map lives as long as a session uses
it, and a group as long as it has a session. ``stop_share_ep_contexts`` ends the group with the session that says so;
the next one that shares begins another.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ovpart.backend.forks import Process, this_process
from ovpart.errors import OvpartWarning
from ovpart.model.maps import Maps, Stamp
from ovpart.placement.sharing.content import BUT_FOR, Content, Place, Weights, difference, same, stamps_of, unchanged

if TYPE_CHECKING:
    import numpy as np

    from ovpart.backend.base import Executable
    from ovpart.options import Options


@dataclass(frozen=True, slots=True)
class Shared:
    """What a session found of others.

    Attributes
    ----------
    sessions : int
        Sessions of the group that were there when this one began.
    clusters, of_clusters : int
        Compiled clusters taken from others, of all that this session asked for.
    files, file_bytes : int
        Files of models, weights and blobs that another session had mapped already, and their size.
    why_not : str
        Why clusters were not shared, where some were not and other sessions had any; else empty.
    """

    sessions: int
    clusters: int
    of_clusters: int
    files: int
    file_bytes: int
    why_not: str

    def in_words(self) -> str:
        """Return a line for the report."""
        if not self.sessions and not self.clusters:
            return "shares with sessions to come; none was there before"
        others = f"{self.sessions} other session{'' if self.sessions == 1 else 's'}"
        mapped = f"{self.files} file{'' if self.files == 1 else 's'} mapped already ({self.file_bytes / 1e6:.1f} MB)"
        told = f"shared with {others}: {self.clusters} of {self.of_clusters} compiled clusters, {mapped}"
        return f"{told}; {self.why_not}" if self.why_not and self.clusters < self.of_clusters else told


@dataclass(slots=True)
class _Compiled:
    place: Place
    executable: weakref.ref[Executable]
    stamps: Mapping[str, Stamp | None]


@dataclass(slots=True)
class _Slot:
    """All that was compiled of one form. Its lock is held while a cluster of that form compiles."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    compiled: list[_Compiled] = field(default_factory=list)


class Group:
    """Sessions that share. Safe to use from several threads."""

    def __init__(self) -> None:
        self.maps = Maps()
        self.sessions: weakref.WeakSet[Sharing] = weakref.WeakSet()
        # Folder → the file of blobs that the group writes there; changed under `writing`.
        self.blob_files: dict[Path, Path] = {}
        self.writing = threading.Lock()
        self._lock = threading.Lock()
        self._slots: dict[Hashable, _Slot] = {}
        # Freed with their executable, which holds on to them itself.
        self._weights: weakref.WeakKeyDictionary[Executable, Weights] = weakref.WeakKeyDictionary()

    def executable(
        self, content: Content, place: Place, make: Callable[[], Executable]
    ) -> tuple[Executable, bool, str]:
        """Return what somebody has compiled, or what `make` compiles now.

        Returns
        -------
        (Executable, bool, str)
            Whether it was somebody's, and else why nobody's would do, empty where nobody had any of this form.
        """
        with self._lock:
            slot = self._slots.setdefault(content.form, _Slot())
        with slot.lock:
            slot.compiled = [made for made in slot.compiled if made.executable() is not None]
            why_not = ""
            for made in slot.compiled:
                executable = made.executable()
                if executable is None:
                    continue
                if made.place != place:
                    why_not = why_not or difference(made.place, place)
                elif not unchanged(made.stamps) or not same(self._weights[executable], content.weights):
                    why_not = why_not or "clusters of the same form have other weights"
                else:
                    return executable, True, ""
            executable = make()
            try:
                self._weights[executable] = content.weights
                slot.compiled.append(_Compiled(place, weakref.ref(executable), stamps_of(content.weights)))
            except TypeError:  # no weak reference can be made to it
                why_not = f"executables of {place.engine} cannot be shared"
            return executable, False, why_not


class Sharing:
    """The part that one session has in a group.

    Parameters
    ----------
    group : Group
        Held on to, until :meth:`close`.
    """

    def __init__(self, group: Group) -> None:
        self.is_ready: bool = False
        others = tuple(group.sessions)
        self._others = len(others)
        self._ready = sum(session.is_ready for session in others)
        self._group: Group | None = group
        group.sessions.add(self)
        self._lock = threading.Lock()
        self._clusters = self._of_clusters = self._files = self._file_bytes = 0
        self._why_not = ""

    @property
    def group(self) -> Group | None:
        """The group; ``None`` once the session is closed."""
        return self._group

    def open_file(self, path: str, subject: str) -> np.ndarray:
        """Map a file, or return the map that another session has; raises ModelError as ``map_file``."""
        group = self._group or Group()
        mapped, there = group.maps.open(path, subject)
        if there:
            with self._lock:
                self._files += 1
                self._file_bytes += mapped.nbytes
        return mapped

    def executable(self, content: Content, place: Place, make: Callable[[], Executable]) -> tuple[Executable, bool]:
        """Return what another session has compiled, or what `make` compiles now, and whether it is another's."""
        group = self._group
        if group is None:
            return make(), False
        executable, there, why_not = group.executable(content, place, make)
        with self._lock:
            self._clusters += there
            self._of_clusters += 1
            self._why_not = self._why_not or why_not
        return executable, there

    def facts(self) -> Shared:
        """Return what was found so far."""
        with self._lock:
            why_not = self._why_not
            if self._others and self._of_clusters and not self._clusters and not why_not:
                why_not = "no cluster of another session is the same"
            return Shared(self._others, self._clusters, self._of_clusters, self._files, self._file_bytes, why_not)

    def in_vain(self) -> str:
        """Return why nothing is shared, or clusters are not but for their settings; empty where all is well.

        Sessions that are still being made do not count: what they will share is not known yet.
        """
        found = self.facts()
        if not self._ready or found.clusters or (found.files and not found.why_not.startswith(BUT_FOR)):
            return ""
        many = "another session" if self._ready == 1 else f"{self._ready} other sessions"
        why = found.why_not or "its plan has no cluster that is compiled yet"
        return f"no cluster is shared with {many}: {why}"

    def stop(self) -> None:
        """End the group: who comes after shares with others. Those who are in it go on."""
        if self._group is not None:
            _register().end(self._group)

    def close(self) -> None:
        """Leave the group."""
        group, self._group = self._group, None
        if group is not None:
            group.sessions.discard(self)


class _Register:
    """The group that new sessions join."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._group: weakref.ref[Group] | None = None

    def join(self) -> Sharing:
        with self._lock:
            group = None if self._group is None else self._group()
            if group is None:
                group = Group()
                self._group = weakref.ref(group)
            return Sharing(group)

    def end(self, group: Group) -> None:
        with self._lock:
            if self._group is not None and self._group() is group:
                self._group = None


@cache
def _register_of(process: Process) -> _Register:
    return _Register()


def _register() -> _Register:
    """Return the register of this process: a child that was forked has none of its parent's engines."""
    return _register_of(this_process())


def join() -> Sharing:
    """Let a session take part in sharing: with those that are there, or as the first one."""
    return _register().join()


def begin(options: Options) -> Sharing | None:
    """Return the part that a session has in sharing, ``None`` where it did not ask for any.

    Warns
    -----
    OvpartWarning
        Where it asks for an end of sharing without having begun.
    """
    if options.share_ep_contexts:
        return join()
    if options.stop_share_ep_contexts:
        warnings.warn(
            "stop_share_ep_contexts=True has no effect without share_ep_contexts=True", OvpartWarning, stacklevel=3
        )
    return None


def settled(sharing: Sharing | None, options: Options) -> None:
    """Say what a session that is made now could not share, and end the group where it is the last one.

    Warns
    -----
    OvpartWarning
        Where there were sessions to share with, and nothing that could be shared.
    """
    if sharing is None:
        return
    sharing.is_ready = True
    why_not = sharing.in_vain()
    if why_not:
        warnings.warn(f"share_ep_contexts=True has no effect: {why_not}", OvpartWarning, stacklevel=3)
    if options.stop_share_ep_contexts:
        sharing.stop()
