"""An openvino that has dropped a property still compiles."""

from __future__ import annotations

import pytest

from ovpart.backend.openvino_attention import SNIPPETS
from ovpart.backend.openvino_precision import LOW_PRECISION
from ovpart.backend.openvino_unlisted import compile_as_known

EXACT = {LOW_PRECISION: "NO", SNIPPETS: "DISABLE", "NUM_STREAMS": "1"}


class Core:
    """Stands for an openvino that does not know some properties."""

    def __init__(self, *unknown: str) -> None:
        self.unknown = unknown
        self.asked: list[dict[str, object]] = []

    def compile_model(self, model: object, device: str, options: dict[str, object]) -> str:
        self.asked.append(options)
        for name in self.unknown:
            if name in options:
                raise RuntimeError(f"NotFound: Unsupported property {name} by CPU plugin.")
        return "compiled"


@pytest.mark.parametrize("unknown", [(LOW_PRECISION,), (SNIPPETS,), (LOW_PRECISION, SNIPPETS)])
def test_an_openvino_without_the_property_compiles_without_it(unknown):
    core = Core(*unknown)
    assert compile_as_known(core, None, "CPU", EXACT, ()) == "compiled"
    assert core.asked[-1] == {name: value for name, value in EXACT.items() if name not in unknown}


def test_other_refusals_are_raised_at_once():
    core = Core("NUM_STREAMS")
    with pytest.raises(RuntimeError, match="NUM_STREAMS"):
        compile_as_known(core, None, "CPU", EXACT, ())
    assert len(core.asked) == 1


def test_what_the_user_has_set_is_not_dropped():
    with pytest.raises(RuntimeError, match=SNIPPETS):
        compile_as_known(Core(SNIPPETS), None, "CPU", EXACT, {SNIPPETS})
