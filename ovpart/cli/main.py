"""``ovpart``: finds the command, and turns errors into messages and exit codes."""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from collections.abc import Sequence
from importlib import metadata
from typing import TextIO

import click

from ovpart.cli.exits import Exit, exit_of
from ovpart.errors import OvpartError

COMMANDS = {
    "run": "Run a model and show what went where.",
    "plan": "Show where each node of a model would run; needs no engine and no device.",
    "verify": "Hold every cluster of a model against onnxruntime.",
    "bisect": "Name the node that makes a cluster wrong, and write it as a model.",
    "view": "Write a page for a browser: clusters, reasons, the graph, every node.",
    "profile": "Measure where the time of a run goes: clusters, and nodes in them.",
    "what-if": "Tell what clusters and coverage would be if more were supported.",
    "diff": "Tell what moved between two models, plans, reports or devices, and why.",
    "explain": "Tell why one node is where it is.",
    "ops": "Ask, measure and check the table of what devices compute rightly.",
    "compile": "Write a model with its clusters compiled, to be loaded without a compile.",
    "convert": "Write a model in openvino's IR, whole or cluster by cluster, or annotated with its plan.",
    "devices": "List the devices that engines offer.",
    "doctor": "Check what is installed, and whether it fits together.",
}
"""Command → its line in the help. Each is the function `command` of the module ``ovpart.cli.NAME``, ``-`` as ``_``."""


class _Commands(click.Group):
    """Loads a command's module only when it is wanted, so that ``ovpart --help`` is quick."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"ovpart.cli.{name.replace('-', '_')}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(metadata.version("ovpart"), prog_name="ovpart")
@click.option("-v", "--verbose", is_flag=True, help="Tell on standard error what happens.")
def cli(verbose: bool) -> None:
    """Run ONNX models on Intel devices, split between OpenVINO and ONNX Runtime.

    Exit codes: 0 done, 1 a gate or a comparison failed, 2 wrong usage or option, 3 the model was refused,
    4 no such device, 5 an engine failed, 130 interrupted.
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(levelname)s: %(message)s",
        stream=sys.stderr,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        The exit code, see :class:`ovpart.cli.exits.Exit`.
    """
    warnings.showwarning = _show_warning
    try:
        status = cli.main(
            args=None if arguments is None else list(arguments), prog_name="ovpart", standalone_mode=False
        )
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except click.Abort:
        click.echo("ovpart: interrupted", err=True)
        return Exit.INTERRUPTED
    except OvpartError as error:
        click.echo(f"ovpart: {error}", err=True)
        return exit_of(error)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"ovpart: {where}{error.strerror or error}", err=True)
        return Exit.USAGE
    return int(status or Exit.DONE)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    click.echo(f"warning: {message}", err=True)
