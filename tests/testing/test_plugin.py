"""The plugin in a pytest of its own: what users see."""

from __future__ import annotations

import json

pytest_plugins = ["pytester"]


def test_tests_run_once_for_each_device(run_pytest):
    result = run_pytest(
        "def test_device(ovpart_device):\n    assert ovpart_device in ('GPU', 'NPU')\n", "--ovpart-device=GPU,NPU", "-v"
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["ovpart *: device GPU, NPU", "*test_device[[]GPU[]]*", "*test_device[[]NPU[]]*"])


def test_without_a_word_the_device_is_the_cpu_and_the_header_is_silent(run_pytest):
    result = run_pytest("def test_device(ovpart_device):\n    assert ovpart_device == 'CPU'\n")
    result.assert_outcomes(passed=1)
    assert "ovpart 0" not in result.stdout.str()


def test_a_failure_shows_the_assertion_alone_and_the_report_of_what_the_test_made(run_pytest, split):
    result = run_pytest(
        f"""
        from ovpart.testing import assert_supported

        def test_coverage(ovpart_plan):
            assert_supported(ovpart_plan({str(split())!r}, min_gain=0))
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*split.onnx on CPU: 2 of 5 nodes are delegated: 40.0%, not 100%",
            "E*3 × Cast, Sqrt: f64 is computed as f32*",
            "*ovpart report*",
            "split.onnx*5 nodes, opset 17*",
        ]
    )
    assert "support.py" not in result.stdout.str()


def test_sessions_run_and_are_closed(run_pytest, split):
    result = run_pytest(
        f"""
        import numpy as np, pytest, ovpart
        made = []

        def test_run(ovpart_session):
            session = ovpart_session({str(split())!r})
            made.append(session)
            assert session.run(None, {{"x": np.zeros((2, 4), np.float32)}})[0].shape == (2, 4)

        def test_closed():
            with pytest.raises(ovpart.RunError, match="closed"):
                made[0].run(None, {{"x": np.zeros((2, 4), np.float32)}})
        """
    )
    result.assert_outcomes(passed=2)


def test_a_device_that_is_not_here_is_skipped_or_emulated(run_pytest, split):
    tests = f"def test_it(ovpart_session):\n    ovpart_session({str(split())!r}, min_gain=0)\n"
    result = run_pytest(tests, "--ovpart-device=GPU.7", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*device 'GPU.7' is not on this machine*"])
    run_pytest(tests, "--ovpart-device=GPU.7", "--ovpart-emulate").assert_outcomes(passed=1)


def test_golden_plans_are_updated_by_a_flag(run_pytest, split, tmp_path):
    golden = tmp_path / "golden.json"
    tests = f"""
        from ovpart.testing import assert_same_plan

        def test_plan():
            assert_same_plan({str(split())!r}, {str(golden)!r})
        """
    run_pytest(tests).assert_outcomes(failed=1)
    run_pytest(tests, "--ovpart-update").assert_outcomes(passed=1)
    assert json.loads(golden.read_text())["device"] == "CPU"
    run_pytest(tests).assert_outcomes(passed=1)


def test_the_table_gives_a_case_for_each_operator_and_version(run_pytest):
    result = run_pytest("def test_case(ovpart_op_case):\n    assert ovpart_op_case.device == 'CPU'\n", "-k", "CPU-Relu")
    assert result.parseoutcomes()["passed"] >= 2


def test_loading_the_plugin_imports_nothing_heavy(run_pytest):
    heavy = ("numpy", "onnx", "networkx", "openvino", "onnxruntime")
    result = run_pytest(
        f"import sys\n\ndef test_light():\n    assert not set(sys.modules) & {set(heavy)!r}\n",
        "-p", "no:hypothesispytest",
    )  # fmt: skip
    result.assert_outcomes(passed=1)
