"""Run onnx's official backend tests on ovpart and beside it, and hold the figures to what is promised.

    python -m benchmarks.conformance.run [--only ovpart,...] [--forms given,...] [--match REGEX] [--jobs N]
                                         [--provider-python PYTHON] [--into FOLDER]

Writes one JSON file a run into FOLDER (build/conformance), from which ``benchmarks.conformance.page`` makes
docs/conformance.md. Ends with 1 where a figure misses its target.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.conformance.drive import ROOT, Run, run_all
from benchmarks.conformance.forms import FORMS
from benchmarks.conformance.targets import misses, summary

FOLDER = ROOT / "build" / "conformance"
_SMALL: dict[str, object] = {"num_threads": 1}
"""One thread: the tests are tiny, and threads of several engines cost more than they bring."""
ENGINES: dict[str, tuple[str, dict[str, object]]] = {
    "ovpart": ("ovpart", _SMALL),
    "ovpart-all": ("ovpart", {**_SMALL, "min_gain": 0}),
    "ovpart-native": ("ovpart", {**_SMALL, "fallback": "onnxruntime"}),
    "onnxruntime": ("onnxruntime", {}),
    "openvino": ("openvino", {}),
    "provider": ("provider", {}),
}
"""Name of a run → engine and options: ``all`` delegates all that may be, ``native`` does without onnx.reference."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks.conformance.run")
    parser.add_argument("--only", default="onnxruntime,ovpart,ovpart-all,ovpart-native")
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--match", default="", help="run only tests of such names, and put them among those of before")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 2))
    parser.add_argument("--python", default=sys.executable, help="the environment that has the engine")
    parser.add_argument("--as", dest="suffix", default="", help="added to the names of the runs")
    parser.add_argument("--into", type=Path, default=FOLDER)
    parser.add_argument("--check", action="store_true", help="judge what is in the folder, run nothing")
    chosen = parser.parse_args(arguments)
    chosen.into.mkdir(parents=True, exist_ok=True)
    for name in () if chosen.check else chosen.only.split(","):
        for form in chosen.forms.split(","):
            engine, options = ENGINES[name]
            run = Run(name + chosen.suffix, engine, form, options, chosen.python)
            _one(run, chosen.into, chosen.jobs, re.compile(chosen.match), whole=not chosen.match)
    if chosen.match:
        return 0
    found = load(chosen.into)
    print(summary(found))
    missed = misses(found)
    for line in missed:
        print(f"missed: {line}")
    return 1 if missed else 0


def load(folder: Path) -> dict[tuple[str, str], dict[str, object]]:
    """Return what runs have written, by name and form."""
    files = sorted(folder.glob("*.json"))
    read = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return {(one["name"], one["form"]): one for one in read}


def _one(run: Run, folder: Path, jobs: int, pattern: re.Pattern[str], *, whole: bool) -> None:
    start = time.monotonic()

    def told(done: int, of: int) -> None:
        if sys.stderr.isatty() or done == of:
            print(f"\r{run.name} {run.form}: {done}/{of}", end="\n" if done == of else "", file=sys.stderr)

    found = run_all(run, jobs, lambda name: pattern.search(name) is not None, told)
    path = folder / f"{run.name}.{run.form}.json"
    record = {"name": run.name, "form": run.form, "engine": run.engine, "options": run.options, **found}
    if not whole:
        for row in found["rows"]:
            print(json.dumps(row))
        if not path.is_file():
            return
        again = {row["test"]: row for row in found["rows"]}
        before = json.loads(path.read_text(encoding="utf-8"))
        record = {**before, "rows": [again.get(row["test"], row) for row in before["rows"]]}
    path.write_text(json.dumps(record, indent=0), encoding="utf-8")
    print(f"  {time.monotonic() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
