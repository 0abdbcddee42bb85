"""Small models with control flow, in ONNX's text form, and inputs that lead through every way in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnx.parser

F = np.float32
Feed = Mapping[str, np.ndarray]


def model(text: str, opset: int = 17) -> onnx.ModelProto:
    """Parse a graph; bodies of Loop and Scan need their inputs typed."""
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}, "my" : 1]>\n{text}')


def x(*shape: int, seed: int = 0) -> np.ndarray:
    """Return an array of normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(F)


BRANCHES = """
g (float[N,4] x, bool c) => (float[N,4] y) {
  a = Relu(x)
  y = If (c) <
    then_branch = t () => (float[N,4] p) { k = Sigmoid(a)  p = Mul(k, x) },
    else_branch = e () => (float[N,4] q) { h = Exp(a)  q = Neg(h) }>
}"""
"""Both branches capture; the outputs have open shapes, so that openvino does not take the If whole."""

NESTED_BRANCHES = """
g (float[N,4] x, bool c, bool d) => (float[N,4] y, float[N,4] z) {
  w = Constant <value = float[4] {1.5, -2.0, 0.25, 3.0}> ()
  a = Mul(x, w)
  y, z = If (c) <
    then_branch = t () => (float[N,4] p, float[N,4] q) {
      i = Abs(a)
      p = If (d) <
        then_branch = tt () => (float[N,4] r) { j = Mul(i, w)  r = Add(j, x) },
        else_branch = te () => (float[N,4] s) { s = Identity(a) }>
      q = Tanh(p)
    },
    else_branch = e () => (float[N,4] u, float[N,4] v) { u = Neg(a)  v = Identity(x) }>
}"""
"""Captures over two levels, a branch that hands an outer value through, one output that is another's input."""

LOOP = """
g (float[N,4] x, int64 m, bool c) => (float[N,4] y, float[K,N,4] s) {
  one = Constant <value = float {1.0}> ()
  limit = Constant <value = float {20.0}> ()
  y, s = Loop (m, c, x) <
    body = b (int64 i, bool go, float[N,4] v) => (bool again, float[N,4] w, float[N,4] t) {
      k = Cast <to = 1> (i)
      n = Add(k, one)
      w = Add(v, n)
      t = Mul(w, x)
      top = ReduceMax <keepdims = 0> (w)
      again = Less(top, limit)
    }>
}"""
"""Ends by its count or by its condition; counts; captures what it starts from."""

GROWING_LOOP = """
g (float[N,2] x, int64 m) => (float[M,2] y) {
  yes = Constant <value = int32 {1}> ()
  c = Cast <to = 9> (yes)
  y = Loop (m, c, x) <
    body = b (int64 i, bool go, float[A,2] v) => (bool again, float[B,2] w) {
      again = Identity(go)
      h = Relu(x)
      w = Concat <axis = 0> (v, h)
    }>
}"""
"""What is carried grows with every iteration; the condition is a constant that is computed."""

SCAN = """
g (float[4] h0, float[T,4] xs, float[4,T] ys) => (float[4] h, float[T,4] up, float[4,T] across) {
  h, up, across = Scan <num_scan_inputs = 2, scan_input_axes = [0, 1], scan_input_directions = [0, 1],
                        scan_output_axes = [0, 1], scan_output_directions = [1, 0],
    body = b (float[4] state, float[4] a, float[4] b) => (float[4] next, float[4] p, float[4] q) {
      s = Add(state, a)
      n = Tanh(s)
      next = Add(n, b)
      p = Identity(next)
      q = Mul(n, h0)
    }> (h0, xs, ys)
}"""
"""Two inputs along different axes and directions, outputs likewise, a captured value, a final state."""

LOOP_IN_BRANCH = """
g (float[N,4] x, int64 m, bool c) => (float[N,4] y) {
  y = If (c) <
    then_branch = t () => (float[N,4] p) {
      none = Constant <value = bool {1}> ()
      p = Loop (m, none, x) <
        body = b (int64 i, bool go, float[N,4] v) => (bool again, float[N,4] w) {
          total = ReduceSum <keepdims = 0> (v)
          zero = Constant <value = float {0.0}> ()
          negative = Less(total, zero)
          w = If (negative) <
            then_branch = lt () => (float[N,4] l) { l = Abs(v) },
            else_branch = le () => (float[N,4] k) { half = Constant <value = float {0.5}> ()  k = Mul(v, half) }>
          again = Identity(go)
        }>
    },
    else_branch = e () => (float[N,4] q) { q = Relu(x) }>
}"""
"""If in Loop in If."""

