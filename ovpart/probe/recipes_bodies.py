"""Cases of control flow, sequences, optionals and words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ovpart.model.types import dtype_number
from ovpart.probe.case import Draft, tensor_of
from ovpart.probe.values import Maker


def _info(name: str, dtype: str, rank: int | None = None) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, dtype_number(dtype), None if rank is None else [None] * rank)


def _graph(
    name: str, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any] | None = None
) -> Any:
    from onnx import helper

    return helper.make_graph(nodes, name, inputs, outputs, constants or [])


def if_(m: Maker) -> Iterator[Draft]:
    """Yield cases of If: branches that give constants, of one shape and of two."""

    def branch(name: str, value: Any) -> Any:
        from onnx import helper

        node = helper.make_node("Identity", [f"{name}_c"], [f"{name}_y"], name=f"{name}_node")
        return _graph(name, [node], [], [_info(f"{name}_y", m.dtype, value.ndim)], [tensor_of(value, f"{name}_c")])

    for tag, other in (("plain", m.x(3)), ("two shapes", m.x(4))):
        branches = {"then_branch": branch("then", m.x(3)), "else_branch": branch("else", other)}
        yield Draft(tag, [m.array([1], "bool")], branches)
        yield Draft(f"{tag}, else", [m.array([0], "bool")], branches)


def loop(m: Maker) -> Iterator[Draft]:
    """Yield cases of Loop: a value carried on, and one stacked."""
    from onnx import helper

    body = _graph(
        "body",
        [
            helper.make_node("Concat", ["carried", "carried"], ["twice"], axis=0, name="body_concat"),
            helper.make_node("Identity", ["go"], ["on"], name="body_go"),
            helper.make_node("Identity", ["carried"], ["seen"], name="body_seen"),
        ],
        [_info("turn", "i64", 0), _info("go", "bool", 0), _info("carried", m.dtype, 1)],
        [_info("on", "bool", 0), _info("twice", m.dtype, 1)],
    )
    same = _graph(
        "body",
        [
            helper.make_node("Identity", ["carried"], ["next"], name="body_next"),
            helper.make_node("Identity", ["go"], ["on"], name="body_go"),
            helper.make_node("Identity", ["carried"], ["seen"], name="body_seen"),
        ],
        [_info("turn", "i64", 0), _info("go", "bool", 0), _info("carried", m.dtype, 1)],
        [_info("on", "bool", 0), _info("next", m.dtype, 1), _info("seen", m.dtype, 1)],
    )
    del body.node[2]
    yield Draft("plain", [m.array(3, "i64"), m.array(1, "bool"), m.x(2)], {"body": same}, outputs=2)
    yield Draft("growing", [m.array(2, "i64"), m.array(1, "bool"), m.x(2)], {"body": body}, outputs=1)
    yield Draft("never", [m.array(0, "i64"), m.array(1, "bool"), m.x(2)], {"body": same}, outputs=2)


def scan(m: Maker) -> Iterator[Draft]:
    """Yield a case of Scan: a state carried on and rows handed through."""
    from onnx import helper

    body = _graph(
        "body",
        [
            helper.make_node("Identity", ["row"], ["kept"], name="body_kept"),
            helper.make_node("Identity", ["row"], ["given"], name="body_given"),
        ],
        [_info("state", m.dtype, 1), _info("row", m.dtype, 1)],
        [_info("kept", m.dtype, 1), _info("given", m.dtype, 1)],
    )
    if m.version < 9:
        yield Draft("plain", [None, m.x(1, 3), m.x(1, m.n, 3)], {"body": body, "num_scan_inputs": 1}, outputs=2)
        return
    yield Draft("plain", [m.x(3), m.x(m.n, 3)], {"body": body, "num_scan_inputs": 1}, outputs=2, runtime=frozenset({1}))


def sequence(m: Maker) -> Iterator[Draft]:
    """Yield a case of an operator on sequences."""
    many = [m.x(2, 3), m.x(2, 3)]
    position = m.array(1, "i64")
    drafts = {
        "SequenceConstruct": Draft("plain", [m.x(2, 3), m.x(2, 3)]),
        "SequenceLength": Draft("plain", [many]),
        "SequenceAt": Draft("plain", [many, position]),
        "SequenceErase": Draft("plain", [many, position]),
        "SequenceInsert": Draft("plain", [many, m.x(2, 3)]),
        "ConcatFromSequence": Draft("plain", [many], {"axis": 0}),
        "SplitToSequence": Draft("plain", [m.x(4, 3), m.ints(1, 3)]),
        "SequenceEmpty": Draft("plain", [], {"dtype": dtype_number(m.dtype)}),
    }
    if m.op == "SequenceMap":
        from onnx import helper

        body = _graph(
            "body", [helper.make_node("Identity", ["one"], ["same"], name="body_same")], [_info("one", m.dtype)],
            [_info("same", m.dtype)],
        )  # fmt: skip
        yield Draft("plain", [many], {"body": body})
        return
    yield drafts[m.op]


def optional(m: Maker) -> Iterator[Draft]:
    """Yield a case of an operator on optionals: a tensor is one as well, since version 18."""
    if m.op == "Optional" or m.version >= 18:
        yield Draft("plain", [m.x(m.n, 3)])
    else:
        yield Draft("plain", [(m.x(2, 3),)])


def words(m: Maker) -> Iterator[Draft]:
    """Yield a case of an operator on strings."""
    drafts = {
        "StringConcat": Draft("plain", [m.of("string", m.n), m.of("string", m.n)]),
        "StringNormalizer": Draft("plain", [m.of("string", m.n + 2)], {"case_change_action": "LOWER"}),
        "StringSplit": Draft("plain", [m.of("string", m.n)], {"delimiter": " "}, outputs=2),
        "RegexFullMatch": Draft("plain", [m.of("string", m.n)], {"pattern": "[a-z]+"}),
    }
    yield drafts[m.op]


def tf_idf(m: Maker) -> Iterator[Draft]:
    """Yield a case of TfIdfVectorizer."""
    pool = {"pool_strings": ["a", "A"]} if m.dtype == "string" else {"pool_int64s": [1, 2]}
    counts = {"mode": "TF", "min_gram_length": 1, "max_gram_length": 1, "max_skip_count": 0}
    yield Draft("plain", [m.x(m.n + 3)], {**counts, "ngram_counts": [0], "ngram_indexes": [0, 1], **pool})


def decoded(m: Maker) -> Iterator[Draft]:
    """Yield a case of ImageDecoder: a bitmap of one dot."""
    import numpy as np

    header = b"BM" + (58).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    info = (
        b"".join(n.to_bytes(4, "little") for n in (40, 1, 1)) + (1).to_bytes(2, "little") + (24).to_bytes(2, "little")
    )
    dot = header + info + bytes(24) + b"\x10\x20\x30\x00"
    yield Draft("plain", [np.frombuffer(dot, np.uint8).copy()], {"pixel_format": "RGB"})


def trained(m: Maker) -> Iterator[Draft]:
    """Yield a case of an optimiser's step."""
    rate, turn = m.array(0.1), m.array(0, "i64")
    name = m.op.rpartition(".")[2]
    if name == "Adagrad":
        yield Draft("plain", [rate, turn, m.x(3), m.x(3), abs(m.x(3))], outputs=2)
    elif name == "Adam":
        yield Draft("plain", [rate, turn, m.x(3), m.x(3), m.x(3), abs(m.x(3))], outputs=3)
    else:
        attributes = {"alpha": 0.9, "beta": 0.5, "mode": "standard", "norm_coefficient": 0.01}
        yield Draft("plain", [rate, turn, m.x(3), m.x(3), m.x(3)], attributes, outputs=2)


def flexible(m: Maker) -> Iterator[Draft]:
    """Yield a case of FlexAttention."""
    qkv = [m.x(m.n, 2, length, 8, low=-1, high=1) for length in (4, 6, 6)]
    yield Draft("plain", qkv, runtime=frozenset({1, 2}))


_TRAINING = "ai.onnx.preview.training"

RECIPES: Mapping[str, Callable[[Maker], Iterator[Draft]]] = {
    **dict.fromkeys(
        (
            "ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert",
            "SequenceLength", "SequenceMap", "SplitToSequence",
        ),
        sequence,
    ),
    **dict.fromkeys(("Optional", "OptionalGetElement", "OptionalHasElement"), optional),
    **dict.fromkeys(("RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit"), words),
    **dict.fromkeys((f"{_TRAINING}.Adagrad", f"{_TRAINING}.Adam", f"{_TRAINING}.Momentum"), trained),
    "If": if_,
    "ImageDecoder": decoded,
    "Loop": loop,
    "Scan": scan,
    "TfIdfVectorizer": tf_idf,
    "ai.onnx.preview.FlexAttention": flexible,
}  # fmt: skip
"""Operator → its cases."""
