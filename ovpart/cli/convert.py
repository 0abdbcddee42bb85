"""``ovpart convert``: openvino's IR of a model or of its clusters, or the model with its plan written on it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ovpart.cli.flags import given, json_flag, model_argument, option_flags


@click.command("convert")
@model_argument
@click.option("-o", "--output", type=click.Path(), help="File to write; folder with --clusters.")
@click.option("--clusters", is_flag=True, help="IR of each delegated cluster instead of the whole model.")
@click.option("--annotated", is_flag=True, help="ONNX with each node's place and reason on it, for Netron.")
@click.option("--fp16", is_flag=True, help="Keep the weights in f16: half the size.")
@option_flags(planning_only=True)
@json_flag
def command(
    model: str, output: str | None, clusters: bool, annotated: bool, fp16: bool, as_json: bool, **flags: object
) -> None:
    """Write MODEL in openvino's IR (.xml and .bin), whole or cluster by cluster; or annotated with its plan."""
    from ovpart.placement.files.convert import convert

    if clusters and annotated:
        raise click.UsageError("--clusters and --annotated are two things: choose one")
    if fp16 and annotated:
        raise click.UsageError("--fp16 has no effect with --annotated")
    kind = "clusters" if clusters else "annotated" if annotated else "whole"
    written = convert(model, kind, None if output is None else Path(output), fp16=fp16, **given(flags))
    sizes = {str(file): file.stat().st_size for file in written}
    if as_json:
        click.echo(json.dumps({"files": sizes}, indent=2, ensure_ascii=False))
        return
    for file, size in sizes.items():
        click.echo(f"{file}  {size} bytes")
