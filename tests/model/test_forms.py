"""The table of contrib operators is what onnxruntime registers."""

from __future__ import annotations

import pytest

from ovpart.model.forms import form_of, names_of

TABLE_IS_OF = "1.31"


def registered():
    import onnxruntime.capi.onnxruntime_pybind11_state as state

    schemas = getattr(state, "get_all_operator_schema", list)()
    return [s for s in schemas if s.domain == "com.microsoft" and s.name != "SampleOp"]


def test_every_contrib_operator_of_the_installed_onnxruntime_has_its_form():
    import onnxruntime

    if not onnxruntime.__version__.startswith(TABLE_IS_OF):
        pytest.skip(f"the table is of onnxruntime {TABLE_IS_OF}, installed is {onnxruntime.__version__}")
    schemas = registered()
    if not schemas:
        pytest.skip("this build of onnxruntime does not show its schemas")
    for schema in schemas:
        form = form_of(schema.name, "com.microsoft", schema.since_version)
        assert form is not None, schema.name
        assert [f.name for f in form.inputs] == [f.name for f in schema.inputs]
        assert [f.name for f in form.outputs] == [f.name for f in schema.outputs]
        assert (form.min_inputs, form.min_outputs) == (schema.min_input, schema.min_output)
        assert set(form.attributes) == set(schema.attributes)
        assert {n for n, a in form.attributes.items() if a.required} == {
            n for n, a in schema.attributes.items() if a.required
        }


def test_defaults_of_the_table_are_plain_values():
    layer_norm = form_of("SkipLayerNormalization", "com.microsoft", 1)
    assert layer_norm.attributes["epsilon"].default == pytest.approx(1e-12)
    assert form_of("Attention", "com.microsoft", 1).attributes["num_heads"].required
    assert form_of("NhwcMaxPool", "com.microsoft", 1).attributes["auto_pad"].default == "NOTSET"


def test_formal_names_are_repeated_for_variadic_values_and_empty_beyond_the_form():
    concat = form_of("QLinearConcat", "com.microsoft", 1)
    assert names_of(concat.inputs, 5) == ("Y_scale", "Y_zero_point", "inputs", "inputs", "inputs")
    relu = form_of("Relu", "", 21)
    assert names_of(relu.inputs, 2) == ("X", "")
    assert names_of((), 2) == ("", "")
