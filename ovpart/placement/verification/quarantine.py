"""What was found wrong, written as rules of a support table of the user's own, so that later sessions are right."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ovpart.capability.source import read_yaml
from ovpart.capability.table import load_table
from ovpart.errors import OvpartError
from ovpart.model.attributes import attributes
from ovpart.model.graph import Model, Node
from ovpart.placement.verification.findings import Culprit

FILE = "quarantine.yaml"
"""Name of the table in the user's folder."""
_HEADER = "# What `ovpart verify --quarantine` found wrong on this machine. Give it to sessions as table=.\n"
_DEVICE = re.compile(r"[A-Z][A-Z0-9_]*(\.[0-9]+)?")


def default_path() -> Path:
    """Return where the user's system keeps settings, ours in it."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "ovpart" / FILE


def rule_of(model: Model, node: Node, words: str, engine: str) -> dict[str, Any]:
    """Return the table entry that keeps nodes like this one off the device.

    It holds for the operator in the model's opset with the same attributes, dtypes, ranks and constant inputs: what was
    seen to be wrong, and nothing beyond it.

    Parameters
    ----------
    model : Model
        The model.
    node : Node
        The node that was wrong.
    words : str
        What is wrong.
    engine : str
        Name and version of the engine, for ``source``.
    """
    graph = model.graph
    given = [(f"in{i}", name) for i, name in enumerate(node.inputs) if name]
    made = [(f"out{i}", name) for i, name in enumerate(node.outputs) if name]
    types = {place: [graph.type_of(name).dtype] for place, name in (*given, *made) if graph.type_of(name).dtype}
    ranks = {place: graph.type_of(name).rank for place, name in given if graph.type_of(name).rank is not None}
    constant = [place for place, name in given if graph.is_constant(name)]
    entry: dict[str, Any] = {}
    if node.domain in model.opsets:
        entry["opset"] = model.opsets[node.domain]
    if types:
        entry["types"] = types
    if ranks:
        entry["rank"] = ranks
    if when := _attributes(node):
        entry["when"] = when
    if constant:
        entry["const"] = constant
    told = " ".join(words.split())[:120]
    return {**entry, "state": "unsupported", "reason": f"wrong here: {told}", "source": f"measured, {engine}"}


def _attributes(node: Node) -> dict[str, Any]:
    """Return what a table can say of a node's attributes: numbers and texts, and lists of them as a whole."""
    found: dict[str, Any] = {}
    for name, value in attributes(node).items():
        if isinstance(value, (int, float, str)):
            found[name] = value
        elif isinstance(value, (list, tuple)) and value and all(isinstance(item, (int, float, str)) for item in value):
            found[name] = [list(value)]
    return found


def quarantine(
    model: Model, culprits: Sequence[tuple[Culprit, str]], versions: Mapping[str, str], path: Path
) -> list[tuple[str, str, dict[str, Any]]]:
    """Write rules for wrong nodes into a table, above what it holds already.

    Parameters
    ----------
    model : Model
        The model.
    culprits : sequence of (Culprit, str)
        What was found, with the device string of its cluster.
    versions : mapping of str to str
        Engine → version, for ``source``.
    path : Path
        The table; created where there is none. A file with comments of its own is kept beside it as ``.bak``.

    Returns
    -------
    list of (operator, device, entry)
        What was added; nothing that stood there already.

    Raises
    ------
    TableError
        If the file there is no table, or the new one would not be.
    """
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    data: dict[str, Any] = read_yaml(before, str(path))[0] if before.strip() else {"schema": 1, "ops": {}}
    if not isinstance(data, dict) or not isinstance(data.setdefault("ops", {}), dict):
        raise OvpartError(f"{path}: not a support table: name another file, or move this one away")
    by_key = {node.key: node for node in model.graph.nodes}
    added = []
    for culprit, where in culprits:
        node = by_key[culprit.key]
        entry = rule_of(model, node, culprit.words, versions.get("openvino", "an engine"))
        for device in _DEVICE.finditer(where.partition(":")[2] or where):
            rows = data["ops"].setdefault(node.op_id, {}).setdefault(device[0], [])
            if any(_same(entry, row) for row in rows):
                continue
            rows.insert(0, entry)
            added.append((node.op_id, device[0], entry))
    if added:
        _write(path, before, data)
    return added


def _same(entry: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether two entries say the same of the same nodes; how large the error was does not matter."""
    words = {"reason", "source", "hint"}
    return {k: v for k, v in entry.items() if k not in words} == {k: v for k, v in row.items() if k not in words}


def _write(path: Path, before: str, data: Mapping[str, Any]) -> None:
    """Write a table that is valid, or none at all."""
    import yaml

    path.parent.mkdir(parents=True, exist_ok=True)

    class Plainly(yaml.SafeDumper):
        """Writes what stands twice twice: tables have no anchors."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    text = _HEADER + yaml.dump(
        data, Dumper=Plainly, default_flow_style=None, sort_keys=False, width=1000, allow_unicode=True
    )
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".yaml")
    temporary = Path(name)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        load_table([temporary])
        if "#" in before.replace(_HEADER, ""):
            path.with_suffix(".yaml.bak").write_text(before, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
