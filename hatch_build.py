"""Build hook: puts the parsed form of the support table beside the table in the wheel, so that no start parses YAML."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ParsedTable(BuildHookInterface):  # type: ignore[misc]  # hatchling has no type information in a plain checkout
    """Writes ``ovpart/capability/op_support.parsed.json`` into wheels; an editable install reads the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Parse and check the table, and add the parsed form to what the wheel includes."""
        if self.target_name != "wheel" or version == "editable":
            return
        root = Path(self.root)
        sys.path.insert(0, str(root))
        try:
            from ovpart.capability.table import PARSED, SHIPPED, write_parsed
        finally:
            sys.path.remove(str(root))
        self.folder = tempfile.mkdtemp()
        target = Path(self.folder) / PARSED
        write_parsed(root / SHIPPED, target)
        build_data["force_include"][str(target)] = f"ovpart/capability/{PARSED}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what `initialize` wrote."""
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)
