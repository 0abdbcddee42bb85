"""What the table says of cases: thousands at once, as nodes of a few models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ovpart.capability.check import check
from ovpart.errors import ModelError
from ovpart.model.read import read_model
from ovpart.probe.case import NAN, WIDE32, Case, Key, model_of

if TYPE_CHECKING:
    import onnx

    from ovpart.capability.table import Table
    from ovpart.capability.verdict import Verdict

_AT_ONCE = 500


def semantics_of(kind: str) -> str:
    """Return the semantics under which the table must be right about a kind of values."""
    return "ieee" if kind in (NAN, WIDE32) else "fast"


def ask(cases: Iterable[Case], device: str, table: Table, semantics: str | None = None) -> dict[Key, Verdict]:
    """Ask a table about cases.

    Parameters
    ----------
    cases : iterable of Case
        Cases that ONNX itself refuses have no verdict.
    device : str
        The device.
    table : Table
        The table.
    semantics : str, optional
        By default what each case's kind asks for.
    """
    found: dict[Key, Verdict] = {}

    def group(case: Case) -> tuple[str, int, str]:
        return case.domain, case.opset, semantics or semantics_of(case.kind)

    for (_, _, how), alike in groupby(sorted(cases, key=group), key=group):
        many = list(alike)
        for start in range(0, len(many), _AT_ONCE):  # itertools.batched needs Python 3.12
            found.update(_together(many[start : start + _AT_ONCE], device, table, how))
    return found


def ask_models(
    models: Mapping[Key, onnx.ModelProto], device: str, table: Table, semantics: str = "fast"
) -> dict[Key, Verdict]:
    """Ask a table about models of one node; those that are refused have no verdict."""
    found: dict[Key, Verdict] = {}
    for key, proto in models.items():
        try:
            model = read_model(proto)
        except ModelError:
            continue
        graph = model.graph
        verdicts = check(model, device, table, semantics=semantics)
        live = [v for n, v in zip(graph.nodes, verdicts, strict=True) if n.index not in (graph.constant | graph.dead)]
        if len(live) == 1:
            found[key] = live[0]
    return found


def _together(cases: Sequence[Case], device: str, table: Table, semantics: str) -> Iterator[tuple[Key, Verdict]]:
    """Ask about cases of one domain and opset as one model; halve it where the model is refused."""
    nodes, infos, constants, results = [], [], [], []
    for number, case in enumerate(cases):
        node, mine, fixed, made = case.parts(f"c{number}_")
        nodes.append(node)
        infos += mine
        constants += fixed
        results += made
    try:
        model = read_model(model_of(nodes, infos, constants, results, cases[0].domain, cases[0].opset))
    except ModelError:
        if len(cases) > 1:
            middle = len(cases) // 2
            yield from _together(cases[:middle], device, table, semantics)
            yield from _together(cases[middle:], device, table, semantics)
        return
    verdicts = check(model, device, table, semantics=semantics)
    by_name = {node.proto.name: verdict for node, verdict in zip(model.graph.nodes, verdicts, strict=True)}
    for number, case in enumerate(cases):
        if (verdict := by_name.get(f"c{number}_node")) is not None:
            yield case.key, verdict