SEQUENCE_LOOP = """
g (float[N,4] x, int64 m) => (float[K,4] y) {
  yes = Constant <value = int64 {1}> ()
  c = Cast <to = 9> (yes)
  start = SequenceConstruct(x)
  all = Loop (m, c, start) <
    body = b (int64 i, bool go, seq(float[N,4]) so_far) => (bool again, seq(float[N,4]) more) {
      again = Identity(go)
      k = Cast <to = 1> (i)
      next = Add(x, k)
      more = SequenceInsert(so_far, next)
    }>
  y = ConcatFromSequence <axis = 0> (all)
}"""
"""A sequence is carried."""

FUNCTION = """
g (float[N,4] x, bool c) => (float[N,4] y) {
  y = my.f(x, c)
}
<domain: "my", opset_import: ["" : 17]>
f (u, c) => (v) {
  w = Sin(u)
  v = If (c) <then_branch = t () => (p) { p = Exp(w) }, else_branch = e () => (q) { q = Neg(u) }>
}"""
"""Control flow in a local function."""

COUNTED_LOOP = """
g (float[N,4] x, int64 m) => (float[N,4] y, float[K,N,4] s) {
  yes = Constant <value = int64 {1}> ()
  c = Cast <to = 9> (yes)
  y, s = Loop (m, c, x) <
    body = b (int64 i, bool go, float[N,4] v) => (bool again, float[N,4] w, float[N,4] t) {
      h = Tanh(v)
      w = Sub(h, x)
      t = Mul(w, v)
      again = Identity(go)
    }>
}"""
"""Never ends before its count does."""

WIDE_BRANCHES = """
g (int64[4] x, bool c) => (int64[4] y) {
  y = If (c) <
    then_branch = t () => (int64[4] p) { p = Add(x, x) },
    else_branch = e () => (int64[4] q) { a = Neg(x)  q = Concat <axis = 0> (a) }>
}"""
"""Integers that 32 bits hold, or not: known only when the branch is run."""

STRING_BRANCHES = """
g (string[4] s, bool c) => (string[4] y) {
  y = If (c) <
    then_branch = t () => (string[4] p) { p = Identity(s) },
    else_branch = e () => (string[4] q) { q = Concat <axis = 0> (s) }>
}"""

CASES: Mapping[str, tuple[str, Sequence[Feed]]] = {
    "branches": (BRANCHES, [{"x": x(3, 4), "c": np.array(c)} for c in (True, False)]),
    "nested branches": (
        NESTED_BRANCHES,
        [{"x": x(2, 4), "c": np.array(c), "d": np.array(d)} for c in (True, False) for d in (True, False)],
    ),
    "loop": (
        LOOP,
        [{"x": x(2, 4), "m": np.array(m), "c": np.array(c)} for m, c in ((3, True), (99, True), (1, True))],
    ),
    "loop of no iterations": (
        LOOP,
        [{"x": x(2, 4), "m": np.array(m), "c": np.array(c)} for m, c in ((0, True), (5, False))],
    ),
    "growing loop": (GROWING_LOOP, [{"x": x(3, 2), "m": np.array(m)} for m in (4, 0, 1)]),
    "scan": (SCAN, [{"h0": x(4), "xs": x(n, 4, seed=1), "ys": x(4, n, seed=2)} for n in (5, 1, 3)]),
    "loop in branch": (
        LOOP_IN_BRANCH,
        [
            {"x": x(2, 4, seed=s), "m": np.array(m), "c": np.array(c)}
            for s, m, c in ((0, 4, True), (1, 3, True), (2, 2, False))
        ],
    ),
    "function": (FUNCTION, [{"x": x(2, 4), "c": np.array(c)} for c in (True, False)]),
    "counted loop": (COUNTED_LOOP, [{"x": x(2, 4), "m": np.array(m)} for m in (5, 0, 1)]),
    "wide integers": (
        WIDE_BRANCHES,
        [{"x": np.array(v), "c": np.array(c)} for c in (True, False) for v in ([1, 2, 3, 4], [2**40, -(2**35), 5, 6])],
    ),
    "strings": (
        STRING_BRANCHES,
        [{"s": np.array(["a", "é", "", "d"], object), "c": np.array(c)} for c in (True, False)],
    ),
    "sequence loop": (SEQUENCE_LOOP, [{"x": x(2, 4), "m": np.array(m)} for m in (3, 0)]),
}
