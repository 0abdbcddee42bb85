"""Where evidence is kept between processes: found for a session, added to under a lock, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import ovpart
from ovpart.capability.demotion import Demotion
from ovpart.capability.evidence import Choice, Evidence, evidence_for, read_evidence
from ovpart.capability.table import cache_folder
from ovpart.errors import OvpartWarning
from ovpart.model.graph import Model
from ovpart.partition.plan import Label
from ovpart.placement.engines import Engines
from ovpart.placement.extensions import keeps_evidence
from ovpart.planning import DEVICE_ENGINE, FALLBACK

_log = logging.getLogger("ovpart")

LOCK_TIMEOUT_S = 10.0
"""Seconds to wait for another process that writes the same file; it takes milliseconds."""
PASSING = ("bad_alloc", "out of memory", "out of resources", "cannot allocate", "device lost", "(signal 9)")
"""Words of failures that tell of the machine's state and not of the model: the next session tries again."""


class Notebook:
    """What a session knows from before, and where it writes what it learns.

    Parameters
    ----------
    about : Evidence
        Model, device, engines and settings; nothing learnt.
    path : Path or None
        The file; ``None`` where nothing is kept.
    loaded : Evidence or None
        What stood there.
    """

    def __init__(self, about: Evidence, path: Path | None, loaded: Evidence | None) -> None:
        self.path = path
        self.loaded = loaded
        self._about = about
        self._known = loaded or about
        self._lock = threading.Lock()

    @property
    def evidence(self) -> Evidence:
        """All that is known by now."""
        return self._known

    @property
    def demotions(self) -> tuple[Demotion, ...]:
        """What earlier sessions learnt."""
        return () if self.loaded is None else self.loaded.demotions

    @property
    def passed(self) -> set[tuple[str, Label]]:
        """Clusters that stood their trial in earlier sessions."""
        rows = () if self.loaded is None else self.loaded.passed
        return {(cluster, Label(engine, device)) for cluster, engine, device in rows}

    def kept(self) -> tuple[str | None, int, int] | None:
        """Return the file, the demotions known before and those learnt since; ``None`` where nothing is kept."""
        if self.path is None and self.loaded is None:
            return None
        known = len(self.demotions)
        return None if self.path is None else str(self.path), known, len(self._known.demotions) - known

    @property
    def choice(self) -> Choice | None:
        """Which way an earlier session found to be the fastest."""
        return None if self.loaded is None else self.loaded.choice

    def learn(
        self,
        demotions: Iterable[Demotion] = (),
        passed: Iterable[tuple[str, Label]] = (),
        choice: Choice | None = None,
    ) -> None:
        """Keep what is new, in the file too.

        Warns
        -----
        OvpartWarning
            Where the file cannot be written: the session goes on, the next one learns it again.
        """
        lasting = [d for d in demotions if not any(word in d.words.lower() for word in PASSING)]
        with self._lock:
            more = self._known.with_more(lasting, [(cluster, at.engine, at.device) for cluster, at in passed])
            more = replace(more, choice=choice or more.choice)
            if more == self._known:
                return
            self._known = more
            if self.path is None:
                return
            try:
                self._known = add_to(self.path, more)
            except (OSError, TimeoutError) as error:
                told = (
                    f"evidence cannot be kept in {self.path}: {error}; evidence='off' or a path of your own spares it"
                )
                warnings.warn(told, OvpartWarning, stacklevel=2)


def add_to(path: Path, evidence: Evidence) -> Evidence:
    """Write evidence to a file together with what stands there of the same model, device and engines.

    Parameters
    ----------
    path : Path
        The file. A lock file is made beside it; a reader finds the old record or the new one, never a half.
    evidence : Evidence
        What to add.

    Returns
    -------
    Evidence
        What stands there now.

    Raises
    ------
    OSError
        If the folder cannot be written (or, as ``TimeoutError``, locked).
    """
    import filelock

    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{path}.lock", timeout=LOCK_TIMEOUT_S):
        there = read_evidence(path)
        if there is not None and there.is_about(evidence):
            more = there.with_more(evidence.demotions, evidence.passed)
            evidence = replace(more, choice=evidence.choice or there.choice)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(evidence.to_json())
        os.replace(temporary, path)
    _log.info("evidence of %d demotions is kept in %s", len(evidence.demotions), path)
    return evidence


def open_notebook(model: Model, engines: Engines) -> Notebook:
    """Return what is known of a model from earlier sessions, as the option ``evidence`` says.

    Parameters
    ----------
    model : Model
        As it was read.
    engines : Engines
        The session's.

    Warns
    -----
    OvpartWarning
        Where a file is corrupt, or of something else: it is ignored.
    """
    options = engines.options
    if engines.absent is not None:  # no engine whose answers could be kept
        return Notebook(Evidence(model.fingerprint, options.device), None, None)
    about = Evidence(model.fingerprint, options.device, _versions(engines), _settings(engines))
    given = options.evidence or "auto"
    if given == "off" or not keeps_evidence(engines):
        return Notebook(about, None, None)
    if given == "auto":
        path: Path | None = folder() / f"{model.fingerprint[:32]}-{_digest(about)}.json"
        found = read_evidence(path) if path is not None else None
        if found is not None and not found.is_about(about):
            warnings.warn(f"evidence {path} is ignored: it is of something else", OvpartWarning, stacklevel=3)
            found = None
    else:
        path = given.path if isinstance(given, Evidence) else Path(str(given))
        fresh = isinstance(given, (str, os.PathLike)) and not os.path.exists(given)
        found = None if fresh else evidence_for(given, model.fingerprint, options.device)
        if found is not None and found.engines and dict(found.engines) != dict(about.engines):
            told = "it was learnt with other engines; name another file, or remove it"
            warnings.warn(f"evidence {path or 'given'} is ignored: {told}", OvpartWarning, stacklevel=3)
            found = None
        if found is None and not fresh:
            path = None  # what is somebody else's is not written over
    # A strict session wants to hear what engines refuse, not to be spared it.
    return Notebook(about, path, None if options.strict else found)


def folder() -> Path:
    """Return the folder that evidence is kept in by default."""
    return cache_folder() / "evidence"


def _versions(engines: Engines) -> Mapping[str, str]:
    """Return what the answers come from: ovpart, which makes the cuts, and the engines that take them."""
    delegate = Label(DEVICE_ENGINE, engines.options.device)
    return {
        "ovpart": ovpart.__version__,
        delegate.engine: engines.version_of(delegate),
        FALLBACK.engine: engines.version_of(FALLBACK),
    }


def _settings(engines: Engines) -> str:
    """Return the properties that engines are given, as text; of what is neither text nor number its type alone."""
    chosen = {
        "properties": engines.properties,
        "config": engines.options.config,
        FALLBACK.engine: engines.settings_of(FALLBACK),
    }
    plain = json.loads(json.dumps(chosen, default=lambda value: type(value).__name__))
    plain[FALLBACK.engine].pop("num_threads", None)  # a thread more or less refuses nothing
    return json.dumps(plain, sort_keys=True)


def _digest(about: Evidence) -> str:
    text = json.dumps([about.device, dict(about.engines), about.settings], sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
