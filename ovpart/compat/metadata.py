"""What a model says of itself, as onnxruntime gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ovpart.model.graph import Model


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """The metadata of a model.

    Attributes
    ----------
    producer_name, graph_name, domain, description, graph_description : str
        As in the file; empty where it says nothing.
    version : int
        Of the model, as its maker counts: ``model_version`` of the file.
    custom_metadata_map : mapping of str to str
        ``metadata_props`` of the file.
    """

    producer_name: str
    graph_name: str
    domain: str
    description: str
    graph_description: str
    version: int
    custom_metadata_map: Mapping[str, str]


def metadata_of(model: Model) -> ModelMetadata:
    """Return the metadata of a model."""
    proto = model.proto
    return ModelMetadata(
        producer_name=proto.producer_name,
        graph_name=proto.graph.name,
        domain=proto.domain,
        description=proto.doc_string,
        graph_description=proto.graph.doc_string,
        version=proto.model_version,
        custom_metadata_map={entry.key: entry.value for entry in proto.metadata_props},
    )
