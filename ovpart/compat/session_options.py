"""Session options that can be read.

onnxruntime's own class takes overrides, initializers, libraries and config entries, and tells none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ovpart.backend.onnxruntime import import_onnxruntime

_Base: Any = import_onnxruntime().SessionOptions


class SessionOptions(_Base):  # type: ignore[misc]  # onnxruntime gives no types
    """onnxruntime's ``SessionOptions``, which it is, with a record of what was added to it.

    Attributes
    ----------
    free_dimensions, denotations : dict of str to int
        Sizes of symbolic dimensions, by symbol and by denotation.
    initializers : dict of str to OrtValue
        Values that take the place of initializers of the model.
    files : dict of str to bytes
        Contents of external data files, by their location in the model.
    custom_op_libraries : list of str
        Paths.
    config_entries : dict of str to str
        Session config entries.
    device_requests : list of str
        Calls that ask for execution providers or devices, as text.
    """

    def __init__(self) -> None:
        super().__init__()
        self.free_dimensions: dict[str, int] = {}
        self.denotations: dict[str, int] = {}
        self.initializers: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.custom_op_libraries: list[str] = []
        self.config_entries: dict[str, str] = {}
        self.device_requests: list[str] = []

    def add_free_dimension_override_by_name(self, name: str, size: int) -> None:
        """Give a symbolic dimension a size."""
        super().add_free_dimension_override_by_name(name, size)
        self.free_dimensions[name] = size

    def add_free_dimension_override_by_denotation(self, denotation: str, size: int) -> None:
        """Give the dimensions of a denotation a size."""
        super().add_free_dimension_override_by_denotation(denotation, size)
        self.denotations[denotation] = size

    def add_initializer(self, name: str, value: Any) -> None:
        """Put a value in the place of an initializer; it is copied."""
        super().add_initializer(name, value)
        self.initializers[name] = value

    def add_external_initializers(self, names: Sequence[str], values: Sequence[Any]) -> None:
        """Put values in the place of initializers whose data lies outside of the model; they are copied."""
        super().add_external_initializers(names, values)
        self.initializers.update(zip(names, values, strict=True))

    def add_external_initializers_from_files_in_memory(
        self, names: Sequence[str], buffers: Sequence[bytes], lengths: Sequence[int]
    ) -> None:
        """Give the contents of external data files."""
        if hasattr(_Base, "add_external_initializers_from_files_in_memory"):  # not in onnxruntime 1.20
            super().add_external_initializers_from_files_in_memory(names, buffers, lengths)
        for name, buffer, length in zip(names, buffers, lengths, strict=True):
            self.files[name] = bytes(memoryview(buffer)[:length])

    def register_custom_ops_library(self, path: str) -> None:
        """Load a library of operators."""
        super().register_custom_ops_library(path)
        self.custom_op_libraries.append(path)

    def add_session_config_entry(self, key: str, value: str) -> None:
        """Set a config entry."""
        super().add_session_config_entry(key, value)
        self.config_entries[key] = value

    def add_provider(self, name: str, options: dict[str, str]) -> None:
        """Note a request for a provider, which a session here takes from its own arguments only."""
        self.device_requests.append(f"add_provider({name!r}, {options!r})")

    def add_provider_for_devices(self, devices: Sequence[Any], options: dict[str, str]) -> None:
        """Note a request for devices, which a session here takes from its own arguments only."""
        self.device_requests.append(f"add_provider_for_devices({devices!r}, {options!r})")

    def set_provider_selection_policy(self, policy: Any) -> None:
        """Note a request for a kind of device, which a session here takes from its own arguments only."""
        self.device_requests.append(f"set_provider_selection_policy({policy})")

    def set_provider_selection_policy_delegate(self, delegate: Any) -> None:
        """Note a request for a choice of devices, which a session here takes from its own arguments only."""
        self.device_requests.append(f"set_provider_selection_policy_delegate({delegate!r})")
