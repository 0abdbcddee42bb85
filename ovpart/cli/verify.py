"""``ovpart verify``: hold what each cluster computes against what onnxruntime computes."""

from __future__ import annotations

import click

from ovpart.cli.exits import Exit
from ovpart.cli.feeds import input_flags, make_feeds
from ovpart.cli.flags import given, json_flag, model_argument, option_flags
from ovpart.cli.progress import compile_progress


@click.command("verify")
@model_argument
@option_flags(planning_only=False)
@input_flags
@click.option("--tolerance", type=click.FloatRange(min=0), help="Largest error over the range, for every float type.")
@click.option("--repeats", type=click.IntRange(min=1), default=2, show_default=True, help="Runs of each input.")
@json_flag
def command(
    model: str,
    inputs: tuple[str, ...],
    shapes: tuple[str, ...],
    seed: int,
    tolerance: float | None,
    repeats: int,
    as_json: bool,
    **flags: object,
) -> int:
    """Hold every cluster of MODEL, and its outputs, against onnxruntime.

    Inputs that are not given are made up. Exit code 1 where something is wrong.
    """
    import ovpart

    with compile_progress() as progress:
        session = ovpart.Session(model, progress=progress, **given(flags))
    feeds, origin = make_feeds(session, inputs, shapes, seed)
    found = session.verify(feeds, tolerance=tolerance, repeats=repeats, origin=origin)
    click.echo(found.to_json() if as_json else str(found))
    return Exit.DONE if found.is_right else Exit.GATE_FAILED
