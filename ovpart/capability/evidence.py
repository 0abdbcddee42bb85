"""Evidence: what trials of one model on one device have taught, as a frozen record that can be kept in a file."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from ovpart.capability.demotion import Demotion
from ovpart.errors import OvpartWarning

FORMAT = 1
"""Version of the file's form."""
MAX_BYTES = 64 * 2**20
"""Largest file that is read: a demotion of each of 100,000 nodes takes a third of it."""
PLAN, ONNXRUNTIME, DELEGATED = "plan", "onnxruntime", "delegated"
"""Ways of running a model: as predicted to be the fastest; whole on onnxruntime; with all delegated that may be."""
NO_VERDICT = "trial"
"""Stage of a demotion that says nothing of the engine: no trial could be held."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which way of running a model was the fastest when they were measured beside each other.

    Attributes
    ----------
    plan : str
        :func:`digest` of the plan that rested on predictions: the choice is one against that plan only.
    threads : int
        Threads of each engine.
    kept : str
        :data:`PLAN`, :data:`ONNXRUNTIME` or :data:`DELEGATED`.
    us : mapping of str to float
        Way → its shortest run, in µs, on the inputs that the session was given.
    """

    plan: str
    threads: int
    kept: str
    us: Mapping[str, float]


def digest(clusters: Iterable[tuple[str, str, str]]) -> str:
    """Return a hash of a plan's clusters: id, engine and device of each."""
    return hashlib.blake2b(json.dumps(sorted(clusters)).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a model on a device.

    Attributes
    ----------
    fingerprint : str
        Of the model's content: :attr:`ovpart.model.graph.Model.fingerprint`.
    device : str
        The device asked for.
    engines : mapping of str to str
        Engine → its build, driver and instruction set in one line. Empty: whatever they are.
    settings : str
        What else the answers of an engine depend on: the properties that it was given.
    demotions : tuple of Demotion
        What engines refused, or failed on, in their own words.
    passed : tuple of (str, str, str)
        Clusters that have stood a trial in a process of their own: id, engine, device.
    choice : Choice or None
        What was the fastest way.
    path : Path or None
        The file that it came from.
    """

    fingerprint: str
    device: str
    engines: Mapping[str, str] = field(default_factory=dict)
    settings: str = ""
    demotions: tuple[Demotion, ...] = ()
    passed: tuple[tuple[str, str, str], ...] = ()
    choice: Choice | None = None
    path: Path | None = field(default=None, compare=False)

    def is_about(self, other: Evidence) -> bool:
        """Whether two records are of the same model, device, engines and settings."""
        return (self.fingerprint, self.device, dict(self.engines), self.settings) == (
            other.fingerprint, other.device, dict(other.engines), other.settings,
        )  # fmt: skip

    def with_more(self, demotions: Iterable[Demotion] = (), passed: Iterable[tuple[str, str, str]] = ()) -> Evidence:
        """Return the record with what is new added; the words of the first demotion of a node stay."""
        known = {(d.scope, d.node, d.engine, d.device): d for d in self.demotions}
        for demotion in demotions:
            if demotion.stage != NO_VERDICT:
                known.setdefault((demotion.scope, demotion.node, demotion.engine, demotion.device), demotion)
        return replace(self, demotions=tuple(known.values()), passed=tuple(sorted({*self.passed, *passed})))

    def to_json(self) -> str:
        """Return the record as JSON that fits ``ovpart/capability/evidence.schema.json``."""
        chosen = self.choice
        document: dict[str, Any] = {
            "ovpart_evidence": FORMAT,
            "model": self.fingerprint,
            "device": self.device,
            "engines": dict(self.engines),
            "settings": self.settings,
            "demotions": [_row(demotion) for demotion in self.demotions],
            "passed": [list(row) for row in self.passed],
        }
        if chosen is not None:
            us = {way: round(value, 1) for way, value in chosen.us.items()}
            document["choice"] = {"plan": chosen.plan, "threads": chosen.threads, "kept": chosen.kept, "us": us}
        return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _row(demotion: Demotion) -> dict[str, object]:
    """Return a demotion as it stands in a file: the scope only where it is not the main one."""
    row: dict[str, object] = {"scope": list(demotion.scope)} if demotion.scope else {}
    row.update(node=demotion.node, engine=demotion.engine, device=demotion.device)
    row.update(stage=demotion.stage, words=demotion.words)
    return row


def read_evidence(path: str | os.PathLike[str]) -> Evidence | None:
    """Read a record from a file.

    Returns
    -------
    Evidence or None
        ``None`` where there is no file, or none that is evidence: to plan without is never wrong.

    Warns
    -----
    OvpartWarning
        Where there is a file that cannot be used; says why.
    """
    import jsonschema

    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_BYTES:
            return _ignored(path, "it is no regular file, or too large")
        document: Any = json.loads(Path(path).read_text(encoding="utf-8"))
        if isinstance(document, dict) and document.get("ovpart_evidence", FORMAT) != FORMAT:
            return _ignored(path, f"its format is {document['ovpart_evidence']!r}, this version reads {FORMAT}")
        jsonschema.validate(document, schema(), cls=jsonschema.Draft202012Validator)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        return _ignored(path, f"it cannot be read: {error}")
    except jsonschema.ValidationError as error:
        return _ignored(path, f"{error.json_path}: {error.message[:200]}")
    return Evidence(
        document["model"],
        document["device"],
        document["engines"],
        document["settings"],
        tuple(Demotion(**{**row, "scope": tuple(row.get("scope", ()))}) for row in document["demotions"]),
        tuple((cluster, engine, device) for cluster, engine, device in document["passed"]),
        Choice(**document["choice"]) if "choice" in document else None,
        Path(path),
    )


def evidence_for(given: object, fingerprint: str, device: str) -> Evidence | None:
    """Return the evidence that a user has named, if it is of this model and device.

    Parameters
    ----------
    given : Evidence or path
        What was given for the option ``evidence``.
    fingerprint, device : str
        The model's and the device asked for.

    Warns
    -----
    OvpartWarning
        Where a file is missing, corrupt, or of something else: it is ignored.
    """
    found = given if isinstance(given, Evidence) else read_evidence(str(given))
    if found is None:
        if not isinstance(given, Evidence) and not os.path.exists(str(given)):
            warnings.warn(
                f"evidence={str(given)!r}: there is no such file; planned without", OvpartWarning, stacklevel=4
            )
        return None
    if found.fingerprint != fingerprint:
        return _ignored(found.path or "given", "it is of another model")
    if found.device != device:
        return _ignored(found.path or "given", f"it is of device {found.device!r}, not of {device!r}")
    return found


@cache
def schema() -> Mapping[str, Any]:
    """Return the JSON Schema of evidence files."""
    text = (resources.files("ovpart.capability") / "evidence.schema.json").read_text(encoding="utf-8")
    loaded: Mapping[str, Any] = json.loads(text)
    return loaded


def _ignored(path: object, why: str) -> Evidence | None:
    """Say why a file is not used, and give nothing in its place."""
    warnings.warn(f"evidence {path} is ignored: {why}", OvpartWarning, stacklevel=4)
    return None
