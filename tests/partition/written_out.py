"""Operators written out, as exporters write them.

Each is text of nodes over a value ``IN`` of shape (2, 6, 8), which give a value ``OUT`` of the same shape; names of
inner values begin with ``P``, so that a group can stand in a model twice.
"""

from __future__ import annotations

import re

import onnx
import onnx.parser
from hypothesis import strategies as st

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'

_CAUSAL = ", ".join("1" if column <= row else "0" for row in range(6) for column in range(6))
CONSTANTS = f"""
float zero = {{0}}, float half = {{0.5}}, float one = {{1}}, float two = {{2}}, float three = {{3}}, float six = {{6}},
float eps = {{0.00001}}, float root2 = {{1.4142135}}, float beta = {{1.702}}, float k = {{0.044715}},
float s = {{0.7978845}}, float low = {{-1000}}, float minus_half = {{-0.5}}, float scale = {{0.35}},
bool[6,6] mask = {{{_CAUSAL}}},
int64[1] i0 = {{0}}, int64[1] i4 = {{4}}, int64[1] i8 = {{8}}, int64[1] last = {{2}}, int64[2] halves = {{4, 4}}
"""

WEIGHTS = {"gain": (8,), "bias": (8,), "w": (8, 8), "w2": (8, 8), "r": (8, 8), "cosine": (6, 8), "sine": (6, 8),
           "w4": (8, 32), "r4": (8, 32), "kernel": (6, 6, 1), "c4": (6, 4), "s4": (6, 4)}  # fmt: skip

