"""``ovpart doctor``: what is installed, and whether it fits together."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import click

from ovpart.capability.measured import installed
from ovpart.cli.exits import Exit
from ovpart.cli.flags import json_flag
from ovpart.errors import OvpartError

NEEDED = ("ovpart", "numpy", "onnx", "onnxruntime", "openvino", "networkx", "ml_dtypes", "jsonschema", "click")
"""Distributions that ovpart runs on."""
OPTIONAL = ("rich", "onnxruntime-openvino", "openvino-telemetry")
"""Distributions that change something where they are installed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    what : str
        What was looked at.
    state : str
        ``"ok"``, ``"note"`` or ``"wrong"``.
    found : str
        What was found, and for what is not ok, what can be done.
    """

    what: str
    state: str
    found: str


@click.command("doctor")
@json_flag
def command(as_json: bool) -> Exit:
    """Check what is installed, and whether it fits together. Ends with 1 where something is wrong."""
    findings = list(look())
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        column = max(len(finding.what) for finding in findings)
        for finding in findings:
            click.echo(f"{finding.state:<5}  {finding.what:<{column}}  {finding.found}")
    return Exit.GATE_FAILED if any(finding.state == "wrong" for finding in findings) else Exit.DONE


def look() -> Iterator[Finding]:
    """Yield findings, the quick ones first."""
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    yield from _packages()
    yield from _table()
    yield from _cache()
    yield from _devices()


def _packages() -> Iterator[Finding]:
    for name in NEEDED:
        version = installed(name)
        if version is not None:
            yield Finding(name, "ok", version)
        elif name == "openvino":
            yield Finding(
                name, "note", "not installed: `ovpart plan` works, nothing can be delegated (pip install openvino)"
            )
        else:
            yield Finding(name, "wrong", f"not installed (pip install {name})")
    for name in OPTIONAL:
        version = installed(name)
        if version is None:
            continue
        if name == "onnxruntime-openvino":
            found = f"{version}: it brings an onnxruntime of its own into the same folder; keep only one of the two"
            yield Finding(name, "wrong" if installed("onnxruntime") else "note", found)
        elif name == "openvino-telemetry":
            found = f"{version}: ovpart keeps openvino from loading it, unless openvino was imported before ovpart"
            yield Finding(name, "note", found)
        else:
            yield Finding(name, "ok", version)


def _table() -> Iterator[Finding]:
    from ovpart.capability.measured import differences
    from ovpart.capability.table import load_table, shipped_path

    try:
        table = load_table()
    except OvpartError as error:
        yield Finding("table", "wrong", str(error))
        return
    yield Finding("table", "ok", f"{shipped_path()}, {len(table.operators())} operators")
    for other in differences(table.measured_with):
        found = f"{other}: verdicts may be off; `ovpart ops check` says which, a failed compile is demoted"
        yield Finding(f"table, {other.what}", "note", found)


def _cache() -> Iterator[Finding]:
    from ovpart.capability.table import cache_folder

    folder = cache_folder()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if existing.is_dir() and os.access(existing, os.W_OK):
        yield Finding("cache folder", "ok", str(folder))
    else:
        yield Finding("cache folder", "note", f"{folder} cannot be written: each start parses the table again")


def _devices() -> Iterator[Finding]:
    import ovpart

    try:
        found = ovpart.devices()
    except OvpartError as error:
        yield Finding("devices", "note", str(error))
        return
    for device in found:
        yield Finding(f"device {device.name}", "ok", device.description)
    if sys.platform == "linux" and not any(device.name.startswith("GPU") for device in found) and _has_render_node():
        hint = "there is a graphics device in /dev/dri, but openvino offers no GPU: install its compute driver (OpenCL)"
        yield Finding("device GPU", "note", hint)


def _has_render_node() -> bool:
    return os.path.isdir("/dev/dri") and any(name.startswith("renderD") for name in os.listdir("/dev/dri"))
