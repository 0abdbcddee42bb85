from __future__ import annotations

import pytest

from ovpart.capability.target import asked_target, parse_target
from ovpart.errors import DeviceNotFound, OptionError


@pytest.mark.parametrize(
    ("text", "devices", "labels"),
    [("CPU", ("CPU",), ("CPU",)), ("GPU.1", ("GPU.1",), ("GPU.1",)), ("NPU", ("NPU",), ("NPU", "CPU")),
     ("HETERO:GPU,CPU", ("GPU", "CPU"), ("GPU", "CPU")), ("HETERO:NPU,GPU", ("NPU", "GPU"), ("NPU", "GPU")),
     ("AUTO:GPU,CPU", ("GPU", "CPU"), ("AUTO:GPU,CPU",)), ("AUTO:CPU", ("CPU",), ("AUTO:CPU",)),
     ("MULTI:GPU.0,GPU.1", ("GPU.0", "GPU.1"), ("MULTI:GPU.0,GPU.1",)),
     ("BATCH:GPU(8)", ("GPU",), ("BATCH:GPU(8)",)), ("AUTO", (), ("AUTO",))],
)  # fmt: skip
def test_device_strings_are_taken_apart_and_put_together(text, devices, labels):
    target = parse_target(text)
    assert target.devices == devices
    assert target.labels == labels
    assert str(target) == text


@pytest.mark.parametrize("chooser", ["HETERO", "AUTO", "MULTI"])
def test_two_devices_at_least(chooser):
    with pytest.raises(OptionError, match=f"{chooser} chooses among two devices at least.*'{chooser}:GPU,CPU'"):
        asked_target(f"{chooser}:GPU")


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "not the name of one device"), ("GPU,CPU", "HETERO:GPU,CPU"), ("HETERO", "two devices"),
     ("HETERO:GPU,GPU", "twice"), ("HETERO:AUTO,CPU", "AUTO chooses"), ("FAST:GPU,CPU", "'FAST' is none of"),
     ("AUTO:GPU,C P U", "no name of a device"), ("BATCH:GPU,CPU", "one device")],
)  # fmt: skip
def test_what_is_no_device_string_says_how_to_write_one(text, words):
    with pytest.raises(OptionError, match=words):
        asked_target(text)


@pytest.mark.parametrize(
    ("text", "today"),
    [("MYRIAD", "NPU"), ("MYRIAD_FP16", "NPU"), ("VPU", "NPU"), ("FPGA", "'CPU' or 'GPU'"),
     ("HETERO:FPGA,CPU", "'CPU' or 'GPU'"), ("HDDL", "NPU"), ("GNA", "NPU")],
)  # fmt: skip
def test_devices_of_old_name_what_to_use_today(text, today):
    with pytest.raises(DeviceNotFound, match=f"cannot be used.*{today}"):
        parse_target(text)