LAYER_NORM = """
  P_mean = ReduceMean<axes = [-1]>(IN)
  P_d = Sub(IN, P_mean)
  P_sq = Pow(P_d, two)
  P_var = ReduceMean<axes = [-1]>(P_sq)
  P_safe = Add(P_var, eps)
  P_std = Sqrt(P_safe)
  P_n = Div(P_d, P_std)
  P_g = Mul(P_n, gain)
  OUT = Add(P_g, bias)
"""
LAYER_NORM_TWO_SUBS = """
  P_mean = ReduceMean<axes = [-1]>(IN)
  P_d1 = Sub(IN, P_mean)
  P_d2 = Sub(IN, P_mean)
  P_sq = Mul(P_d1, P_d1)
  P_var = ReduceMean<axes = [-1]>(P_sq)
  P_safe = Add(eps, P_var)
  P_std = Sqrt(P_safe)
  P_inv = Reciprocal(P_std)
  P_n = Mul(P_inv, P_d2)
  OUT = Mul(gain, P_n)
"""
LAYER_NORM_TENSORFLOW = """
  P_mean = ReduceMean<axes = [-1]>(IN)
  P_d = Sub(IN, P_mean)
  P_sq = Mul(P_d, P_d)
  P_var = ReduceMean<axes = [-1]>(P_sq)
  P_safe = Add(P_var, eps)
  P_std = Sqrt(P_safe)
  P_inv = Reciprocal(P_std)
  P_k = Mul(P_inv, gain)
  P_x = Mul(IN, P_k)
  P_m = Mul(P_mean, P_k)
  P_o = Sub(bias, P_m)
  OUT = Add(P_x, P_o)
"""
RMS_NORM = """
  P_sq = Pow(IN, two)
  P_ms = ReduceMean<axes = [-1]>(P_sq)
  P_safe = Add(P_ms, eps)
  P_rms = Sqrt(P_safe)
  P_inv = Div(one, P_rms)
  P_n = Mul(IN, P_inv)
  OUT = Mul(gain, P_n)
"""
RMS_NORM_RSQRT = """
  P_sq = Mul(IN, IN)
  P_ms = ReduceMean<axes = [-1]>(P_sq)
  P_safe = Add(P_ms, eps)
  P_inv = Pow(P_safe, minus_half)
  P_n = Mul(IN, P_inv)
  OUT = Mul(P_n, gain)
"""
INSTANCE_NORM = """
  P_mean = ReduceMean<axes = [1]>(IN)
  P_d = Sub(IN, P_mean)
  P_sq = Pow(P_d, two)
  P_var = ReduceMean<axes = [1]>(P_sq)
  P_safe = Add(P_var, eps)
  P_std = Sqrt(P_safe)
  OUT = Div(P_d, P_std)
"""
GELU_ERF = """
  P_in = Div(IN, root2)
  P_erf = Erf(P_in)
  P_plus = Add(P_erf, one)
  P_gate = Mul(IN, P_plus)
  OUT = Mul(P_gate, half)
"""
GELU_ERF_HALF_FIRST = """
  P_h = Mul(half, IN)
  P_in = Div(IN, root2)
  P_erf = Erf(P_in)
  P_plus = Add(one, P_erf)
  OUT = Mul(P_h, P_plus)
"""
GELU_TANH = """
  P_cube = Pow(IN, three)
  P_k = Mul(P_cube, k)
  P_sum = Add(IN, P_k)
  P_s = Mul(s, P_sum)
  P_tanh = Tanh(P_s)
  P_plus = Add(P_tanh, one)
  P_half = Mul(plus_half, P_plus)
  OUT = Mul(IN, P_half)
""".replace("plus_half", "half")
GELU_TANH_PRODUCTS = """
  P_x2 = Mul(IN, IN)
  P_x3 = Mul(IN, P_x2)
  P_k = Mul(k, P_x3)
  P_sum = Add(P_k, IN)
  P_s = Mul(P_sum, s)
  P_tanh = Tanh(P_s)
  P_plus = Add(one, P_tanh)
  P_x = Mul(IN, P_plus)
  OUT = Mul(half, P_x)
"""
QUICK_GELU = """
  P_b = Mul(IN, beta)
  P_sig = Sigmoid(P_b)
  OUT = Mul(P_sig, IN)
"""
SWIGLU = """
  P_up = MatMul(IN, w)
  P_sig = Sigmoid(IN)
  P_silu = Mul(IN, P_sig)
  OUT = Mul(P_silu, P_up)
"""
HARD_SWISH = """
  P_add = Add(IN, three)
  P_clip = Clip(P_add, zero, six)
  P_mul = Mul(IN, P_clip)
  OUT = Div(P_mul, six)
"""
HARD_SIGMOID_SWISH = """
  P_hs = HardSigmoid<alpha = 0.16666667, beta = 0.5>(IN)
  OUT = Mul(IN, P_hs)
"""
SOFTMAX = """
  P_max = ReduceMax<axes = [-1]>(IN)
  P_d = Sub(IN, P_max)
  P_exp = Exp(P_d)
  P_sum = ReduceSum<keepdims = 1>(P_exp, last)
  OUT = Div(P_exp, P_sum)
"""
LOG_SOFTMAX = """
  P_max = ReduceMax<axes = [-1]>(IN)
  P_d = Sub(IN, P_max)
  P_exp = Exp(P_d)
  P_sum = ReduceSum<keepdims = 1>(P_exp, last)
  P_log = Log(P_sum)
  OUT = Sub(P_d, P_log)
"""
ATTENTION = """
  P_t = Transpose<perm = [0, 2, 1]>(IN)
  P_qk = MatMul(IN, P_t)
  P_scaled = Mul(P_qk, scale)
  P_p = Softmax<axis = -1>(P_scaled)
  OUT = MatMul(P_p, IN)
"""
ATTENTION_WHERE = """
  P_t = Transpose<perm = [0, 2, 1]>(IN)
  P_qk = MatMul(IN, P_t)
  P_scaled = Div(P_qk, root2)
  P_masked = Where(mask, P_scaled, low)
  P_p = Softmax<axis = -1>(P_masked)
  P_nan = IsNaN(P_p)
  P_clean = Where(P_nan, zero, P_p)
  OUT = MatMul(P_clean, IN)
"""
ATTENTION_ADDED_MASK = """
  P_q = MatMul(IN, w)
  P_k = MatMul(IN, w2)
  P_t = Transpose<perm = [0, 2, 1]>(P_k)
  P_qk = MatMul(P_q, P_t)
  P_scaled = Mul(scale, P_qk)
  P_bias = Where(mask, zero, low)
  P_masked = Add(P_scaled, P_bias)
  P_p = Softmax<axis = -1>(P_masked)
  OUT = MatMul(P_p, IN)
"""
ROTARY = """
  P_first = Slice(IN, i0, i4, last)
  P_second = Slice(IN, i4, i8, last)
  P_neg = Neg(P_second)
  P_turned = Concat<axis = -1>(P_neg, P_first)
  P_a = Mul(IN, cosine)
  P_b = Mul(P_turned, sine)
  OUT = Add(P_a, P_b)
"""
ROTARY_SPLIT = """
  P_first, P_second = Split<axis = -1>(IN, halves)
  P_ac = Mul(P_first, c4)
  P_bs = Mul(P_second, s4)
  P_real = Sub(P_ac, P_bs)
  P_bc = Mul(P_second, c4)
  P_as = Mul(P_first, s4)
  P_imag = Add(P_bc, P_as)
  OUT = Concat<axis = -1>(P_real, P_imag)
"""
LSTM_CELL = """
  P_h0 = Mul(IN, half)
  P_a = MatMul(IN, w4)
  P_b = MatMul(P_h0, r4)
  P_ab = Add(P_a, P_b)
  P_i, P_f, P_g, P_o = Split<axis = -1>(P_ab)
  P_si = Sigmoid(P_i)
  P_sf = Sigmoid(P_f)
  P_tg = Tanh(P_g)
  P_so = Sigmoid(P_o)
  P_keep = Mul(P_sf, P_h0)
  P_new = Mul(P_si, P_tg)
  P_c = Add(P_keep, P_new)
  P_tc = Tanh(P_c)
  P_h = Mul(P_so, P_tc)
  OUT = Add(P_h, P_c)
"""
GRU_CELL = """
  P_xr = MatMul(IN, w)
  P_xn = MatMul(IN, w2)
  P_hn = MatMul(IN, r)
  P_r = Sigmoid(P_xr)
  P_z = Sigmoid(P_hn)
  P_rh = Mul(P_r, P_hn)
  P_s = Add(P_xn, P_rh)
  P_n = Tanh(P_s)
  P_omz = Sub(one, P_z)
  P_a = Mul(P_omz, P_n)
  P_b = Mul(P_z, IN)
  OUT = Add(P_a, P_b)
"""

