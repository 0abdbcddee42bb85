"""Language networks: encoders (BERT and its kin) here, GPT-2 and T5 in :mod:`benchmarks.topologies.decoders`.

Names that share an architecture differ as their originals do, in vocabulary, head and padding, and besides in opset
and exporter: each is a file of another form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.topologies import decoders
from benchmarks.topologies.exporting import export
from benchmarks.topologies.language_models import (
    HEADS,
    LARGEST_VOCABULARY,
    LENGTH,
    NARROWED,
    SHORTENED,
    WIDTH,
    built,
)
from benchmarks.topologies.topology import LANGUAGE, Array, Topology


@dataclass(frozen=True, slots=True)
class Encoder:
    """How an encoder is made: classes of transformers by name, and what its configuration changes."""

    name: str
    kind: str
    """Prefix of the classes: ``Bert`` has BertConfig and, with the head ``ForMaskedLM``, BertForMaskedLM."""
    head: str
    words: int
    opset: int
    outputs: tuple[str, ...]
    dynamo: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def vocabulary(self) -> int:
        """Return the number of words, cut where it is large."""
        return min(self.words, LARGEST_VOCABULARY)

    @property
    def note(self) -> str:
        """Return what differs from the original."""
        return SHORTENED if self.vocabulary < self.words else NARROWED


HIDDEN = ("last_hidden_state", "pooler_output")
LOGITS = ("logits",)
SPANS = ("start_logits", "end_logits")
ROBERTA: Mapping[str, object] = {"max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1}

ENCODERS = (
    Encoder("bert-base-cased", "Bert", "Model", 28_996, 14, HIDDEN),
    Encoder("bert-base-chinese", "Bert", "ForMaskedLM", 21_128, 18, LOGITS, dynamo=True),
    Encoder("bert-base-japanese-char", "Bert", "ForMaskedLM", 4_000, 13, LOGITS),
    Encoder("bert-base-multilingual-cased", "Bert", "Model", 119_547, 17, HIDDEN),
    Encoder("bert-base-uncased", "Bert", "ForTokenClassification", 30_522, 11, LOGITS, settings={"num_labels": 9}),
    Encoder("distilbert-base-cased", "DistilBert", "ForQuestionAnswering", 28_996, 18, SPANS, dynamo=True),
    Encoder("distilbert-base-multilingual-cased", "DistilBert", "Model", 119_547, 17, HIDDEN[:1]),
    Encoder("distilbert-base-uncased", "DistilBert", "ForMaskedLM", 30_522, 14, LOGITS),
    Encoder(
        "distilbert-base-uncased-finetuned-sst-2-english", "DistilBert", "ForSequenceClassification", 30_522, 11, LOGITS
    ),
    Encoder("roberta-base", "Roberta", "Model", 50_265, 14, HIDDEN, settings=ROBERTA),
    Encoder("roberta-base-squad2", "Roberta", "ForQuestionAnswering", 50_265, 17, SPANS, settings=ROBERTA),
    Encoder(
        "twitter-roberta-base-sentiment", "Roberta", "ForSequenceClassification", 50_265, 18, LOGITS, dynamo=True,
        settings={**ROBERTA, "num_labels": 3},
    ),
    Encoder("xlm-roberta-base", "XLMRoberta", "Model", 250_002, 14, HIDDEN, settings=ROBERTA),
)  # fmt: skip

SQUAD = ("unique_ids_raw_output___9:0", "segment_ids:0", "input_mask:0", "input_ids:0")
"""Inputs of the question answering network as TensorFlow's converter names them."""
SQUAD_WORDS, SQUAD_LENGTH = 30_522, 256


def _module(spec: Encoder) -> Any:
    sizes: dict[str, object] = (
        {"dim": WIDTH, "n_heads": HEADS, "hidden_dim": 4 * WIDTH}
        if spec.kind == "DistilBert"
        else {"hidden_size": WIDTH, "num_attention_heads": HEADS, "intermediate_size": 4 * WIDTH}
    )
    return built(spec.kind, spec.head, vocab_size=spec.vocabulary, **{**sizes, **spec.settings})


