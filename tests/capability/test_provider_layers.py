"""The layers that the documents of onnxruntime's OpenVINO provider list (1.21), held against the shipped table."""

from __future__ import annotations

import pytest

from ovpart.capability.table import load_table
from ovpart.capability.verdict import State

_DOCUMENTED = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization BitShift Ceil Celu Cast Clip
Concat Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div Dropout
Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gemm GlobalAveragePool GlobalLpPool
GlobalMaxPool Greater GreaterOrEqual GridSample Hardmax HardSigmoid Identity If ImageScaler InstanceNormalization
LeakyRelu Less LessOrEqual Log LogSoftmax Loop LRN LSTM MatMul MatMulInteger Max MaxPool Mean MeanVarianceNormalization
Min Mod Mul Neg NonMaxSuppression NonZero Not OneHot Or Pad Pow PRelu QuantizeLinear QLinearMatMul Range Reciprocal
ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu
Reshape Resize ReverseSequence RoiAlign Round Scatter ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh
Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK
Transpose Unsqueeze Upsample Where Xor
"""
LAYERS = _DOCUMENTED.split()
"""All but SinFloat, which is no operator of ONNX; the documents say No to it themselves."""
DOCUMENTED_NO = {
    "CPU": {"GatherElements"},
    "GPU": {"BitShift", "EyeLike", "GatherElements", "GridSample", "MatMulInteger", "NonZero", "QLinearMatMul", "Sinh"},
}
# Measured otherwise than documented: the provider delegates these and gives wrong answers, or the plugin refuses them.
KEPT_BACK = {
    "CPU": {"ConvInteger", "GatherND", "MatMulInteger", "NonMaxSuppression", "Range"},
    "GPU": {"ConvInteger", "GatherND", "If", "Loop", "MatMulInteger", "NonMaxSuppression", "Range", "BitShift"},
}


@pytest.mark.parametrize("device", ["CPU", "GPU"])
def test_layers_that_are_documented_are_delegated_but_for_those_measured_otherwise(device):
    table = load_table()
    delegated = {
        layer
        for layer in LAYERS
        if any(entry.op == layer and entry.state is State.SUPPORTED for entry in table.entries(layer, device))
    }
    assert set(LAYERS) - delegated - DOCUMENTED_NO[device] <= KEPT_BACK[device]


@pytest.mark.parametrize("device", ["CPU", "GPU", "NPU"])
def test_what_is_kept_back_says_why(device):
    table = load_table()
    for layer in LAYERS:
        for entry in table.entries(layer, device):
            if entry.state is State.UNSUPPORTED:
                assert entry.row.get("reason"), (layer, entry.rule)
        assert table.line_of(layer, device), layer
