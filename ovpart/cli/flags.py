"""Flags of the command line, made from the declarations in :mod:`ovpart.options`, so that none is written twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from ovpart.options import Option, Options, declared

Command = TypeVar("Command", bound=Callable[..., Any])

model_argument = click.argument("model", type=click.Path(exists=True, dir_okay=False))
"""The model's file."""
json_flag = click.option("--json", "as_json", is_flag=True, help="JSON alone on standard output.")
"""Machine-readable output."""


def option_flags(*, planning_only: bool) -> Callable[[Command], Command]:
    """Return a decorator that gives a command one flag for each declared option.

    Parameters
    ----------
    planning_only : bool
        Whether to leave out the options that only a session has.
    """

    def decorate(command: Command) -> Command:
        defaults = Options()
        for name, option in reversed(declared(planning_only=planning_only).items()):
            command = _flag(name, option, getattr(defaults, name))(command)
        return command

    return decorate


def _flag(name: str, option: Option, default: object) -> Callable[[Command], Command]:
    flag = f"--{name.replace('_', '-')}"
    if default is False:
        return click.option(flag, name, is_flag=True, default=None, help=option.doc)
    if isinstance(default, Mapping):
        return click.option(flag, name, multiple=True, metavar="NAME=VALUE", help=f"{option.doc} Repeatable.")
    if isinstance(default, tuple):
        return click.option(flag, name, multiple=True, help=f"{option.doc} Repeatable.")
    shown = "" if default is None else f" [default: {default}]"
    return click.option(flag, name, default=None, help=f"{option.doc}{shown}")


def given(flags: Mapping[str, object]) -> dict[str, Any]:
    """Return the keyword arguments that the flags stand for, those that were not given left out.

    Raises
    ------
    click.BadParameter
        If ``NAME=VALUE`` has no ``=``.
    """
    defaults = Options()
    options: dict[str, Any] = {}
    for name, value in flags.items():
        if value is None or value == ():
            continue
        is_mapping = isinstance(getattr(defaults, name), Mapping) and isinstance(value, tuple)
        options[name] = pairs(value, f"--{name}") if is_mapping and isinstance(value, tuple) else value
    return options


def pairs(values: tuple[str, ...], flag: str) -> dict[str, str]:
    """Split ``NAME=VALUE`` arguments at their first ``=``.

    Raises
    ------
    click.BadParameter
        If one has no ``=`` or no name, or a name is given twice.
    """
    split: dict[str, str] = {}
    for value in values:
        name, equals, rest = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is not of the form NAME=VALUE", param_hint=flag)
        if name in split:
            raise click.BadParameter(f"{name!r} is given twice", param_hint=flag)
        split[name] = rest
    return split
