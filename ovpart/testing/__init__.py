"""What users import in their tests: op coverage, golden plans, the table as cases, the suite for backends.

Names are loaded on first use, since pytest imports this package wherever ovpart is installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ovpart.testing.golden import assert_same_plan
    from ovpart.testing.polygraphy_runner import OvpartRunner
    from ovpart.testing.support import assert_supported
    from ovpart.testing.table_cases import OpCase, op_cases

__all__ = ["OpCase", "OvpartRunner", "assert_same_plan", "assert_supported", "op_cases"]

_HOMES = {
    "OpCase": "ovpart.testing.table_cases",
    "OvpartRunner": "ovpart.testing.polygraphy_runner",
    "assert_same_plan": "ovpart.testing.golden",
    "assert_supported": "ovpart.testing.support",
    "op_cases": "ovpart.testing.table_cases",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        message = f"module 'ovpart.testing' has no attribute {name!r}"
        raise AttributeError(message)
    try:
        module = importlib.import_module(home)
    except ModuleNotFoundError as error:
        if error.name != "polygraphy":
            raise
        message = f"ovpart.testing.{name} needs Polygraphy, which is not installed: pip install ovpart[polygraphy]"
        raise ModuleNotFoundError(message, name="polygraphy") from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
