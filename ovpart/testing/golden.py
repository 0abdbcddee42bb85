"""Hold a model's plan to one that was looked at once and kept beside the tests."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovpart.errors import OptionError, PlanError
from ovpart.partition.plan import Plan
from ovpart.report.diff import plan_differences
from ovpart.testing.support import planned

if TYPE_CHECKING:
    import onnx

UPDATE_VARIABLE = "OVPART_UPDATE_PLANS"
"""Environment variable that, set to ``1``, has golden plans written anew; ``pytest --ovpart-update`` sets it."""
_HOW = f"If that is meant: pytest --ovpart-update, or {UPDATE_VARIABLE}=1, writes it anew"


def assert_same_plan(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto | Plan,
    golden: str | os.PathLike[str],
    device: str = "CPU",
    *,
    update: bool | None = None,
    **options: Any,
) -> Plan:
    """Fail where a model's plan is not the golden one any more, and say what moved.

    Neither openvino nor the device is needed, and nothing that ran before on the machine has a say.

    Parameters
    ----------
    model : path, bytes, onnx.ModelProto or Plan
        The model, or a plan of it.
    golden : path
        A file as :meth:`ovpart.Plan.save` writes it.
    device : str
        The device; not looked at where `model` is a plan.
    update : bool, optional
        Whether to write `golden` anew instead of comparing; by default what ``OVPART_UPDATE_PLANS`` says.
    **options
        Planning options. ``min_gain`` is 0 unless it is given.

    Returns
    -------
    Plan
        The plan as it is now.

    Raises
    ------
    AssertionError
        Where the plan differs, or there is no golden one yet.
    PlanError
        If the file is there but is no saved plan.
    """
    __tracebackhide__ = True
    if isinstance(model, Plan) and options:
        raise OptionError(f"{', '.join(sorted(options))}: options of planning have no effect on a plan that is made")
    plan = planned(model, device, options)
    path = Path(golden)
    if os.environ.get(UPDATE_VARIABLE, "") not in ("", "0") if update is None else update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(plan.to_json() + "\n", encoding="utf-8")
        return plan
    if not path.is_file():
        raise AssertionError(f"there is no golden plan {path} yet. {_HOW.removeprefix('If that is meant: ')}.")
    differences = plan_differences(read_saved(path), json.loads(plan.to_json()))
    if differences:
        rows = [f"{plan.model} on {plan.device} is planned otherwise than in {path}", *(f"  {d}" for d in differences)]
        raise AssertionError("\n".join([*rows, f"{_HOW}."]))
    return plan


def read_saved(path: Path) -> dict[str, Any]:
    """Read a saved plan without its model.

    Raises
    ------
    PlanError
        If it is none, or one of another format.
    """
    import jsonschema

    from ovpart.partition.saved import SCHEMA_VERSION, schema

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.validate(document, schema(), cls=jsonschema.Draft202012Validator)
    except (OSError, ValueError) as error:
        raise PlanError(f"{path} cannot be read as a saved plan: {error}. {_HOW}.") from error
    except jsonschema.ValidationError as error:
        raise PlanError(f"{path} is no saved plan: {error.json_path}: {error.message[:200]}. {_HOW}.") from error
    if document["ovpart_plan"] != SCHEMA_VERSION:
        raise PlanError(f"{path} has format {document['ovpart_plan']!r}; this version reads {SCHEMA_VERSION}. {_HOW}.")
    checked: dict[str, Any] = document
    return checked
