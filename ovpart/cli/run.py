"""``ovpart run``: plan, compile, run once, and show what went where."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ovpart.cli.arrays import describe, load_inputs, parse_shapes, random_inputs, save_outputs
from ovpart.cli.flags import given, json_flag, model_argument, option_flags, pairs
from ovpart.cli.progress import compile_progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovpart.session import Session


@click.command("run")
@model_argument
@option_flags(planning_only=False)
@click.option("--input", "inputs", multiple=True, metavar="NAME=FILE.npy", help="An input's array. Repeatable.")
@click.option("--random", "is_random", is_flag=True, help="Make up the inputs that are not given.")
@click.option("--shape", "shapes", multiple=True, metavar="NAME=1,3,224,224", help="Shape of a random input.")
@click.option("--seed", default=0, show_default=True, help="Of the random inputs.")
@click.option("--output", type=click.Path(file_okay=False), help="Folder to write the outputs to, one .npy each.")
@json_flag
def command(
    model: str,
    inputs: tuple[str, ...],
    is_random: bool,
    shapes: tuple[str, ...],
    seed: int,
    output: str | None,
    as_json: bool,
    **flags: object,
) -> None:
    """Run MODEL once, and show what went where and what came out."""
    import ovpart

    if shapes and not is_random:
        raise click.UsageError("--shape has no effect without --random")
    feed = load_inputs(pairs(inputs, "--input"))
    wanted_shapes = parse_shapes(pairs(shapes, "--shape"))
    with compile_progress() as progress:
        session = ovpart.Session(model, progress=progress, **given(flags))
    _know(session, wanted_shapes, "--shape")
    if is_random:
        feed |= random_inputs(session.get_inputs(), feed, wanted_shapes, seed)
    start = time.perf_counter()
    results = session.run(None, feed)
    milliseconds = (time.perf_counter() - start) * 1000
    outputs = {argument.name: value for argument, value in zip(session.get_outputs(), results, strict=True)}
    files = save_outputs(outputs, Path(output)) if output is not None else {}
    (_print_json if as_json else _print_text)(session, outputs, files, milliseconds)


def _know(session: Session, names: Mapping[str, object], flag: str) -> None:
    """Refuse names that are no inputs: a misspelt one would have no effect, and nobody would know."""
    there = [argument.name for argument in session.get_inputs()]
    if unknown := [name for name in names if name not in there]:
        message = f"{unknown[0]!r} is no input of the model; it has: {', '.join(there) or 'none'}"
        raise click.BadParameter(message, param_hint=flag)


def _print_json(
    session: Session, outputs: Mapping[str, Any], files: Mapping[str, list[str]], milliseconds: float
) -> None:
    answer = {
        "report": json.loads(session.report.to_json()),
        "outputs": [{"name": n, **describe(value), "files": files.get(n, [])} for n, value in outputs.items()],
        "run_ms": milliseconds,
    }
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def _print_text(
    session: Session, outputs: Mapping[str, Any], files: Mapping[str, list[str]], milliseconds: float
) -> None:
    from ovpart.report.show import show

    show(session.report)
    click.echo(f"outputs of the first run ({milliseconds:.1f} ms)")
    for name, value in outputs.items():
        facts = describe(value)
        words = [f"{key} {item:.6g}" if isinstance(item, float) else str(item) for key, item in facts.items()]
        click.echo(f"  {name}: {'  '.join(words)}")
        for file in files.get(name, []):
            click.echo(f"    {file}")
