"""Cases of the operators of ai.onnx.ml."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ovpart.probe.case import Draft, tensor_of
from ovpart.probe.values import Maker


def array_feature_extractor(m: Maker) -> Iterator[Draft]:
    """Yield a case of ArrayFeatureExtractor."""
    yield Draft("plain", [m.x(m.n, 4), m.ints(0, 2)])


def simple(m: Maker) -> Iterator[Draft]:
    """Yield a case of an operator of one table of numbers."""
    attributes: Mapping[str, Mapping[str, Any]] = {
        "Binarizer": {"threshold": 0.5},
        "Normalizer": {"norm": "L2"},
        "Scaler": {"offset": [0.5, -0.5, 1.0, 0.0], "scale": [2.0, 0.5, 1.0, 3.0]},
        "OneHotEncoder": {"cats_int64s": [0, 1, 2], "zeros": 1},
        "LinearRegressor": {"coefficients": [0.5, -1.0, 2.0, 0.25], "intercepts": [0.1], "targets": 1},
        "FeatureVectorizer": {"inputdimensions": [4]},
    }
    name = m.op.rpartition(".")[2]
    given = attributes[name]
    if name == "OneHotEncoder":
        if m.dtype == "string":
            given = {"cats_strings": ["a", "A"], "zeros": 1}
        yield Draft("plain", [m.x(m.n, 4)], given)
        return
    yield Draft("plain", [m.x(m.n, 4)], given)
    if name == "Normalizer":
        for norm in ("L1", "MAX"):
            yield Draft(norm, [m.x(m.n, 4)], {"norm": norm})
    if name == "LinearRegressor":
        two = {"coefficients": [0.5, -1.0, 2.0, 0.25, 1, 2, 3, 4], "intercepts": [0.1, -0.1], "targets": 2}
        yield Draft("two targets", [m.x(m.n, 4)], two)


def linear_classifier(m: Maker) -> Iterator[Draft]:
    """Yield cases of LinearClassifier."""
    weights = {"coefficients": [0.5, -1.0, 2.0, 0.25, 0.3, -0.7], "intercepts": [0.1, -0.2, 0.3]}
    for post in ("NONE", "SOFTMAX", "LOGISTIC"):
        tag = "plain" if post == "NONE" else post
        yield Draft(tag, [m.x(m.n, 2)], {**weights, "classlabels_ints": [0, 1, 2], "post_transform": post}, outputs=2)
    yield Draft("words", [m.x(m.n, 2)], {**weights, "classlabels_strings": ["a", "b", "c"]}, outputs=2)


def imputer(m: Maker) -> Iterator[Draft]:
    """Yield a case of Imputer."""
    if m.dtype in ("i64", "i32"):
        yield Draft("plain", [m.x(m.n, 2)], {"imputed_value_int64s": [7, 8], "replaced_value_int64": 1})
    else:
        nan = m.array([[float("nan"), 1], [2, float("nan")]])
        yield Draft("plain", [nan], {"imputed_value_floats": [7.0, 8.0], "replaced_value_float": float("nan")})


def label_encoder(m: Maker) -> Iterator[Draft]:
    """Yield cases of LabelEncoder: from the type that is varied."""
    keys: dict[str, dict[str, Any]] = {
        "i64": {"keys_int64s": [0, 1, 2]},
        "f32": {"keys_floats": [0.0, 1.0, 2.0]},
        "string": {"keys_strings": ["a", "A", "7"]},
    }
    if m.version < 2:
        words = {"classes_strings": ["a", "A", "7"], "default_int64": 9, "default_string": "none"}
        yield Draft("plain", [m.x(m.n + 2, high=2)], words)
        return
    x = m.array([0, 1, 2, 5]) if m.dtype != "string" else m.x(m.n + 2)
    given = keys.get(m.dtype) or {"keys_tensor": tensor_of(m.array([0, 1, 2]), "k")}
    if "keys_tensor" in given:
        values = {"values_tensor": tensor_of(m.array([5, 6, 7]), "v"), "default_tensor": tensor_of(m.array([9]), "d")}
        yield Draft("plain", [x], {**given, **values})
        return
    yield Draft("plain", [x], {**given, "values_int64s": [5, 6, 7], "default_int64": 9})
    yield Draft("to f32", [x], {**given, "values_floats": [5.0, 6.0, 7.0], "default_float": 9.0})
    yield Draft("to words", [x], {**given, "values_strings": ["x", "y", "z"]})


def category_mapper(m: Maker) -> Iterator[Draft]:
    """Yield a case of CategoryMapper."""
    yield Draft("plain", [m.x(m.n)], {"cats_int64s": [0, 1, 2], "cats_strings": ["a", "A", "7"]})


def vector_machine(m: Maker) -> Iterator[Draft]:
    """Yield a case of the support vector machines."""
    shared = {"kernel_type": "RBF", "kernel_params": [0.5, 0.0, 3.0], "support_vectors": [1.0, 0.5, -1.0, 0.0]}
    if m.op.endswith("SVMRegressor"):
        given = {**shared, "n_supports": 2, "coefficients": [0.5, -0.5], "rho": [0.1]}
        yield Draft("plain", [m.x(m.n, 2)], given)
        return
    given = {
        **shared,
        "coefficients": [1.0, -1.0],
        "rho": [0.1],
        "vectors_per_class": [1, 1],
        "classlabels_ints": [0, 1],
    }
    yield Draft("plain", [m.x(m.n, 2)], given, outputs=2)


_TREE = {
    "nodes_treeids": [0, 0, 0], "nodes_nodeids": [0, 1, 2], "nodes_featureids": [0, 0, 0],
    "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"], "nodes_values": [0.5, 0.0, 0.0], "nodes_truenodeids": [1, 0, 0],
    "nodes_falsenodeids": [2, 0, 0],
}  # fmt: skip


def trees(m: Maker) -> Iterator[Draft]:
    """Yield a case of the tree ensembles of versions 1 and 3."""
    if m.op.endswith("Regressor"):
        leaves = {
            "target_treeids": [0, 0],
            "target_nodeids": [1, 2],
            "target_ids": [0, 0],
            "target_weights": [1.5, -2.0],
        }
        yield Draft("plain", [m.x(m.n, 2)], {**_TREE, **leaves, "n_targets": 1})
        return
    leaves = {
        "class_treeids": [0, 0], "class_nodeids": [1, 2], "class_ids": [0, 1], "class_weights": [1.0, 1.0],
        "classlabels_int64s": [0, 1],
    }  # fmt: skip
    yield Draft("plain", [m.x(m.n, 2)], {**_TREE, **leaves}, outputs=2)


def tree_ensemble(m: Maker) -> Iterator[Draft]:
    """Yield a case of TreeEnsemble."""
    import numpy as np

    tree: dict[str, Any] = {
        "n_targets": 1, "tree_roots": [0], "nodes_featureids": [0], "nodes_truenodeids": [0], "nodes_trueleafs": [1],
        "nodes_falsenodeids": [1], "nodes_falseleafs": [1], "leaf_targetids": [0, 0],
    }  # fmt: skip
    tree["nodes_modes"] = tensor_of(np.array([0], np.uint8), "modes")
    tree["nodes_splits"] = tensor_of(m.array([0.5]), "splits")
    tree["leaf_weights"] = tensor_of(m.array([1.5, -2]), "weights")
    yield Draft("plain", [m.x(m.n, 2)], tree)


def zip_map(m: Maker) -> Iterator[Draft]:
    """Yield a case of ZipMap."""
    yield Draft("plain", [m.of("f32", m.n, 3)], {"classlabels_int64s": [4, 5, 6]})


_ML = "ai.onnx.ml."

RECIPES: Mapping[str, Callable[[Maker], Iterator[Draft]]] = {
    **{f"{_ML}{name}": simple for name in (
        "Binarizer", "FeatureVectorizer", "LinearRegressor", "Normalizer", "OneHotEncoder", "Scaler",
    )},
    **{f"{_ML}{name}": trees for name in ("TreeEnsembleClassifier", "TreeEnsembleRegressor")},
    **{f"{_ML}{name}": vector_machine for name in ("SVMClassifier", "SVMRegressor")},
    f"{_ML}ArrayFeatureExtractor": array_feature_extractor,
    f"{_ML}CategoryMapper": category_mapper,
    f"{_ML}Imputer": imputer,
    f"{_ML}LabelEncoder": label_encoder,
    f"{_ML}LinearClassifier": linear_classifier,
    f"{_ML}TreeEnsemble": tree_ensemble,
    f"{_ML}ZipMap": zip_map,
}  # fmt: skip
"""Operator → its cases."""
