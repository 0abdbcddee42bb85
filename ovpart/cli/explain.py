"""``ovpart explain``: one node's place."""

from __future__ import annotations

import click

from ovpart.cli.flags import given, model_argument, option_flags


@click.command("explain")
@model_argument
@click.argument("node")
@option_flags(planning_only=True)
def command(model: str, node: str, **flags: object) -> None:
    """Tell why NODE of MODEL is where it is. NODE is a node's name, or the name of one of its outputs."""
    import ovpart
    from ovpart.report.explained import explained

    click.echo(explained(ovpart.plan(model, **given(flags)).explain(node)))
