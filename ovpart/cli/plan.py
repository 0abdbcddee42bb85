"""``ovpart plan``: a dry run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ovpart.cli.flags import given, json_flag, model_argument, option_flags

if TYPE_CHECKING:
    from ovpart.partition.plan import Plan


@click.command("plan")
@model_argument
@option_flags(planning_only=True)
@json_flag
@click.option("--save", type=click.Path(dir_okay=False, writable=True), help="Write the plan to a JSON file.")
@click.option("--verbose", is_flag=True, help="List every node with its place, reason and rule.")
def command(model: str, as_json: bool, save: str | None, verbose: bool, **flags: object) -> None:
    """Show where each node of MODEL would run, and why. Needs no engine and no device."""
    from ovpart.report.planned import planned
    from ovpart.report.show import show

    report, _ = planned(model, **given(flags))
    if save is not None:
        report.plan.save(save)
    if as_json:
        click.echo(report.to_json())
        return
    show(report)
    if verbose:
        _list_nodes(report.plan)


def _list_nodes(plan: Plan) -> None:
    """Print one line a node, in the order in which they run."""
    click.echo("nodes")
    labels = {cluster.id: cluster.label for cluster in plan.clusters}
    for node, verdict, place in zip(plan.graph.nodes, plan.verdicts, plan.places, strict=True):
        label = labels.get(place)
        where = f"{label.engine} {label.device}" if label else place
        click.echo(f"  {where:<16}  {node.op_id:<20}  {node.label}: {verdict.reason} ({verdict.rule})")
