"""Hold every real model against onnxruntime, as ``ovpart verify`` does, and write the table of docs/verification.md.

    python benchmarks/verify_models.py [--only ID ...] [--write]

Each model of ``tests/models_manifest.toml`` that is fetched is verified on its input sets a and b, with all delegated
that may be (``min_gain=0``). Exit status: 0 all right, 1 one is not.
"""

from __future__ import annotations

import argparse
import datetime
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ovpart
from benchmarks.fetch_models import load_manifest, model_path
from benchmarks.model_inputs import inputs
from ovpart.placement.verification.findings import Verification

PAGE = Path(__file__).resolve().parent.parent / "docs" / "verification.md"
BEGIN, END = "<!-- table: written by benchmarks/verify_models.py -->", "<!-- end of table -->"
COLUMNS = (
    "model", "nodes delegated", "clusters, islands", "outputs: max error / range", "SQNR dB",
    "onnxruntime's spread dB", "verdict",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify the models that are there, print a row each, and return 1 where one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], metavar="ID")
    parser.add_argument("--write", action="store_true", help="write the table into docs/verification.md")
    chosen = parser.parse_args(arguments)
    rows: list[str] = []
    wrong = 0
    for model in load_manifest():
        if not model_path(model["id"]).is_file() or (chosen.only and model["id"] not in chosen.only):
            continue
        start = time.perf_counter()
        row, is_right = verified(model)
        wrong += not is_right
        rows.append(row)
        print(f"{row}  {time.perf_counter() - start:.0f} s", flush=True)
    print(f"{len(rows) - wrong} of {len(rows)} models right")
    if chosen.write:
        PAGE.write_text("\n".join(written(PAGE.read_text(encoding="utf-8"), rows, wrong)) + "\n", encoding="utf-8")
    return int(wrong > 0)


def verified(model: Mapping[str, Any]) -> tuple[str, bool]:
    """Verify one model; return its row and whether it is right."""
    with ovpart.Session(model_path(model["id"]), min_gain=0, evidence="off") as session:
        found = session.verify([inputs(model, "a"), inputs(model, "b")])
        plan = session.plan
    name = f"{model['id']}{' (quantised)' if found.quantised else ''}"
    verdict = "right" if found.is_right else f"**wrong**: {why(found)}"
    share = f"{plan.coverage:.0%}"
    islands = len(plan.clusters) - len(plan.delegated)
    return f"| {name} | {share} | {len(plan.delegated)}, {islands} | {worst(found)} | {verdict} |", found.is_right


def worst(found: Verification) -> str:
    """Return the figures of the output that is furthest out."""
    values = [value for value in found.outputs if value.status != "random"]
    if not values:
        return "- | - | -"
    relative = max(value.found.relative for value in values)
    noise = min((value.found.sqnr_db for value in values if value.found.sqnr_db is not None), default=None)
    spread = min((value.spread.sqnr_db for value in values if value.spread is not None), default=None)
    return f"{relative:.2g} | {decibels(noise)} | {decibels(spread)}"


def decibels(value: float | None) -> str:
    """Return a ratio of signal to noise as the table shows it."""
    return "-" if value is None else "exact" if math.isinf(value) else f"{value:.1f}"


def why(found: Verification) -> str:
    """Return who is to blame, and for what."""
    culprits = "; ".join(f"{culprit.op} {culprit.node}: {culprit.words}" for culprit in found.culprits)
    return culprits or "no cluster by itself: errors add up"


def written(page: str, rows: Sequence[str], wrong: int) -> Iterator[str]:
    """Return the lines of the page with a new table."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    yield before.rstrip("\n")
    yield ""
    yield BEGIN
    yield ""
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    import onnx
    import onnxruntime
    import openvino

    versions = f"openvino {openvino.__version__.partition('-')[0]}, onnxruntime {onnxruntime.__version__}"
    right = f"{len(rows) - wrong} of {len(rows)} models right"
    yield f"{date}, {versions}, onnx {onnx.__version__}, {processor()}: {right}."
    yield ""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|" + "---|" * len(COLUMNS)
    yield from rows
    yield ""
    yield END
    yield after.rstrip("\n")


def processor() -> str:
    """Return the widest vector instructions that the processor has: what results depend on."""
    info = Path("/proc/cpuinfo")
    flags = info.read_text(encoding="utf-8").split() if info.is_file() else []
    return next((name for name in ("avx512_vnni", "avx_vnni", "avx512f", "avx2") if name in flags), "another processor")


if __name__ == "__main__":
    sys.exit(main())