GROUPS: dict[str, tuple[str, str, set[str]]] = {
    # name: (kind, text, members)
    "layer norm": ("layer normalisation", LAYER_NORM, {"mean", "d", "sq", "var", "safe", "std", "n", "g", "OUT"}),
    "layer norm, two subtractions": (
        "layer normalisation", LAYER_NORM_TWO_SUBS,
        {"mean", "d1", "d2", "sq", "var", "safe", "std", "inv", "n", "OUT"}),
    "layer norm of TensorFlow": (
        "layer normalisation", LAYER_NORM_TENSORFLOW,
        {"mean", "d", "sq", "var", "safe", "std", "inv", "k", "x", "m", "o", "OUT"}),
    "RMS norm": ("RMS normalisation", RMS_NORM, {"sq", "ms", "safe", "rms", "inv", "n", "OUT"}),
    "RMS norm by a power": ("RMS normalisation", RMS_NORM_RSQRT, {"sq", "ms", "safe", "inv", "n", "OUT"}),
    "instance norm": ("layer normalisation", INSTANCE_NORM, {"mean", "d", "sq", "var", "safe", "std", "OUT"}),
    "GELU": ("GELU", GELU_ERF, {"in", "erf", "plus", "gate", "OUT"}),
    "GELU, half first": ("GELU", GELU_ERF_HALF_FIRST, {"h", "in", "erf", "plus", "OUT"}),
    "GELU by tanh": ("GELU", GELU_TANH, {"cube", "k", "sum", "s", "tanh", "plus", "half", "OUT"}),
    "GELU by tanh and products": (
        "GELU", GELU_TANH_PRODUCTS, {"x2", "x3", "k", "sum", "s", "tanh", "plus", "x", "OUT"}),
    "quick GELU": ("swish", QUICK_GELU, {"b", "sig", "OUT"}),
    "SwiGLU": ("swish", SWIGLU, {"sig", "silu", "OUT"}),
    "hard swish": ("hard swish", HARD_SWISH, {"add", "clip", "mul", "OUT"}),
    "hard swish by hard sigmoid": ("hard swish", HARD_SIGMOID_SWISH, {"hs", "OUT"}),
    "softmax": ("softmax", SOFTMAX, {"max", "d", "exp", "sum", "OUT"}),
    "log-softmax": ("log-softmax", LOG_SOFTMAX, {"max", "d", "exp", "sum", "log", "OUT"}),
    "attention": ("attention", ATTENTION, {"qk", "scaled", "p", "OUT"}),
    "attention, where": ("attention", ATTENTION_WHERE, {"qk", "scaled", "masked", "p", "nan", "clean", "OUT"}),
    "attention, added mask": ("attention", ATTENTION_ADDED_MASK, {"qk", "scaled", "masked", "p", "OUT"}),
    "rotary": ("rotary embedding", ROTARY, {"first", "second", "neg", "turned", "a", "b", "OUT"}),
    "rotary, split": ("rotary embedding", ROTARY_SPLIT, {"ac", "bs", "real", "bc", "as", "imag", "OUT"}),
    "LSTM cell": ("LSTM cell", LSTM_CELL, {"si", "sf", "tg", "so", "keep", "new", "c", "tc", "h"}),
    "GRU cell": ("GRU cell", GRU_CELL, {"r", "z", "rh", "s", "n", "omz", "a", "b", "OUT"}),
}  # fmt: skip


