"""What cases are made of: models in a few words, written to a folder, and the trial of one case.

Run as a program it tries one case by itself and prints what came of it as JSON, so that a crash or a hang is the end of
that process alone::

    python -m tests.acceptance.cases MODULE NAME FOLDER
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

import ovpart

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120
"""What a process may take that does a second's work: the machine may be busy, and a hang must still end."""
X = np.array([[-1, 0, 1], [2, -2, 3]], np.float32)

Make = Callable[[Path], Path | bytes | onnx.ModelProto]


@dataclass(frozen=True)
class Case:
    """A model that somebody may hand to a session.

    Attributes
    ----------
    make : callable
        Writes the files into a folder; returns what a session is given.
    feed : mapping
        Inputs of a run.
    says : str
        What a refusal must name.
    alone : bool
        It has crashed or hung somebody: tried in a process of its own.
    """

    make: Make
    feed: Mapping[str, np.ndarray]
    says: str = ""
    alone: bool = False


class Cases(dict[str, Case]):
    """Cases by name; used as a decorator it adds one."""

    def __call__(self, says: str = "", *, alone: bool = False, **feed: object) -> Callable[[Make], Make]:
        arrays = {name: value if isinstance(value, np.ndarray) else np.asarray(value) for name, value in feed.items()}

        def add(make: Make) -> Make:
            assert make.__name__ not in self
            self[make.__name__] = Case(make, arrays or {"x": X}, says, alone)
            return make

        return add


def value(name: str, shape=(2, 3), dtype: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def model(
    nodes: Iterable[onnx.NodeProto],
    inputs: Iterable[str | onnx.ValueInfoProto],
    outputs: Iterable[str | onnx.ValueInfoProto],
    initializers: Iterable[onnx.TensorProto] = (),
    *,
    opset: int = 21,
    ir: int = 10,
    domains: Mapping[str, int] | None = None,
    **more: object,
) -> onnx.ModelProto:
    """Return a model; names given for inputs and outputs are f32[2,3]."""
    ends = [[value(end) if isinstance(end, str) else end for end in side] for side in (inputs, outputs)]
    graph = helper.make_graph(list(nodes), "g", *ends, list(initializers))
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(*each) for each in (domains or {}).items())]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir, **more)


def node(op: str, inputs, outputs, name: str = "", **attributes) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), name=name, **attributes)


def constant(name: str, content, dtype=np.float32) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.asarray(content, dtype), name)


def write(folder: Path, proto: onnx.ModelProto | bytes) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())
    return path


def outcome(case: Case, folder: Path, **options: object) -> tuple[str, list[np.ndarray] | str]:
    """Return ``("refused", message)`` or ``("ran", outputs)``; what is no refusal of ours is raised."""
    given = case.make(folder)
    try:
        with ovpart.Session(given, **{"min_gain": 0, **options}) as session:
            first = session.run(None, case.feed)
            kept = [np.array(array) for array in first]
            session.run(None, case.feed)
    except ovpart.OvpartError as refusal:
        return "refused", str(refusal)
    assert all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(kept, first, strict=True))
    return "ran", kept


def outcome_alone(module: str, name: str, folder: Path) -> tuple[str, list[np.ndarray] | str]:
    """Try a case in a process of its own; the assertion error of a process that died says how."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.acceptance.cases", module, name, str(folder)],
        capture_output=True, text=True, timeout=SECONDS, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-2000:]}"
    kind, told = json.loads(done.stdout.splitlines()[-1])
    if kind == "refused":
        return kind, told
    return kind, [np.load(folder / f"output{i}.npy", allow_pickle=True) for i in range(told)]


def main(module: str, name: str, folder: str) -> None:
    found = importlib.import_module(module)
    case = (found.REFUSED if hasattr(found, "REFUSED") else found.CASES)[name]
    kind, told = outcome(case, Path(folder))
    if not isinstance(told, str):
        for i, array in enumerate(told):
            np.save(Path(folder) / f"output{i}.npy", array, allow_pickle=True)
        told = len(told)
    print(json.dumps([kind, told]))


if __name__ == "__main__":
    main(*sys.argv[1:])
