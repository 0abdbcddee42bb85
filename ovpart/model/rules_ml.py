"""Inference rules for ai.onnx.ml: shapes as onnxruntime's kernels give them (1.31, ``core/providers/cpu/ml``).

Where a batch is asked for, an input of one dimension is one row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from ovpart.model.rules import Case, Rule, like, same, tensor
from ovpart.model.types import UNKNOWN, Dim, ValueType


def _rows(case: Case) -> Dim:
    shape = case.shape(0)
    return None if shape is None else 1 if len(shape) < 2 else shape[0]


def _floats(case: Case) -> Sequence[ValueType]:
    """Scaler, Normalizer: f32 of the input's shape."""
    return [like(case, dtype="f32")]


def _label_dtype(case: Case) -> str:
    return "string" if case.count("classlabels_strings") else "i64"


def _label_encoder(case: Case) -> Sequence[ValueType]:
    for name, dtype in (("values_strings", "string"), ("values_int64s", "i64"), ("values_floats", "f32"),
                        ("values_int16s", "i16")):  # fmt: skip
        if name in case.attributes:
            return [like(case, dtype=dtype)]
    table = case.attributes.get("values_tensor")
    if table is not None:
        return [like(case, dtype=_dtype_of(table))]
    # LabelEncoder-1: strings become numbers, numbers strings.
    return [like(case, dtype={"string": "i64", "i64": "string"}.get(case.dtype(0) or ""))]


def _dtype_of(held: object) -> str | None:
    from ovpart.model.types import dtype_name

    return dtype_name(getattr(held, "data_type", 0))


def _classes(case: Case) -> int:
    return max(case.count("classlabels_strings"), case.count("classlabels_int64s"), case.count("classlabels_ints"))


def _linear_classifier(case: Case) -> Sequence[ValueType]:
    columns: Dim = case.count("intercepts") or None
    if columns == 1:
        columns = 2 if _classes(case) == 2 else None
    return [tensor(_label_dtype(case), [_rows(case)]), tensor("f32", [_rows(case), columns])]


def _tree_classifier(case: Case) -> Sequence[ValueType]:
    return [tensor(_label_dtype(case), [_rows(case)]), tensor("f32", [_rows(case), _classes(case) or None])]


def _svm_classifier(case: Case) -> Sequence[ValueType]:
    """Scores of classes, or of pairs of classes, by settings that interact: their number is left open."""
    columns: Dim = _classes(case) if case.count("prob_a") else None
    return [tensor(_label_dtype(case), [_rows(case)]), tensor("f32", [_rows(case), columns or None])]


def _regressor(attribute: str) -> Rule:
    def rule(case: Case) -> Sequence[ValueType]:
        return [tensor("f32", [_rows(case), case.integer(attribute, 1)])]

    return rule


def _tree_ensemble(case: Case) -> Sequence[ValueType]:
    return [tensor(case.dtype(0), [_rows(case), case.integer("n_targets") or None])]


def _one_hot(case: Case) -> Sequence[ValueType]:
    shape = case.shape(0)
    width = case.count("cats_int64s") or case.count("cats_strings")
    return [tensor("f32", None if shape is None else [*shape, width])]


def _feature_vectorizer(case: Case) -> Sequence[ValueType]:
    sizes = case.integers("inputdimensions")
    return [tensor("f32", [_rows(case), sum(sizes) if sizes else None])]


def _extractor(case: Case) -> Sequence[ValueType]:
    shape, picks = case.shape(0), case.shape(1)
    if shape is None:
        return [tensor(case.dtype(0), None)]
    count: Dim = None
    if picks is not None and all(isinstance(d, int) for d in picks):
        count = 1
        for d in picks:
            count *= d if isinstance(d, int) else 1
    if len(shape) == 1:
        return [tensor(case.dtype(0), [1, count])]
    return [tensor(case.dtype(0), [*shape[:-1], count])]


def _category_mapper(case: Case) -> Sequence[ValueType]:
    return [like(case, dtype={"string": "i64", "i64": "string"}.get(case.dtype(0) or ""))]


def _cast_map(case: Case) -> Sequence[ValueType]:
    dtype = {"TO_FLOAT": "f32", "TO_STRING": "string", "TO_INT64": "i64"}.get(case.text("cast_to", "TO_FLOAT"))
    width = case.integer("max_map", 1) if case.text("map_form", "DENSE") == "SPARSE" else None
    return [tensor(dtype, [1, width])]


def _dict_vectorizer(case: Case) -> Sequence[ValueType]:
    width = case.count("string_vocabulary") or case.count("int64_vocabulary")
    return [tensor(_map_value(case.type(0)), [1, width or None])]


def _map_value(known: ValueType) -> str | None:
    """Return the element type of a map's values."""
    if known.kind != "map" or not known.encoded:
        return None
    import onnx

    from ovpart.model.types import dtype_name

    inner = onnx.TypeProto.FromString(known.encoded).map_type.value_type
    return dtype_name(inner.tensor_type.elem_type)


@cache
def _sequence_of_maps(key: str) -> ValueType:
    """Return sequence(map(key, f32)): what ZipMap gives."""
    import onnx

    from ovpart.model.types import dtype_number

    proto = onnx.TypeProto()
    inner = proto.sequence_type.elem_type.map_type
    inner.key_type = dtype_number(key)
    inner.value_type.tensor_type.elem_type = dtype_number("f32")
    # onnxruntime gives the values of the map no dims.
    inner.value_type.tensor_type.shape.SetInParent()
    return ValueType("sequence", None, None, proto.SerializeToString())


def _zip_map(case: Case) -> Sequence[ValueType]:
    if not _classes(case):
        return [UNKNOWN]
    return [_sequence_of_maps(_label_dtype(case))]


RULES: Mapping[str, Rule] = {
    "ArrayFeatureExtractor": _extractor,
    "Binarizer": same,
    "CastMap": _cast_map,
    "CategoryMapper": _category_mapper,
    "DictVectorizer": _dict_vectorizer,
    "FeatureVectorizer": _feature_vectorizer,
    "Imputer": same,
    "LabelEncoder": _label_encoder,
    "LinearClassifier": _linear_classifier,
    "LinearRegressor": _regressor("targets"),
    "Normalizer": _floats,
    "OneHotEncoder": _one_hot,
    "SVMClassifier": _svm_classifier,
    "SVMRegressor": lambda case: [tensor("f32", [_rows(case), 1])],
    "Scaler": _floats,
    "TreeEnsemble": _tree_ensemble,
    "TreeEnsembleClassifier": _tree_classifier,
    "TreeEnsembleRegressor": _regressor("n_targets"),
    "ZipMap": _zip_map,
}
"""Rules by operator of ai.onnx.ml."""
