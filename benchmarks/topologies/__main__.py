"""Builds the topologies, runs them, and writes docs/topologies.md.

    python -m benchmarks.topologies build [NAME ...] [--again]     where torch is installed (see `make topologies`)
    python -m benchmarks.topologies run [NAME ...] [--again]       on ovpart, onnxruntime, openvino and the provider
    python -m benchmarks.topologies page                           from what run has left
    python -m benchmarks.topologies all [NAME ...]                 the three, one after the other

What is there already is not made again, unless --again says so; a topology whose file has changed is run again.
The environments of torch and of the provider are made in the folder that OVPART_PEERS names, in the user's cache if
none does. Ends with 1 where a topology that can be built is wrong in ovpart.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks.topologies import drive, page
from benchmarks.topologies.engines import NAMES
from benchmarks.topologies.measure import is_right
from benchmarks.topologies.registry import TOPOLOGIES
from benchmarks.topologies.topology import model_path

PEERS = Path(os.environ.get("OVPART_PEERS", Path.home() / ".cache" / "ovpart-peers"))
BUILDING = (
    "torch==2.13.0", "torchvision==0.28.0", "timm==1.0.31", "transformers>=5.23,<6", "onnx>=1.19", "onnxscript>=0.5",
    "onnxruntime>=1.20", "nncf==3.4.0",
)  # fmt: skip
PROVIDER = ("onnxruntime-openvino==1.24.1", "openvino==2025.4.1", "onnx>=1.19")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.topologies", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("build", "run", "page", "all"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="or patterns such as 'resnet*'")
    parser.add_argument("--again", action="store_true", help="make anew what is there")
    parser.add_argument("--engines", default=",".join(NAMES))
    parser.add_argument("--torch-python", default=os.environ.get("OVPART_TORCH_PYTHON"), help="has torch")
    parser.add_argument("--provider-python", default=os.environ.get("OVPART_PROVIDER_PYTHON"), help="has the provider")
    chosen = parser.parse_args(arguments)
    names = [name for name in TOPOLOGIES if not chosen.names or any(fnmatchcase(name, one) for one in chosen.names)]
    status = 0
    if chosen.command == "build":
        status = _build(names, again=chosen.again)
    if chosen.command == "all":
        python = chosen.torch_python or str(environment("topologies-torch-2.13.0", *BUILDING))
        command = [python, "-m", "benchmarks.topologies", "build", *chosen.names, *["--again"] * chosen.again]
        status = subprocess.run(command, cwd=drive.ROOT, env={**os.environ, "PYTHONPATH": str(drive.ROOT)}).returncode
    if chosen.command in ("run", "all"):
        engines = tuple(chosen.engines.split(","))
        pythons = {}
        if "provider" in engines:
            pythons["provider"] = chosen.provider_python or str(environment("topologies-provider-1.24.1", *PROVIDER))
        status |= _run(names, pythons, engines, again=chosen.again)
    if chosen.command in ("page", "all"):
        page.write()
        print(f"written: {page.PAGE}")
    return status


def environment(name: str, *packages: str) -> Path:
    """Return the python of an environment, made if it is not there yet."""
    python = PEERS / name / "bin" / "python"
    if not (PEERS / name / "complete").exists():
        print(f"making the environment {PEERS / name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS / name], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        (PEERS / name / "complete").touch()
    return python


def _build(names: Sequence[str], *, again: bool) -> int:
    failed = 0
    for name in names:
        path = model_path(name)
        if path.is_file() and not again:
            continue
        aside = path.parent / "building"  # half of a file would pass for a whole one
        aside.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        try:
            TOPOLOGIES[name].build(aside / path.name)
        except Exception as error:
            failed += 1
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
        else:
            for made in sorted(aside.iterdir(), key=lambda made: made.name == path.name):
                made.replace(path.parent / made.name)  # external data first
            print(f"{name}: built in {time.monotonic() - start:.0f} s", flush=True)
        shutil.rmtree(aside)
    return int(failed > 0)


def _run(names: Sequence[str], pythons: dict[str, str], engines: tuple[str, ...], *, again: bool) -> int:
    wrong = []
    for name in names:
        if not model_path(name).is_file():
            print(f"{name}: not built", flush=True)
            continue
        result = None if again else drive.stored_result(name)
        if result is None:
            start = time.monotonic()
            result = drive.run(TOPOLOGIES[name], pythons, engines)
            print(f"{page.line(result)}  {time.monotonic() - start:.0f} s", flush=True)
        if not is_right(result, "ovpart"):
            wrong.append(name)
    if wrong:
        print(f"wrong in ovpart: {', '.join(wrong)}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
