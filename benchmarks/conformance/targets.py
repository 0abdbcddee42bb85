"""What the figures of a run must reach, and the table that shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Found = Mapping[tuple[str, str], Mapping[str, Any]]
"""Name of a run and form → what it wrote."""

RIGHT, RIGHT_NODE = 1986, 1848
"""Tests of all 2,024, and of the 1,884 of single operators, that must pass: what onnxruntime, openvino and
onnx.reference get right between them, less the 21 that onnxruntime runs just outside a tolerance of 1e-7."""
NATIVE, NATIVE_NODE = 1880, 1750
"""The same without onnx.reference."""
DELEGATED = 1000
"""Of the tests that openvino gets right in every form, those that must be computed on it in every form."""
DELEGABLE = Path(__file__).with_name("delegable.txt")
"""The tests of single operators that openvino's CPU device gets right in every form."""
FORMS = ("given", "dynamic", "constant")
GOOD = ("pass",)
_NO_LOSS = ("pass", "close", "same")


def misses(found: Found) -> list[str]:
    """Return a line for each target that is missed, for the runs that are there."""
    lines = []
    for name, least, least_node in (
        ("ovpart", RIGHT, RIGHT_NODE), ("ovpart-all", RIGHT, RIGHT_NODE), ("ovpart-native", NATIVE, NATIVE_NODE),
    ):  # fmt: skip
        if (name, "given") in found:
            everything, node = right(found[name, "given"]), right(found[name, "given"], "node/")
            if everything < least or node < least_node:
                lines.append(f"{name}: {everything} right, {node} of node; {least} and {least_node} are promised")
    for (name, form), run in found.items():
        if not name.startswith("ovpart"):
            continue
        crashed = [row["test"] for row in run["rows"] if row["verdict"] in ("crash", "hang")]
        if crashed:
            lines.append(f"{name} {form}: crash or hang in {', '.join(crashed)}")
        lost = regressions(found, name, form)
        if lost:
            lines.append(f"{name} {form}: onnxruntime passes {len(lost)} that fail here: {', '.join(lost)}")
    if all(("ovpart-all", form) in found for form in FORMS):
        there, _ = delegated(found)
        if there < DELEGATED:
            lines.append(f"{there} tests delegated in every form; {DELEGATED} are promised")
    return lines


def right(run: Mapping[str, Any], prefix: str = "") -> int:
    """Return how many tests of a run passed."""
    return sum(row["verdict"] in GOOD for row in run["rows"] if row["test"].startswith(prefix))


def regressions(found: Found, name: str, form: str) -> list[str]:
    """Return the tests that onnxruntime passes in a form, and a run neither passes nor comes close to."""
    if ("onnxruntime", form) not in found:
        return []
    passes = {row["test"] for row in found["onnxruntime", form]["rows"] if row["verdict"] == "pass"}
    return [
        row["test"] for row in found[name, form]["rows"] if row["test"] in passes and row["verdict"] not in _NO_LOSS
    ]


def delegated(found: Found, name: str = "ovpart-all") -> tuple[int, dict[str, str]]:
    """Return how many tests that may be are delegated in every form, and why each other one is not."""
    wanted = DELEGABLE.read_text(encoding="utf-8").split()
    rows = {form: {row["test"]: row for row in found[name, form]["rows"]} for form in FORMS}
    missing: dict[str, str] = {}
    for test in wanted:
        for form in FORMS:
            row = rows[form].get(f"node/{test}")
            why = _not_delegated(row)
            if why:
                missing[test] = f"{form}: {why}"
                break
    return len(wanted) - len(missing), missing


def _not_delegated(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "not run"
    if row["verdict"] == "same":
        return ""
    if row["verdict"] != "pass":
        return f"{row['verdict']}: {row['words']}"
    elsewhere: Sequence[str] = row["nodes_elsewhere"] or ()
    return "; ".join(dict.fromkeys(elsewhere))


def summary(found: Found) -> str:
    """Return the figures of every run as lines of text."""
    kinds = ("pass", "close", "wrong", "refused", "failed", "crash", "hang", "same")
    lines = [f"{'run':24}{'form':10}" + "".join(f"{kind:>9}" for kind in (*kinds, "node"))]
    for (name, form), run in found.items():
        counts = Counter(row["verdict"] for row in run["rows"])
        figures = "".join(f"{counts[kind]:9}" for kind in kinds)
        lines.append(f"{name:24}{form:10}{figures}{right(run, 'node/'):9}")
    if all(("ovpart-all", form) in found for form in FORMS):
        there, missing = delegated(found)
        lines.append(f"delegated in every form: {there} of {there + len(missing)}")
    return "\n".join(lines)
