"""``ovpart profile``: where the time of a run goes."""

from __future__ import annotations

from pathlib import Path

import click

from ovpart.cli.feeds import input_flags, make_feeds
from ovpart.cli.flags import given, json_flag, model_argument, option_flags
from ovpart.cli.progress import compile_progress
from ovpart.cli.view import page_at


@click.command("profile")
@model_argument
@input_flags
@click.option("--runs", type=click.IntRange(min=1), default=10, show_default=True, help="Runs that times are means of.")
@click.option("-o", "--out", type=click.Path(dir_okay=False), help="Write the report with the times as a page, too.")
@option_flags(planning_only=False)
@json_flag
def command(
    model: str,
    inputs: tuple[str, ...],
    shapes: tuple[str, ...],
    seed: int,
    runs: int,
    out: str | None,
    as_json: bool,
    **flags: object,
) -> None:
    """Measure what each cluster of MODEL takes, and each node as far as engines tell.

    Inputs that are not given are made up. The clusters are compiled a second time for it, with timing on.
    """
    import ovpart

    page = None if out is None else page_at(Path(out))
    with compile_progress() as progress:
        session = ovpart.Session(model, progress=progress, **given(flags))
    feeds, origin = make_feeds(session, inputs, shapes, seed)
    profiled = session.profile(feeds[0], runs=runs)
    click.echo(profiled.to_json() if as_json else f"{profiled}\ninputs {origin}")
    if page is not None:
        session.report.save(page)
        click.echo(page, err=True)
