"""Properties that openvino's CPU plugin takes without listing them among those it supports.

They are set here for the sake of right answers. A version that has dropped one has its own way; what is wrong then is
found by ``verify``, like anything else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ovpart.backend.openvino_attention import SNIPPETS
from ovpart.backend.openvino_precision import LOW_PRECISION

UNLISTED = frozenset({LOW_PRECISION, SNIPPETS})


def compile_as_known(
    core: Any, model: Any, device: str, properties: Mapping[str, object], config: Collection[str]
) -> Any:
    """Compile a model, without those of :data:`UNLISTED` that this openvino does not know.

    Parameters
    ----------
    core : openvino.Core
        What compiles.
    model : openvino.Model
        What is compiled.
    device : str
        The device.
    properties : mapping
        All properties.
    config : collection of str
        Those that the user has set: where one of them is not known, openvino's error stands.
    """
    try:
        return core.compile_model(model, device, dict(properties))
    except RuntimeError as error:
        dropped = {name for name in UNLISTED - set(config) if name in properties and name in str(error)}
        if not dropped:
            raise
    left = {name: value for name, value in properties.items() if name not in dropped}
    return compile_as_known(core, model, device, left, config)
