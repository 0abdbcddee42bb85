"""The command line as a whole: help, version, exit codes, and what goes to which stream."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import click
import pytest

import ovpart
from ovpart.cli import main as main_module
from ovpart.cli.exits import Exit, exit_of
from ovpart.cli.flags import option_flags, pairs
from ovpart.options import declared


def test_help_lists_every_command(ovpart_cli):
    done = ovpart_cli("--help")
    assert done.code == 0
    assert all(f"\n  {name} " in done.out for name in main_module.COMMANDS)


@pytest.mark.parametrize("command", list(main_module.COMMANDS))
def test_every_command_has_help(ovpart_cli, command):
    done = ovpart_cli(command, "--help")
    assert done.code == 0
    assert f"Usage: ovpart {command}" in done.out


def test_version_is_that_of_the_package(ovpart_cli):
    assert metadata.version("ovpart") in ovpart_cli("--version").out


def test_help_imports_no_engine_and_no_numpy():
    program = (
        "import sys\n"
        "from ovpart.cli.main import main\n"
        "main(['--help'])\n"
        "heavy = {'numpy', 'onnx', 'networkx', 'openvino', 'onnxruntime'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["no-such-command"], 2, "No such command"),
        (["plan"], 2, "Missing argument 'MODEL'"),
        (["plan", "no-such-file.onnx"], 2, "does not exist"),
        (["plan", "{split}", "--min-gain", "much"], 2, "option 'min_gain' cannot be 'much'"),
        (["plan", "{split}", "--unknown", "perhaps"], 2, "'delegate' or 'fallback'"),
        (["plan", "{split}", "--save", "{folder}/none/plan.json"], 2, "No such file or directory"),
        (["plan", "{broken}"], 3, "broken.onnx"),
    ],
)
def test_mistakes_end_with_their_code_and_one_message(ovpart_cli, split_model, broken_model, arguments, code, words):
    names = {"split": split_model, "broken": broken_model, "folder": split_model.parent}
    done = ovpart_cli(*(argument.format(**names) for argument in arguments))
    assert done.code == code
    assert words in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def test_interruption_ends_with_130(ovpart_cli, split_model, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ovpart.report.planned.planned", interrupted)
    done = ovpart_cli("plan", split_model)
    assert (done.code, done.out) == (130, "")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ovpart.VerificationError("x"), Exit.GATE_FAILED),
        (ovpart.OptionError("x"), Exit.USAGE),
        (ovpart.InputError("x"), Exit.USAGE),
        (ovpart.TableError("x"), Exit.USAGE),
        (ovpart.ModelError("x"), Exit.MODEL_REFUSED),
        (ovpart.DeviceNotFound("x"), Exit.NO_DEVICE),
        (ovpart.CompileError("x"), Exit.ENGINE_FAILED),
        (ovpart.RunError("x"), Exit.ENGINE_FAILED),
        (ovpart.OvpartError("x"), Exit.ENGINE_FAILED),
    ],
)
def test_each_error_has_its_exit_code(error, code):
    assert exit_of(error) is code


@pytest.mark.parametrize("planning_only", [True, False])
def test_every_declared_option_is_a_flag(planning_only):
    @click.command()
    @option_flags(planning_only=planning_only)
    def command() -> None:
        """Take the flags."""

    flags = [parameter.name for parameter in command.params]
    assert flags == list(declared(planning_only=planning_only))


def test_pairs_split_at_the_first_equals_sign():
    assert pairs(("a=b=c", "d="), "--config") == {"a": "b=c", "d": ""}
    for wrong in (("a",), ("=b",), ("a=1", "a=2")):
        with pytest.raises(click.BadParameter):
            pairs(wrong, "--config")
