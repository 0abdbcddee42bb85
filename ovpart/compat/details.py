"""What tools ask of a session beyond its runs: where nodes and values are, tuning, dynamic options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ovpart.backend.onnxruntime import import_onnxruntime
from ovpart.compat.applied import RECORD
from ovpart.compat.errors import also
from ovpart.compat.priorities import CPU, OPENVINO
from ovpart.compat.values import OrtValue
from ovpart.compat.warn import warn
from ovpart.errors import OptionError
from ovpart.planning import DEVICE_ENGINE
from ovpart.session import Session


@dataclass(frozen=True, slots=True)
class EpAssignedNode:
    """A node that an execution provider has: ``domain``, ``op_type``, ``name`` as in the file."""

    domain: str
    op_type: str
    name: str


@dataclass(frozen=True, slots=True)
class EpAssignedSubgraph:
    """Nodes that an execution provider has as one: a cluster, or a node of onnxruntime's."""

    ep_name: str
    nodes: tuple[EpAssignedNode, ...]

    def get_nodes(self) -> list[EpAssignedNode]:
        """Return the nodes."""
        return list(self.nodes)


class SessionDetails:
    """Methods of onnxruntime's session that few programs call."""

    _session: Session
    _sess_options: Any

    def get_provider_graph_assignment_info(self) -> list[EpAssignedSubgraph]:
        """Return which provider has which nodes: a subgraph a cluster, and one for each node on onnxruntime.

        Raises
        ------
        OptionError
            Which is onnxruntime's ``Fail``, unless the session config entry for it is set.
        """
        if getattr(self._sess_options, "config_entries", {}).get(RECORD) != "1":
            from onnxruntime.capi import onnxruntime_pybind11_state as binding

            error = OptionError(f"Session configuration entry '{RECORD}' must be set to \"1\" to retrieve this")
            raise also(error, binding.Fail)
        plan = self._session.plan
        found: list[EpAssignedSubgraph] = []
        for cluster in plan.clusters:
            nodes = [plan.graph.nodes[index] for index in cluster.nodes]
            made = tuple(EpAssignedNode(node.domain, node.op_type, node.name) for node in nodes)
            if cluster.label.engine == DEVICE_ENGINE:
                found.append(EpAssignedSubgraph(OPENVINO, made))
            else:
                found.extend(EpAssignedSubgraph(CPU, (node,)) for node in made)
        return found

    def get_input_memory_infos(self) -> list[Any]:
        """Return where each input must lie: in the CPU's memory."""
        return [_cpu_memory() for _ in self._session.get_inputs()]

    def get_output_memory_infos(self) -> list[Any]:
        """Return where each output lies: in the CPU's memory."""
        return [_cpu_memory() for _ in self._session.get_outputs()]

    def get_input_epdevices(self) -> list[None]:
        """Return ``None`` for each input: no plugin provider has them."""
        return [None for _ in self._session.get_inputs()]

    def get_tuning_results(self) -> list[dict[str, Any]]:
        """Return nothing: no provider here has tunable operators."""
        return []

    def set_tuning_results(self, results: Sequence[Mapping[str, Any]], *, error_on_invalid: bool = False) -> None:
        """Warn: no provider here has tunable operators; raise where `error_on_invalid`.

        Raises
        ------
        OptionError
            Which is a ``RuntimeError``.
        """
        for result in results:
            words = f"Cannot find execution provider {result.get('ep')} with tunable operators"
            if error_on_invalid:
                raise also(OptionError(words), RuntimeError)
            warn(f"{words}: its tuning results have no effect")

    def set_ep_dynamic_options(self, options: Mapping[str, str]) -> None:
        """Warn: no engine here takes options while it runs."""
        for name, value in options.items():
            warn(f"the dynamic option {name}={value!r} has no effect")

    def release_captured_graph(self, graph_annotation_id: int = 0) -> None:
        """Return at once: nothing captures graphs on the CPU, and onnxruntime does nothing there either."""

    def create_ortvalue_from_shape_and_type(
        self, shape: Sequence[int], element_type: Any, device_type: str, device_id: int = 0, vendor_id: int = -1
    ) -> Any:
        """Return an ``OrtValue`` in the CPU's memory.

        Raises
        ------
        OptionError
            If another device's memory is asked for.
        """
        if device_type != "cpu":
            raise OptionError(f"device_type={device_type!r}: a session here has the CPU's memory only; pass 'cpu'")
        return OrtValue.ortvalue_from_shape_and_type(shape, element_type, "cpu", 0)


def _cpu_memory() -> Any:
    onnxruntime = import_onnxruntime()
    kinds = onnxruntime.OrtAllocatorType, onnxruntime.OrtMemType
    return onnxruntime.OrtMemoryInfo("Cpu", kinds[0].ORT_ARENA_ALLOCATOR, 0, kinds[1].DEFAULT)