def _build(spec: Encoder, path: Path) -> None:
    import torch

    model = _module(spec)
    typed = spec.kind == "Bert"

    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            more = {"token_type_ids": token_type_ids} if typed else {}
            return tuple(self.model(input_ids, attention_mask=attention_mask, return_dict=False, **more))

    feeds = {name: torch.from_numpy(array) for name, array in _feeds(spec, 0).items()}
    axes = {name: {0: "batch", 1: "sequence"} for name in feeds}
    for name in spec.outputs:
        pooled = name == "pooler_output" or spec.head == "ForSequenceClassification"
        axes[name] = {0: "batch"} if pooled else {0: "batch", 1: "sequence"}
    export(
        Flat(), tuple(feeds.values()), path, opset=spec.opset, inputs=list(feeds), outputs=spec.outputs, dynamic=axes,
        dynamo=spec.dynamo,
    )  # fmt: skip


def _feeds(spec: Encoder, seed: int) -> dict[str, Array]:
    """Return two sequences, the second one padded; word ids begin at 5, behind the special ones."""
    generator = np.random.default_rng(seed)
    ids = generator.integers(5, spec.vocabulary, (2, LENGTH))
    mask = np.ones_like(ids)
    padded = LENGTH - 17 - seed % 5
    mask[1, padded:] = 0
    ids[1, padded:] = int(str(spec.settings.get("pad_token_id", 0)))
    types = (np.arange(LENGTH) >= LENGTH // 2).astype(np.int64) * mask
    feeds = {"input_ids": ids, "attention_mask": mask}
    return {**feeds, "token_type_ids": types} if spec.kind == "Bert" else feeds


def _build_squad(path: Path) -> None:
    """Write BERT for questions as TensorFlow does it: segments by a one-hot matrix product, ids passed through."""
    import torch

    model = built(
        "Bert", "ForQuestionAnswering", vocab_size=SQUAD_WORDS, hidden_size=WIDTH, num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
    )  # fmt: skip

    class OneHot(torch.nn.Module):
        def __init__(self, table: Any) -> None:
            super().__init__()
            self.table = table

        def forward(self, ids: Any) -> Any:
            picked = torch.nn.functional.one_hot(ids.reshape(-1), 2).to(torch.float32) @ self.table
            return picked.reshape(*ids.shape, WIDTH)

    class Squad(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            embeddings = model.bert.embeddings
            embeddings.token_type_embeddings = OneHot(embeddings.token_type_embeddings.weight)

        def forward(self, unique: Any, segments: Any, mask: Any, ids: Any) -> Any:
            start, end = self.model(ids, mask, segments, return_dict=False)
            return end, start, unique + 0

    feeds = {name: torch.from_numpy(array) for name, array in _squad_feeds(0).items()}
    outputs = ("unstack:1", "unstack:0", "unique_ids:0")
    batch = {name: {0: "unk__batch"} for name in (*feeds, *outputs)}
    export(Squad(), tuple(feeds.values()), path, opset=12, inputs=list(feeds), outputs=outputs, dynamic=batch)


def _squad_feeds(seed: int) -> dict[str, Array]:
    generator = np.random.default_rng(seed)
    words = 190 + seed % 40
    mask = (np.arange(SQUAD_LENGTH) < words).astype(np.int64)[None]
    segments = ((np.arange(SQUAD_LENGTH) > 20).astype(np.int64)[None]) * mask
    ids = generator.integers(5, SQUAD_WORDS, (1, SQUAD_LENGTH)) * mask
    return dict(zip(SQUAD, (np.array([seed], np.int64), segments, mask, ids), strict=True))


TOPOLOGIES = (
    Topology("bert-squad", LANGUAGE, _build_squad, _squad_feeds, NARROWED),
    *(Topology(spec.name, LANGUAGE, partial(_build, spec), partial(_feeds, spec), spec.note) for spec in ENCODERS),
    *decoders.TOPOLOGIES,
)
