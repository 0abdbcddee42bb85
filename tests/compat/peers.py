"""Environments of other installations that tests exchange files with, made once and kept.

They lie in the folder that OVPART_PEERS names, by default in the user's cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(os.environ.get("OVPART_PEERS", Path.home() / ".cache" / "ovpart-peers"))

OURS = """
import json, sys
import numpy as np
import ovpart
x = np.linspace(-1, 2, 8, dtype=np.float32).reshape(2, 4)
what, source, target, embed = sys.argv[1:]
session = ovpart.Session(source, **({"min_gain": 0} if what == "write" else {}))
if what == "write":
    session.save_context(target, embed=embed == "1")
print(json.dumps({"y": session.run(["y"], {"x": x})[0].tolist(), "compiles": session.report.compiles}))
"""
"""``write SOURCE TARGET EMBED`` compiles, writes and runs a model with ovpart; ``read SOURCE "" ""`` runs it."""


def environment(name: str, *packages: str) -> Path:
    """Return the python of an environment, made if it is not there yet."""
    python = PEERS / name / "bin" / "python"
    if not (PEERS / name / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS / name], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        (PEERS / name / "complete").touch()
    return python


def ovpart_with(openvino: str) -> Path:
    """Return the python of an environment with ovpart over that version of openvino."""
    return environment(f"ovpart-{openvino}", f"openvino=={openvino}", str(ROOT))


def call(python: Path, program: str, *arguments: str) -> dict[str, object]:
    """Run a program and return what its last line says in JSON."""
    # The code under test, not the copy that the environment was made with: that one gives the entry points only.
    done = subprocess.run(
        [python, "-c", program, *arguments],
        capture_output=True, text=True, timeout=300, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def close(one: object, other: object) -> bool:
    """Whether two answers are the same but for rounding."""
    import numpy as np

    return bool(np.allclose(one, other, rtol=1e-5))
