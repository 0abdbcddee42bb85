"""``ovpart devices``: what engines offer."""

from __future__ import annotations

import json

import click

from ovpart.cli.flags import json_flag


@click.command("devices")
@json_flag
def command(as_json: bool) -> None:
    """List the devices that engines offer on this machine."""
    import ovpart

    found = ovpart.devices()
    if as_json:
        rows = [{"name": device.name, "description": device.description} for device in found]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for device in found:
        click.echo(f"{device.name:<8}  {device.description}")
