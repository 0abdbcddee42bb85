"""``ovpart bisect``: name the node that makes a cluster wrong, and write it as a model of its own."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ovpart.cli.exits import Exit
from ovpart.cli.feeds import input_flags, make_feeds
from ovpart.cli.flags import given, json_flag, model_argument, option_flags
from ovpart.cli.progress import compile_progress


@click.command("bisect")
@model_argument
@option_flags(planning_only=False)
@input_flags
@click.option("--tolerance", type=click.FloatRange(min=0), help="Largest error over the range, for every float type.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write the nodes to this .onnx, with a .npz and a .py.")
@json_flag
def command(
    model: str,
    inputs: tuple[str, ...],
    shapes: tuple[str, ...],
    seed: int,
    tolerance: float | None,
    out: str | None,
    as_json: bool,
    **flags: object,
) -> int:
    """Name the nodes that make clusters of MODEL wrong; exit code 1 where there are any.

    With several, the second is written to OUT_2.onnx, and so on.
    """
    import ovpart

    with compile_progress() as progress:
        session = ovpart.Session(model, progress=progress, **given(flags))
    feeds, origin = make_feeds(session, inputs, shapes, seed)
    found = session.verify(feeds, tolerance=tolerance, origin=origin)
    written: list[list[str]] = []
    for number, culprit in enumerate(found.culprits, start=1):
        files = []
        if out is not None and culprit.case is not None:
            path = Path(out)
            target = path if number == 1 else path.with_name(f"{path.stem}_{number}{path.suffix}")
            files = [str(file) for file in culprit.case.save(target)]
        written.append(files)
    if as_json:
        culprits = found.to_dict()["culprits"]
        listed = [{**culprit, "files": files} for culprit, files in zip(culprits, written, strict=True)]
        click.echo(json.dumps({"right": found.is_right, "culprits": listed}, indent=2, ensure_ascii=False))
    else:
        for culprit, files in zip(found.culprits, written, strict=True):
            click.echo(f"{culprit.op} {culprit.node!r} (cluster {culprit.cluster}): {culprit.words}")
            if len(culprit.indices) > 1:
                labels = [session.plan.graph.nodes[index].label for index in culprit.indices]
                click.echo(f"  only together with {', '.join(labels[:-1][:6])}{' …' if len(labels) > 7 else ''}")
            for file in files:
                click.echo(f"  {file}")
        if not found.culprits:
            click.echo("every cluster is right" if found.is_right else str(found))
    return Exit.DONE if found.is_right else Exit.GATE_FAILED
