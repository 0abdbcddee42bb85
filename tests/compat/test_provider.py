from __future__ import annotations

import warnings

import pytest

from ovpart.compat import provider
from ovpart.compat.provider import provider_options
from ovpart.errors import OptionError, OvpartWarning
from ovpart.options import declared


def quietly(options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return provider_options(options)


def test_every_option_of_today_is_one_of_a_session():
    given = dict.fromkeys(provider.CURRENT, "8")
    assert set(quietly(given)) <= set(declared())
    assert set(quietly(given)) == set(provider.CURRENT.values())


def test_options_of_ovpart_pass_through():
    assert quietly({"device_type": "GPU", "min_gain": "0"}) == {"device": "GPU", "min_gain": "0"}


def test_empty_text_is_not_given():
    assert quietly({"device_type": "", "cache_dir": "", "context": None}) == {}


@pytest.mark.parametrize(
    ("spelling", "device", "precision"),
    [("CPU_FP32", "CPU", "FP32"), ("GPU_FP32", "GPU", "FP32"), ("GPU_FP16", "GPU", "FP16"),
     ("GPU.0_FP16", "GPU.0", "FP16"), ("GPU.1_FP32", "GPU.1", "FP32"), ("NPU_FP16", "NPU", "FP16"),
     ("MYRIAD_FP16", "MYRIAD", "FP16")],
)  # fmt: skip
def test_device_with_a_precision_is_taken_apart_with_a_warning(spelling, device, precision):
    with pytest.warns(OvpartWarning, match=rf"{spelling}.*until ovpart \d.*device_type='{device}', precision="):
        assert provider_options({"device_type": spelling}) == {"device": device, "precision": precision}


def test_cpu_fp16_computes_in_f32_and_says_so():
    with pytest.warns(OvpartWarning, match="CPU_FP16.*FP32 all the same"):
        assert provider_options({"device_type": "CPU_FP16"}) == {"device": "CPU"}


def test_a_precision_that_contradicts_the_device_is_refused():
    with pytest.raises(OptionError, match=r"GPU_FP32.*contradicts precision='FP16'"):
        provider_options({"device_type": "GPU_FP32", "precision": "FP16"})


def test_device_id_names_the_device():
    with pytest.warns(OvpartWarning, match=r"device_id='GPU.1'.*device_type='GPU.1'"):
        assert provider_options({"device_id": "GPU.1", "device_type": "GPU"}) == {"device": "GPU.1"}
    with pytest.raises(OptionError, match=r"device_id='GPU.1' contradicts device_type='CPU'"):
        provider_options({"device_id": "GPU.1", "device_type": "CPU"})


def test_blobs_of_old_are_a_cache_folder():
    with pytest.warns(OvpartWarning, match="cache_dir='blobs'"):
        assert provider_options({"use_compiled_network": "True", "blob_dump_path": "blobs"}) == {"cache_dir": "blobs"}
    with pytest.warns(OvpartWarning, match="ov_compiled_blobs"):
        assert provider_options({"use_compiled_network": True}) == {"cache_dir": "ov_compiled_blobs"}
    with pytest.warns(OvpartWarning, match="no effect without use_compiled_network"):
        assert provider_options({"blob_dump_path": "blobs"}) == {}


@pytest.mark.parametrize(("value", "disabled"), [("True", False), ("False", True)])
def test_dynamic_shapes_were_enabled_and_are_disabled_today(value, disabled):
    with pytest.warns(OvpartWarning, match=f"disable_dynamic_shapes={disabled}"):
        assert provider_options({"enable_dynamic_shapes": value}) == {"disable_dynamic_shapes": disabled}


def test_fast_compile_of_myriad_has_no_effect_and_says_so():
    with pytest.warns(OvpartWarning, match="enable_vpu_fast_compile.*no effect"):
        assert provider_options({"enable_vpu_fast_compile": "True"}) == {}


def test_a_word_that_is_no_flag_is_refused():
    with pytest.raises(OptionError, match="use_compiled_network"):
        provider_options({"use_compiled_network": "perhaps"})


def test_unknown_option_is_met_with_the_nearest_name():
    with pytest.raises(OptionError, match=r"'device_typ': did you mean 'device_type'"):
        provider_options({"device_typ": "CPU"})


def test_the_standing_device_holds_until_it_is_taken_back():
    with pytest.warns(OvpartWarning, match="set_openvino_device"):
        provider.set_openvino_device("GPU_FP16")
    try:
        with pytest.warns(OvpartWarning, match="GPU_FP16"):
            assert provider_options({}) == {"device": "GPU", "precision": "FP16"}
        assert quietly({"device_type": "CPU"}) == {"device": "CPU"}
        assert provider.get_openvino_device() == "GPU_FP16"
    finally:
        with pytest.warns(OvpartWarning):
            provider.set_openvino_device("")
    assert quietly({}) == {}
