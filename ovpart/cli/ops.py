"""``ovpart ops``: the support table and the measurements behind it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ovpart.cli.exits import Exit
from ovpart.cli.flags import json_flag
from ovpart.cli.ops_text import op_progress, show_coverage, show_differences, show_drift, show_entries

_operators = click.option("--op", "ops", multiple=True, metavar="NAME", help="Only this operator. Repeatable.")
_workers = click.option("--workers", type=click.IntRange(1), help="Processes that measure; by default one a processor.")


@click.group("ops")
def command() -> None:
    """Ask, measure and check the table of what devices compute rightly."""


@command.command("list")
@click.option("--device", default="CPU", show_default=True, help="The device.")
@json_flag
def list_(device: str, as_json: bool) -> None:
    """List the operators of the table, with how many of their entries say yes and no."""
    from ovpart.capability.table import load_table

    table = load_table()
    rows = []
    for op in table.operators():
        mine = [entry for entry in table.entries(op, device) if entry.op == op]
        states = [str(entry.state) for entry in mine if entry.state is not None]
        rows.append({"op": op, **{s: states.count(s) for s in ("supported", "unsupported", "unknown")}})
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        told = ", ".join(f"{row[s]} {s}" for s in ("supported", "unsupported", "unknown") if row[s])
        click.echo(f"{row['op']:<40}  {told or 'no entry'}")


@command.command()
@click.argument("op")
@click.option("--device", default="CPU", show_default=True, help="The device.")
def show(op: str, device: str) -> Exit:
    """Show the entries of OP with their lines, in the order in which they are looked at."""
    from ovpart.capability.table import load_table

    return show_entries(load_table(), op, device)


@command.command()
@click.option("--device", required=True, help="The device to measure.")
@_operators
@click.option("--node-tests/--no-node-tests", default=None, help="onnx's tests of single nodes; not with --op.")
@click.option("--resume", is_flag=True, help="Go on with what --out has already.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Keep each measurement as a line of JSON.")
@_workers
def probe(
    device: str, ops: tuple[str, ...], node_tests: bool | None, resume: bool, out: Path | None, workers: int | None
) -> Exit:
    """Measure operators on a device, and hold the table against what was found.

    Each case runs in a process that is started again if an engine takes it down. Ends with 1 where the table sends
    something to the device that it does not compute rightly.
    """
    from ovpart.capability.table import load_table
    from ovpart.probe.ask import ask, ask_models
    from ovpart.probe.diff import held_against
    from ovpart.probe.run import check_device, chosen, chosen_tests, job_of, run

    check_device(device)
    cases, tests = chosen(ops), {}
    if not ops if node_tests is None else node_tests:
        tests = chosen_tests(ops)
    with op_progress() as progress:
        record = run(job_of(device, cases, tests), out, resume=resume, workers=workers, progress=progress)
    table = load_table()
    verdicts = ask(cases.values(), device, table)
    verdicts |= ask_models({key: test.proto for key, test in tests.items()}, device, table)
    lines = held_against(record.measurements, verdicts)
    return show_differences(record, lines, cases)


@command.command()
@click.option("--device", default="CPU", show_default=True, help="The device.")
@_operators
@click.option(
    "--all", "everything", is_flag=True, help="Every case, not the ordinary ones of the newest versions only."
)
@_workers
@json_flag
def check(device: str, ops: tuple[str, ...], everything: bool, workers: int | None, as_json: bool) -> Exit:
    """Measure again what the table says, with the packages that are installed, and say what drifted.

    Ends with 1 where the table sends something to the device that is not right there.
    """
    from ovpart.capability.table import load_table
    from ovpart.probe.drift import drifted, to_check
    from ovpart.probe.measurement import recorded
    from ovpart.probe.run import check_device, check_ops, job_of, run

    check_device(device)
    check_ops(ops)
    cases, before, table = to_check(ops, everything=everything), recorded(device), load_table()
    with op_progress() as progress:
        record = run(job_of(device, cases), workers=workers, progress=progress)
    drifts = drifted(record.measurements, before, cases, device, table)
    return show_drift(record, drifts, table, as_json=as_json)


@command.command("coverage")
@click.option("--device", default="CPU", show_default=True, help="The device.")
@json_flag
def coverage_(device: str, as_json: bool) -> None:
    """Count what the table knows: operators of ONNX since opset 7, and of com.microsoft, by version and dtype."""
    from ovpart.capability.table import load_table
    from ovpart.probe.coverage import coverage

    show_coverage(coverage(device, load_table()), as_json=as_json)