def nodes(name: str, prefix: str, before: str, after: str) -> str:
    """Return the text of a group's nodes between two values."""
    text = GROUPS[name][1].replace("P_", f"{prefix}_")
    return text.replace("IN", before).replace("OUT", after)


def members(name: str, prefix: str, after: str) -> set[str]:
    """Return the values that the nodes of a group make."""
    return {after if member == "OUT" else f"{prefix}_{member}" for member in GROUPS[name][2]}


def written_out(text: str, out: str = "y") -> onnx.ModelProto:
    """Return a model of nodes over ``x``, (2, 6, 8), with the constants that the groups read."""
    import numpy as np

    proto = onnx.parser.parse_model(
        f"{HEAD} g (float[2,6,8] x) => (float[2,6,8] {out}) <{CONSTANTS}> {{ {text} }}"
    )  # fmt: skip
    rng = np.random.default_rng(5)
    for name, shape in WEIGHTS.items():
        values = (rng.normal(size=shape) / 3).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    used = {value for node in proto.graph.node for value in node.input}
    for initializer in [i for i in proto.graph.initializer if i.name not in used]:
        proto.graph.initializer.remove(initializer)
    return proto


@st.composite
def planted(draw: st.DrawFn, *, steps: int = 7):
    """Draw a model with groups among other nodes: the model, and the members of each group by what its last makes."""
    values, texts, groups = ["x"], [], {}
    for number in range(draw(st.integers(2, steps))):
        one, other = (draw(st.sampled_from(values[-3:])) for _ in range(2))
        made = f"v{number}"
        if draw(st.booleans()):
            name = draw(st.sampled_from(sorted(GROUPS)))
            texts.append(nodes(name, f"p{number}", one, made))
            groups[made] = members(name, f"p{number}", made)
        else:
            texts.append(
                f"{made} = " + draw(st.sampled_from([f"Abs({one})", f"Add({one}, {other})", f"Max({one}, one)"]))
            )
        values.append(made)
    read = "\n".join(texts)
    ends = [value for value in values[1:] if not re.search(rf"[(,] ?{value}[,)]", read)]
    sums = [
        f"e{i} = Add({before}, {end})"
        for i, (before, end) in enumerate(zip(["x", *(f"e{i}" for i in range(9))], ends, strict=False))
    ]
    return written_out("\n".join([*texts, *sums]), f"e{len(ends) - 1}"), groups
