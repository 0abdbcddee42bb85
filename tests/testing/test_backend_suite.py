"""The conformance suite finds what is wrong with a backend."""

from __future__ import annotations

import pytest

PASSING = """
import pytest
from ovpart.backend.reference import ReferenceBackend, ReferenceExecutable, ReferenceRequest
from ovpart.errors import CompileError
from ovpart.testing.backend_suite import BackendSuite

class Executable:
    def __init__(self, inner, request=ReferenceRequest):
        self.inner, self.request = inner, request
        self.inputs, self.outputs = inner.inputs, inner.outputs
    def bind(self):
        return self.request(self.inner)
    def export(self):
        return None

class Mine(ReferenceBackend):
    name = "mine"
    request = ReferenceRequest
    def compile(self, cut, device, config):
        return Executable(super().compile(cut, device, config), self.request)
"""

SUITE = """
class TestMine(BackendSuite):
    @pytest.fixture
    def backend(self):
        return Mine()
"""

BROKEN = {
    "overwrites its outputs": (
        """
class Request(ReferenceRequest):
    def run(self):
        old = self._results
        super().run()
        for a, b in zip(old, self._results):
            if getattr(a, "shape", 0) == getattr(b, "shape", 1):
                a[...] = b
Mine.request = Request
""",
        "test_later_runs_leave_outputs_alone",
    ),
    "raises what it likes": (
        """
def compile(self, cut, device, config):
    if any(node.domain == "nobody" for node in cut.proto.graph.node):
        raise KeyError("nobody")
    return Executable(ReferenceBackend.compile(self, cut, device, config))
Mine.compile = compile
""",
        "test_unknown_operator_is_a_compile_error",
    ),
    "mixes its ports up": (
        """
class Request(ReferenceRequest):
    def set_input(self, index, array):
        super().set_input(len(self._executable.inputs) - 1 - index, array)
Mine.request = Request
""",
        "test_inputs_stay_bound",
    ),
    "gives what it was given": (
        """
class Request(ReferenceRequest):
    def take_output(self, index):
        same = len(self._feed) == 1 and self._executable.cut.proto.graph.node[0].op_type == "Identity"
        return next(iter(self._feed.values())) if same else super().take_output(index)
Mine.request = Request
""",
        "test_inputs_are_left_alone",
    ),
}


def run(pytester_folder, text):
    import subprocess
    import sys

    (pytester_folder / "test_mine.py").write_text(text)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",
        "test_mine.py",
    ]
    return subprocess.run(command, cwd=pytester_folder, capture_output=True, text=True, timeout=300, check=False)


def test_a_right_backend_of_a_third_party_passes(tmp_path):
    result = run(tmp_path, PASSING + SUITE)
    assert result.returncode == 0, result.stdout[-3000:]


@pytest.mark.parametrize("fault", sorted(BROKEN))
def test_a_wrong_backend_fails(tmp_path, fault):
    code, test = BROKEN[fault]
    result = run(tmp_path, PASSING + code + SUITE)
    assert result.returncode == 1, result.stdout[-3000:]
    assert f"TestMine::{test}" in result.stdout
