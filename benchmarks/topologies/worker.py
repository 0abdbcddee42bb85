"""Runs one model on one engine, asked line by line in JSON: a process that may crash or hang.

    python -m benchmarks.topologies.worker ENGINE MODEL

Says first whether the model could be made ready, then answers each question:
``{"run": FEEDS, "into": OUTPUTS}`` computes once, ``{"time": FEEDS, "runs": N}`` computes N times and tells the
nanoseconds of each, ``{"tell": true}`` says what the engine tells of itself,
``{"settle": true}`` waits until ovpart has compiled what it will measure its plan against.
FEEDS and OUTPUTS are files of numpy's.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    """Answer until there are no more questions."""
    os.environ.setdefault("OPENVINO_TELEMETRY_OPT_OUT", "1")
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what an engine prints does not belong among the answers
    name, path = sys.argv[1], Path(sys.argv[2])

    from benchmarks.topologies import engines

    try:
        start = time.perf_counter()
        engine = engines.prepare(name, path)
        ready = {"ready": time.perf_counter() - start, "versions": engines.versions(name)}
    except Exception as error:
        print(json.dumps({"failed": _words(error)}), file=answers)
        return
    print(json.dumps(ready), file=answers)
    for line in sys.stdin:
        try:
            answer = _answer(engine, json.loads(line))
        except Exception as error:
            answer = {"failed": _words(error)}
        print(json.dumps(answer), file=answers)


def _answer(engine: Any, asked: dict[str, Any]) -> dict[str, Any]:
    if asked.get("tell"):
        told: dict[str, Any] = engine.told()
        return told
    if asked.get("settle"):
        engine.settle()
        return {}
    if "run" in asked:
        store(engine.run(load(Path(asked["run"]))), Path(asked["into"]))
        return {}
    feeds = load(Path(asked["time"]))
    taken = []
    for _ in range(asked["runs"]):
        start = time.perf_counter_ns()
        engine.run(feeds)
        taken.append(time.perf_counter_ns() - start)
    return {"ns": taken}


def store(values: dict[str, Any], path: Path) -> None:
    """Write arrays by name; the elements of a sequence, and the entries of a map, each under a name of its own."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        _flatten(name, value, flat)
    with path.open("wb") as file:
        np.savez(file, names=np.array(list(flat)), **{f"v{i}": value for i, value in enumerate(flat.values())})


def _flatten(name: str, value: Any, into: dict[str, Any]) -> None:
    if isinstance(value, list | tuple | dict):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, element in entries:
            _flatten(f"{name}[{key}]", element, into)
    elif value is not None:
        array = np.asarray(value)
        if array.dtype == object:
            array = array.astype(str)
        # numpy stores what it has no type for (bfloat16) as bytes.
        into[name] = array if array.dtype.isbuiltin == 1 else array.astype(np.float32)


def load(path: Path) -> dict[str, Any]:
    """Read what :func:`store` wrote."""
    with np.load(path) as stored:
        return {str(name): stored[f"v{i}"] for i, name in enumerate(stored["names"])}


def _words(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines)}"[:500]


if __name__ == "__main__":
    main()
