"""Torch modules on ovpart; run where torch is installed (``make torch-test``)."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import ovpart.torch  # noqa: E402
from ovpart.errors import InputError, OptionError  # noqa: E402


class Mixed(torch.nn.Module):
    """Takes tensors and a flag, returns a structure."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(8, 4)

    def forward(self, x, mask=None, scale=2.0):
        y = torch.relu(self.layer(x)) * scale
        if mask is not None:
            y = y.masked_fill(mask, 0.0)
        return {"y": y, "both": (y.sum(-1), x.to(torch.bfloat16))}


@pytest.mark.parametrize("min_gain", [0, None])
def test_structures_go_in_and_come_out(min_gain):
    module = Mixed()
    x, mask = torch.randn(3, 8), torch.rand(3, 4) > 0.5
    mine = ovpart.torch.wrap(module, (x,), example_kwargs={"mask": mask, "scale": 3.0}, min_gain=min_gain)
    assert module.training
    wanted = module.eval()(x, mask=mask, scale=3.0)
    for _ in range(3):
        found = mine(x, mask=mask, scale=3.0)
        assert list(found) == ["y", "both"]
        torch.testing.assert_close(found["y"], wanted["y"])
        torch.testing.assert_close(found["both"][0], wanted["both"][0])
        torch.testing.assert_close(found["both"][1], wanted["both"][1])
        assert not found["y"].requires_grad


def test_dimensions_that_are_named_may_change():
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).eval()
    mine = ovpart.torch.wrap(module, torch.randn(2, 3, 8, 8), dynamic_shapes=({0: "batch"},), min_gain=0)
    assert mine.report.coverage == 1.0
    for batch in (2, 5, 3):
        x = torch.randn(batch, 3, 8, 8)
        torch.testing.assert_close(mine(x), module(x), rtol=1e-4, atol=1e-5)


def test_memory_is_handed_over_not_copied():
    tensor = torch.arange(6.0).reshape(2, 3)
    assert ovpart.torch.to_numpy(tensor).ctypes.data == tensor.data_ptr()
    array = np.arange(6, dtype=np.float32)
    assert ovpart.torch.to_torch(array).data_ptr() == array.ctypes.data
    half = torch.arange(4.0).to(torch.bfloat16)
    there = ovpart.torch.to_numpy(half)
    assert (there.ctypes.data, there.dtype.name) == (half.data_ptr(), "bfloat16")
    torch.testing.assert_close(ovpart.torch.to_torch(there), half)


def test_results_are_not_overwritten_by_the_next_run():
    module = torch.nn.Linear(4, 4).eval()
    mine = ovpart.torch.wrap(module, torch.ones(2, 4), min_gain=0)
    first = mine(torch.ones(2, 4))
    kept = first.clone()
    mine(torch.zeros(2, 4))
    torch.testing.assert_close(first, kept)


def test_a_call_that_is_not_like_the_example_is_refused():
    mine = ovpart.torch.wrap(Mixed(), (torch.randn(3, 8),), example_kwargs={"scale": 3.0})
    with pytest.raises(InputError, match="fixed since then"):
        mine(torch.randn(3, 8), scale=4.0)
    with pytest.raises(InputError, match="structure"):
        mine(torch.randn(3, 8))
    with pytest.raises(InputError, match="a tensor is needed"):
        mine(1.0, scale=3.0)


def test_an_unknown_option_is_refused():
    with pytest.raises(OptionError, match="min_gian"):
        ovpart.torch.wrap(torch.nn.ReLU(), torch.ones(2), min_gian=0)
