"""``ovpart diff``: what moved between two plans, and why."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ovpart.cli.exits import Exit
from ovpart.cli.flags import given, json_flag, option_flags, pairs

_FILE = click.Path(exists=True, dir_okay=False)


@click.command("diff")
@click.argument("before", type=_FILE)
@click.argument("after", type=_FILE, required=False)
@click.option("--other", multiple=True, metavar="OPTION=VALUE", help="Option of the second plan alone. Repeatable.")
@option_flags(planning_only=True)
@json_flag
def command(before: str, after: str | None, other: tuple[str, ...], as_json: bool, **flags: object) -> int:
    """Tell what moved from BEFORE to AFTER, and why. Exit code 1 where something did.

    Each is a model, a saved plan (`ovpart plan --save`), or a report as JSON. Models are planned with the options
    given; without AFTER the same model is planned twice, the second time with --other: `ovpart diff model.onnx --other
    device=GPU`.
    """
    from ovpart.report.sides import differences, read_side

    if after is None and not other:
        raise click.UsageError("nothing to compare with: give AFTER, or --other device=GPU")
    options, changed = given(flags), pairs(other, "--other")
    files = Path(before), Path(after or before)
    sides = [read_side(files[0], options if _planned(files[0]) else {})]
    sides.append(read_side(files[1], {**(options if _planned(files[1]) else {}), **changed}))
    if options and not any(map(_planned, files)):
        raise click.UsageError(f"{', '.join(sorted(options))}: no effect, since neither is a model")
    found = differences(*sides)
    if as_json:
        names = {"before": sides[0].name, "after": sides[1].name}
        click.echo(json.dumps({**names, "same": not found, "differences": found}, indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(found) or "nothing moved")
    return Exit.GATE_FAILED if found else Exit.DONE


def _planned(path: Path) -> bool:
    """Whether a file is a model, which is planned here."""
    return path.suffix.lower() != ".json"
