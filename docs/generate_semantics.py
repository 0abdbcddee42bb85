"""Write docs/semantics.md from the entries of op_support.yaml marked `semantics: ieee`; a test holds them together."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from ovpart.capability.table import load_table

PAGE = Path(__file__).with_name("semantics.md")

_INTRODUCTION = """# What `semantics="fast"` leaves out

`semantics` says how exact a device has to be.
The default, `fast`, lets the device differ in how NaN travels, and in 32-bit integer arithmetic beyond 2^24, which
openvino does in floats.
`semantics="ieee"` keeps the operators below on onnxruntime, for the element types named.

Infinities are right under both: on openvino maxima, minima and pools are taken over halves and doubled, so that a
set of nothing but -inf gives -inf, and `Shrink`, `ThresholdedRelu` and `Mod` are delegated only where no infinity
can reach them.
Two cases depend on the processor: with AVX-512, Gelu of inf, and PRelu of inf with a slope of 0, are NaN; with AVX2
they are right.
Exp overflows early, from 88.37 on; a float has room up to 88.72.
64-bit integers that may leave 32 bits are never given to a device, nor is f64, under either.
An index out of range is an error in ONNX, and is one here where it is an input of the model that arrives unchanged
(token ids); Gather of an index that the model computes wrongly gives zeros on openvino.
Integers divided by zero, which ONNX leaves open, are an error on onnxruntime and the least integer on openvino.

The list is made from `op_support.yaml` by `docs/generate_semantics.py`: the entries of the CPU that are marked
`semantics: ieee`.
"""


def page() -> str:
    """Return the text of docs/semantics.md."""
    rows = load_table(()).layers[-1].rows
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for op, devices in rows.items():
        for _, row in devices.get("CPU", ()):
            if row.get("semantics") == "ieee":
                found[str(row["reason"]), _types(row)].append(op)
    lines = [_INTRODUCTION, "| what differs | element types | operators |", "|---|---|---|"]
    for (reason, types), ops in sorted(found.items()):
        lines.append(f"| {reason} | {types} | {', '.join(sorted(set(ops)))} |")
    return "\n".join(lines) + "\n"


def _types(row: Any) -> str:
    for key in ("touches", "touches_in", "touches_out"):
        if key in row:
            return ", ".join(row[key])
    if "types" in row:
        return ", ".join(dict.fromkeys(name for names in row["types"].values() for name in names))
    return "all"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
