"""Rules for ai.onnx.ml, each against what onnxruntime computes."""

from __future__ import annotations

import numpy as np
import pytest

from ovpart.model.read import read_model
from tests.model.single import agrees, one_node, run

RNG = np.random.default_rng(0)
TREE = {
    "nodes_treeids": [0, 0, 0],
    "nodes_nodeids": [0, 1, 2],
    "nodes_featureids": [0, 0, 0],
    "nodes_values": [0.5, 0.0, 0.0],
    "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
    "nodes_truenodeids": [1, 0, 0],
    "nodes_falsenodeids": [2, 0, 0],
    "nodes_hitrates": [1.0, 1.0, 1.0],
    "nodes_missing_value_tracks_true": [0, 0, 0],
}
CLASSES = {"class_treeids": [0, 0], "class_nodeids": [1, 2], "class_weights": [1.0, 2.0]}
KERNEL = {"kernel_type": "LINEAR", "kernel_params": [0.1, 0.0, 3.0]}


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*shape):
    return np.zeros(shape, np.int64)


def texts(*shape):
    return np.full(shape, "a", object)


CASES = [
    ("Scaler", [floats(3, 4)], 1, {"offset": [0.0] * 4, "scale": [1.0] * 4}),
    ("Scaler", [ints(3, 4)], 1, {"offset": [0.0] * 4, "scale": [1.0] * 4}),
    ("Normalizer", [floats(3, 4)], 1, {"norm": "L2"}),
    ("Imputer", [floats(3, 4)], 1, {"imputed_value_floats": [1.0]}),
    ("Imputer", [ints(3, 4)], 1, {"imputed_value_int64s": [1], "replaced_value_int64": 0}),
    ("Binarizer", [floats(3, 4)], 1, {"threshold": 0.5}),
    ("LabelEncoder", [texts(5)], 1, {"keys_strings": ["a"], "values_int64s": [3]}),
    ("LabelEncoder", [ints(5, 2)], 1, {"keys_int64s": [1], "values_floats": [3.0]}),
    ("LabelEncoder", [ints(5, 2)], 1, {"keys_int64s": [1], "values_strings": ["b"]}),
    ("OneHotEncoder", [ints(5)], 1, {"cats_int64s": [0, 1, 2]}),
    ("OneHotEncoder", [texts(5, 1)], 1, {"cats_strings": ["a", "b"]}),
    ("FeatureVectorizer", [floats(3, 2), floats(3, 1)], 1, {"inputdimensions": [2, 1]}),
    ("ArrayFeatureExtractor", [floats(3, 4), ints(2)], 1, {}),
    ("ArrayFeatureExtractor", [floats(4), ints(1, 2)], 1, {}),
    ("CategoryMapper", [texts(3)], 1, {"cats_int64s": [1], "cats_strings": ["a"]}),
    ("CategoryMapper", [ints(3, 2)], 1, {"cats_int64s": [1], "cats_strings": ["a"]}),
    ("LinearRegressor", [floats(3, 4)], 1, {"coefficients": [1.0] * 8, "intercepts": [0.0] * 2, "targets": 2}),
    ("LinearRegressor", [floats(3, 4)], 1, {"coefficients": [1.0] * 4, "intercepts": [0.0]}),
    (
        "LinearClassifier",
        [floats(3, 2)],
        2,
        {"coefficients": [1.0] * 6, "intercepts": [0.0] * 3, "classlabels_ints": [0, 1, 2]},
    ),
    (
        "LinearClassifier",
        [floats(3, 2)],
        2,
        {"coefficients": [1.0] * 2, "intercepts": [0.0], "classlabels_ints": [0, 1]},
    ),
    (
        "LinearClassifier",
        [floats(3, 2)],
        2,
        {"coefficients": [1.0] * 4, "intercepts": [0.0] * 2, "classlabels_strings": ["a", "b"]},
    ),
    (
        "SVMRegressor",
        [floats(3, 2)],
        1,
        {"coefficients": [1.0], "support_vectors": [1.0, 2.0], "n_supports": 1, "rho": [0.5], **KERNEL},
    ),
    (
        "SVMClassifier",
        [floats(3, 2)],
        2,
        {
            "coefficients": [1.0, -1.0],
            "support_vectors": [1.0, 2.0, 0.0, 1.0],
            "vectors_per_class": [1, 1],
            "rho": [0.5],
            "classlabels_ints": [0, 1],
            **KERNEL,
        },
    ),
    (
        "SVMClassifier",
        [floats(3, 2)],
        2,
        {
            "coefficients": [1.0, -1.0, 1.0, -1.0, 0.5, 0.5],
            "support_vectors": [1.0, 2.0, 0.0, 1.0, 3.0, 3.0],
            "vectors_per_class": [1, 1, 1],
            "rho": [0.5, 0.1, 0.2],
            "classlabels_strings": ["a", "b", "c"],
            "prob_a": [0.1] * 3,
            "prob_b": [0.1] * 3,
            **KERNEL,
        },
    ),
    (
        "TreeEnsembleRegressor",
        [floats(3, 2)],
        1,
        {
            "n_targets": 2,
            "target_treeids": [0, 0],
            "target_nodeids": [1, 2],
            "target_ids": [0, 1],
            "target_weights": [1.0, 2.0],
            **TREE,
        },
    ),
    (
        "TreeEnsembleClassifier",
        [floats(3, 2)],
        2,
        {"class_ids": [0, 1], "classlabels_int64s": [0, 1], **CLASSES, **TREE},
    ),
    (
        "TreeEnsembleClassifier",
        [floats(3, 2)],
        2,
        {"class_ids": [0, 0], "classlabels_strings": ["a", "b"], "post_transform": "LOGISTIC", **CLASSES, **TREE},
    ),
    (
        "TreeEnsembleClassifier",
        [floats(3, 2)],
        2,
        {"class_ids": [0, 2], "classlabels_strings": ["a", "b", "c"], **CLASSES, **TREE},
    ),
    ("ZipMap", [floats(3, 2)], 1, {"classlabels_int64s": [0, 1]}),
    ("ZipMap", [floats(3, 2)], 1, {"classlabels_strings": ["a", "b"]}),
]


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_inferred_types_hold_for_what_onnxruntime_computes(case, dynamic):
    op_type, inputs, outputs, attributes = case
    results = run(one_node(op_type, "ai.onnx.ml", inputs, outputs=outputs, **attributes), inputs)
    graph = read_model(one_node(op_type, "ai.onnx.ml", inputs, outputs=outputs, dynamic=dynamic, **attributes)).graph
    for name, result in zip(graph.outputs, results, strict=True):
        assert agrees(graph.type_of(name), result), f"{name}: {graph.type_of(name)}, computed {np.shape(result)}"


def test_first_label_encoder_turns_text_into_numbers_and_back():
    opsets = (("", 9), ("ai.onnx.ml", 1))
    for array, dtype in ((texts(5), "i64"), (ints(5), "string")):
        graph = read_model(one_node("LabelEncoder", "ai.onnx.ml", [array], opsets=opsets, classes_strings=["a"])).graph
        assert str(graph.type_of("o0")) == f"{dtype}[5]"


def test_zip_map_is_a_sequence_that_a_cut_can_declare():
    import onnx

    graph = read_model(one_node("ZipMap", "ai.onnx.ml", [floats(3, 2)], classlabels_int64s=[0, 1])).graph
    proto = onnx.TypeProto.FromString(graph.type_of("o0").encoded)
    assert proto.sequence_type.elem_type.map_type.key_type == onnx.TensorProto.INT64
