"""Write docs/conformance.md from what runs have left in a folder.

python -m benchmarks.conformance.page [FOLDER]
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.conformance.drive import ROOT
from benchmarks.conformance.run import FOLDER, load
from benchmarks.conformance.targets import DELEGATED, FORMS, Found, delegated, right

PAGE = ROOT / "docs" / "conformance.md"
NAMES = {
    "ovpart": "ovpart",
    "ovpart-all": "ovpart, `min_gain=0`",
    "ovpart-native": 'ovpart, `fallback="onnxruntime"`',
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "provider": "openvino's provider for onnxruntime",
}
"""Names of runs, in the order in which the page shows them; what follows ``@`` is the version of openvino."""
FORM_NAMES = {"given": "as given", "dynamic": "every dimension dynamic", "constant": "inputs but the first constant"}
KINDS = ("close", "wrong", "refused", "failed", "crash", "hang")


def main(arguments: Sequence[str]) -> None:
    """Write the page."""
    found = load(Path(arguments[0]) if arguments else FOLDER)
    PAGE.write_text(page(found), encoding="utf-8")


def page(found: Found) -> str:
    """Return the text of the page."""
    names = sorted({name for name, _ in found}, key=_order)
    parts = [_INTRODUCTION, _versions(found, names), "## Figures\n", _figures(found, names)]
    parts += ["## Beside onnxruntime\n", _BESIDE, _beside(found, names)]
    parts += _delegation(found)
    for name in names:
        if name.startswith("ovpart") and (name, "given") in found:
            parts += [f"## Not right: {_title(name)}\n", _faults(found, name)]
    return "\n".join(parts).rstrip() + "\n"


_INTRODUCTION = """# Conformance

The 2,024 backend tests of onnx that need no network (1,884 of single operators, the simple ones and both suites of
PyTorch), run by onnx's own runner with its own tolerances, on ovpart and on the engines beside it.
Each test runs twice in one session; both answers must agree.
It runs in three forms: as given; with every dimension of inputs and outputs dynamic; with all inputs but the first made
constants (a third of the tests have but one input, and no such form).
Random operators are judged by the distribution of what they draw.
This page is written by `make conformance-page` from what `make conformance` measured.

*pass*: within the test's tolerance. *close*: outside it, and within 1e-4 of the largest element.
*wrong*: anything else that was computed. *refused*: no model was made of it. *failed*: the run raised.
"""
_BESIDE = """*Repaired*: tests that pass here and not on onnxruntime alone. *Lost*: those that pass there, not here.
"""


def _order(name: str) -> tuple[int, str]:
    base = name.partition("@")[0]
    return (list(NAMES).index(base) if base in NAMES else len(NAMES), name)


def _title(name: str) -> str:
    base, _, version = name.partition("@")
    return NAMES.get(base, base) + (f", openvino {version}" if version else "")


def _versions(found: Found, names: Sequence[str]) -> str:
    lines = ["| run | versions |", "|---|---|"]
    for name in names:
        run = next(found[key] for key in found if key[0] == name)
        lines.append(f"| {_title(name)} | {run['versions']} |")
    return "\n".join([*lines, ""])


def _figures(found: Found, names: Sequence[str]) -> str:
    lines = [
        "| run | form | pass | of single operators | " + " | ".join(KINDS) + " |",
        "|---|---|" + "---:|" * (len(KINDS) + 2),
    ]
    for name in names:
        for form in FORMS:
            if (name, form) in found:
                counts = Counter(row["verdict"] for row in found[name, form]["rows"])
                figures = [right(found[name, form]), right(found[name, form], "node/"), *(counts[k] for k in KINDS)]
                cells = " | ".join(f"{figure:,}" for figure in figures)
                lines.append(f"| {_title(name)} | {FORM_NAMES[form]} | {cells} |")
    return "\n".join([*lines, ""])


def _beside(found: Found, names: Sequence[str]) -> str:
    lines = ["| run | form | repaired | lost |", "|---|---|---:|---:|"]
    for name in names:
        for form in FORMS:
            if name == "onnxruntime" or (name, form) not in found or ("onnxruntime", form) not in found:
                continue
            theirs = _passing(found["onnxruntime", form])
            ours = _passing(found[name, form])
            asked = {row["test"] for row in found[name, form]["rows"] if row["verdict"] != "same"}
            lines.append(
                f"| {_title(name)} | {FORM_NAMES[form]} | {len(ours - theirs):,} | {len((theirs & asked) - ours):,} |"
            )
    return "\n".join([*lines, ""])


def _passing(run: Mapping[str, Any]) -> set[str]:
    return {row["test"] for row in run["rows"] if row["verdict"] == "pass"}


def _delegation(found: Found) -> list[str]:
    if not all(("ovpart-all", form) in found for form in FORMS):
        return []
    there, missing = delegated(found)
    reasons: dict[str, list[str]] = defaultdict(list)
    for test, why in missing.items():
        reasons[re.sub(r"op_support\.yaml:\d+", "op_support.yaml", why)].append(test)
    lines = [
        "## What openvino computes\n",
        f"Of {there + len(missing):,} tests of single operators that openvino's CPU device gets right in all forms, "
        f"ovpart with `min_gain=0` gives every node that computes to it in all forms in {there:,} "
        f"(at least {DELEGATED:,} are promised).",
        "The others, by the first form in which a node stays elsewhere, and why:\n",
        "| tests | form and reason | such as |",
        "|---:|---|---|",
    ]
    for why, tests in sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0])):
        lines.append(f"| {len(tests)} | {_cell(why)} | `{tests[0]}` |")
    return ["\n".join([*lines, ""])]


def _faults(found: Found, name: str) -> str:
    lines = ["| test | form | verdict | words |", "|---|---|---|---|"]
    for form in FORMS:
        for row in found[name, form]["rows"] if (name, form) in found else ():
            if row["verdict"] not in ("pass", "same"):
                test = row["test"]
                lines.append(f"| `{test}` | {FORM_NAMES[form]} | {row['verdict']} | {_cell(row['words'])} |")
    return "\n".join([*lines, ""])


def _cell(words: str) -> str:
    """Return words that fit a cell of a table."""
    short = words if len(words) <= 160 else f"{words[:157]}..."
    return re.sub(r"[|`<>*_\[\]\\]", lambda match: f"\\{match[0]}", short)


if __name__ == "__main__":
    main(sys.argv[1:])
