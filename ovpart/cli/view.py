"""``ovpart view``: the report as a page for a browser."""

from __future__ import annotations

from pathlib import Path

import click

from ovpart.cli.feeds import input_flags, make_feeds
from ovpart.cli.flags import given, model_argument, option_flags
from ovpart.cli.progress import compile_progress


@click.command("view")
@model_argument
@click.option("-o", "--out", type=click.Path(dir_okay=False), help="The page; MODEL_report.html by default.")
@click.option("--run", "is_run", is_flag=True, help="Compile, run and profile it too.")
@input_flags
@option_flags(planning_only=False)
def command(
    model: str,
    out: str | None,
    is_run: bool,
    inputs: tuple[str, ...],
    shapes: tuple[str, ...],
    seed: int,
    **flags: object,
) -> None:
    """Write MODEL's report as one HTML file that needs no network: clusters, reasons, the graph, every node.

    Without --run it needs no engine and no device. With it the page has times too, and what engines refused; inputs
    that are not given are made up.
    """
    import ovpart
    from ovpart.report.planned import planned

    path = Path(model)
    page = page_at(Path(out) if out else path.with_name(f"{path.stem}_report.html"))
    if not is_run:
        if inputs or shapes:
            raise click.UsageError("--input and --shape have no effect without --run")
        report, _ = planned(path, **given(flags))
    else:
        with compile_progress() as progress:
            session = ovpart.Session(path, progress=progress, **given(flags))
        session.profile(make_feeds(session, inputs, shapes, seed)[0][0])
        report = session.report
    report.save(page)
    click.echo(page)


def page_at(path: Path) -> Path:
    """Return where a page is to be written, if its name is one of a page.

    Raises
    ------
    click.BadParameter
        If it is not.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise click.BadParameter(f"{path.name!r} is no page: its name must end in .html", param_hint="--out")
    return path
