"""The inputs of a command that compares: those given, and made-up ones for the rest, which is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ovpart.cli.arrays import load_inputs, parse_shapes, random_inputs
from ovpart.cli.flags import pairs

if TYPE_CHECKING:
    from ovpart.session import Session

Command = TypeVar("Command", bound=Callable[..., Any])


def input_flags(command: Command) -> Command:
    """Give a command the flags that say what the model is run on."""
    for flag in (
        click.option("--seed", default=0, show_default=True, help="Of made-up inputs."),
        click.option("--shape", "shapes", multiple=True, metavar="NAME=1,3,224,224", help="Shape of a made-up input."),
        click.option("--input", "inputs", multiple=True, metavar="NAME=FILE.npy", help="An input's array. Repeatable."),
    ):
        command = flag(command)
    return command


def make_feeds(
    session: Session, inputs: tuple[str, ...], shapes: tuple[str, ...], seed: int
) -> tuple[list[Mapping[str, Any]], str]:
    """Return the feeds to compare on, and where they are from.

    What is not given is made up: one feed where some inputs are given, two where none is, so that what the one leaves
    behind would show in the other.

    Raises
    ------
    click.UsageError
        If a name is no input of the model, or a value cannot be made up.
    """
    given = load_inputs(pairs(inputs, "--input"))
    wanted = parse_shapes(pairs(shapes, "--shape"))
    needed = session.get_inputs()
    there = [argument.name for argument in needed]
    for flag, names in (("--shape", wanted), ("--input", given)):
        if unknown := [name for name in names if name not in there]:
            message = f"{unknown[0]!r} is no input of the model; it has: {', '.join(there) or 'none'}"
            raise click.BadParameter(message, param_hint=flag)
    if unused := [name for name in wanted if name in given]:
        raise click.BadParameter(f"{unused[0]!r} has an array, whose shape is its own", param_hint="--shape")
    missing = [name for name in there if name not in given]
    if not missing:
        return [given], "given"
    count = 1 if given else 2
    feeds: list[Mapping[str, Any]] = []
    for turn in range(count):
        feeds.append(given | random_inputs(needed, given, wanted, seed + turn))
    which = "all" if not given else ", ".join(missing)
    return feeds, f"made up: {which}, seed {seed}"
