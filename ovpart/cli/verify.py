"""``ovpart verify``: hold what each cluster computes against what onnxruntime computes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ovpart.cli.exits import Exit
from ovpart.cli.feeds import input_flags, make_feeds
from ovpart.cli.flags import given, json_flag, model_argument, option_flags
from ovpart.cli.progress import compile_progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovpart.placement.verification.findings import Verification
    from ovpart.session import Session

MOST_ROUNDS = 8
"""How often rules are added and the model is verified again."""


@click.command("verify")
@model_argument
@option_flags(planning_only=False)
@input_flags
@click.option("--tolerance", type=click.FloatRange(min=0), help="Largest error over the range, for every float type.")
@click.option("--repeats", type=click.IntRange(min=1), default=2, show_default=True, help="Runs of each input.")
@click.option("--quarantine", is_flag=True, help="Write rules against what is wrong into a table of your own.")
@click.option("--quarantine-file", type=click.Path(dir_okay=False), help="That table; by default in your settings.")
@json_flag
def command(
    model: str,
    inputs: tuple[str, ...],
    shapes: tuple[str, ...],
    seed: int,
    tolerance: float | None,
    repeats: int,
    quarantine: bool,
    quarantine_file: str | None,
    as_json: bool,
    **flags: object,
) -> int:
    """Hold every cluster of MODEL, and its outputs, against onnxruntime.

    Inputs that are not given are made up. Exit code 1 where something is wrong, also where --quarantine has mended it.
    """
    import ovpart
    from ovpart.placement.verification.quarantine import default_path

    options = given(flags)
    with compile_progress() as progress:
        session = ovpart.Session(model, progress=progress, **options)
    feeds, origin = make_feeds(session, inputs, shapes, seed)
    found = session.verify(feeds, tolerance=tolerance, repeats=repeats, origin=origin)
    click.echo(found.to_json() if as_json else str(found))
    if quarantine and not found.is_right:
        table = Path(quarantine_file) if quarantine_file else default_path()
        _quarantine(model, options, session, found, feeds, table)
    return Exit.DONE if found.is_right else Exit.GATE_FAILED


def _quarantine(
    model: str,
    options: Mapping[str, Any],
    session: Session,
    found: Verification,
    feeds: Sequence[Mapping[str, Any]],
    table: Path,
) -> None:
    """Write rules until a session with them is right, and say so on standard error: JSON stands alone on the other."""
    import ovpart

    tables = [*options.get("table", ()), table]
    for _ in range(MOST_ROUNDS):
        added = session.quarantine(found, table)
        for operator in added:
            click.echo(f"quarantined: {operator}", err=True)
        if not added:
            break
        session.close()
        session = ovpart.Session(model, **{**options, "table": tables})
        found = session.verify(feeds)
        if found.is_right:
            click.echo(f"right with --table {table}", err=True)
            return
    click.echo(f"still wrong with {table}: no single node is to blame; exclude the cluster's nodes", err=True)
