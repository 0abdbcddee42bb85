"""``ovpart compile``: a model with its clusters compiled, in one file or with the blobs beside it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ovpart.cli.flags import given, json_flag, model_argument, option_flags
from ovpart.cli.progress import compile_progress


@click.command("compile")
@model_argument
@option_flags(planning_only=False)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="The file to write. [default: MODEL_ctx.onnx]")
@click.option(
    "--embed/--beside", default=True, show_default=True, help="Blobs in the file itself, or in a file beside it."
)
@json_flag
def command(model: str, output: str | None, embed: bool, as_json: bool, **flags: object) -> None:
    """Write MODEL with its delegated clusters compiled, for this device and this version of openvino.

    What is not delegated stays in the file as nodes. onnxruntime's OpenVINO provider reads such files too, where it
    has the same openvino.
    """
    import ovpart

    path = Path(output) if output is not None else Path(model).with_name(f"{Path(model).stem}_ctx.onnx")
    with compile_progress() as progress, ovpart.Session(model, progress=progress, **given(flags)) as session:
        written = session.save_context(path, embed=embed)
        clusters = len(session.plan.delegated)
    sizes = {str(file): file.stat().st_size for file in written}
    if as_json:
        click.echo(json.dumps({"clusters": clusters, "files": sizes}, indent=2, ensure_ascii=False))
        return
    for file, size in sizes.items():
        click.echo(f"{file}  {size} bytes")
    click.echo(f"{clusters} compiled cluster{'' if clusters == 1 else 's'}")
