from __future__ import annotations

import pytest

import ovpart
from ovpart.errors import DeviceNotFound
from ovpart.options import resolve
from ovpart.partition.plan import Label
from ovpart.placement.engines import Engines, make_engines


def test_the_cpu_is_there():
    make_engines(resolve({"device": "CPU"}))
    assert "CPU" in [device.name for device in ovpart.devices()]
    assert ovpart.get_available_openvino_device_ids() == [device.name for device in ovpart.devices()]


@pytest.mark.parametrize("name", ["GPU.7", "cpu", "TOASTER"])
def test_absent_device_says_what_is_there_and_what_to_do(name):
    with pytest.raises(DeviceNotFound) as caught:
        make_engines(resolve({"device": name}))
    text = str(caught.value)
    assert repr(name) in text
    assert "CPU" in text
    assert "emulate=True" in text


def test_emulation_compiles_for_the_cpu_and_keeps_other_engines():
    engines = Engines(resolve({"device": "GPU", "emulate": True, "num_threads": 3, "config": {"PERF_COUNT": "YES"}}))
    gpu, island = Label("openvino", "GPU"), Label("onnxruntime", "CPU")
    assert engines.device_of(gpu) == "CPU"
    assert engines.device_of(island) == "CPU"
    assert engines.settings_of(gpu) == {"num_threads": 3, "PERF_COUNT": "YES"}
    assert engines.settings_of(island) == {"num_threads": 3}


def test_threads_of_onnxruntime_spin_only_where_no_other_engine_takes_turns():
    engines = Engines(resolve({}))
    island = Label("onnxruntime", "CPU")
    assert engines.settings_of(island) == {}
    assert engines.settings_of(island, alone=True) == {"spinning": True}
    assert engines.settings_of(Label("openvino", "CPU"), alone=True) == {}
