"""``ovpart what-if``: what would be if a device took more than it does."""

from __future__ import annotations

import json

import click

from ovpart.cli.flags import given, json_flag, model_argument, option_flags


@click.command("what-if")
@model_argument
@click.option("--if", "selectors", multiple=True, metavar="OP|NODE", help="Supposed to be supported. Repeatable.")
@option_flags(planning_only=True)
@json_flag
def command(model: str, selectors: tuple[str, ...], as_json: bool, **flags: object) -> None:
    """Tell what clusters and coverage of MODEL would be if operators or nodes were supported.

    Without --if, the reasons that keep most nodes back are tried one by one. Needs no engine and no device.
    """
    from ovpart.report.planned import planned
    from ovpart.report.what_if import as_data, what_if

    report, read = planned(model, **given(flags))
    found = what_if(report.plan, read, selectors)
    click.echo(json.dumps(as_data(found), indent=2, ensure_ascii=False) if as_json else found)
