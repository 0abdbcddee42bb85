"""Trap 34: attention over a length that changes: right whatever the first length was."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.reference
import pytest

import ovpart

HEADS, WIDTH = 2, 16
PLAIN = """
<ir_version: 9, opset_import: ["": 17]>
g (float[1,2,q,16] query, float[1,2,t,16] key, float[1,2,t,16] value) => (float[1,2,q,16] y) <float scale = {0.25}> {
  turned = Transpose <perm = [0, 1, 3, 2]> (key)
  scores = MatMul(query, turned)
  scaled = Mul(scores, scale)
  weights = Softmax <axis = -1> (scaled)
  y = MatMul(weights, value)
}"""
FUSED = """
<ir_version: 10, opset_import: ["": 23]>
g (float[1,2,q,16] query, float[1,2,t,16] key, float[1,2,t,16] value) => (float[1,2,q,16] y) {
  y = Attention(query, key, value)
}"""
IN_A_BRANCH = """
<ir_version: 9, opset_import: ["": 17]>
g (float[1,2,q,16] query, float[1,2,t,16] key, float[1,2,t,16] value, bool yes) => (float[1,2,q,16] y) {
  turned = Transpose <perm = [0, 1, 3, 2]> (key)
  y = If (yes) <
    then_branch = a () => (float[1,2,q,16] left) {
      scores = MatMul(query, turned)
      weights = Softmax <axis = -1> (scores)
      left = MatMul(weights, value)
    },
    else_branch = b () => (float[1,2,q,16] right) { right = Identity(query) }
  >
}"""


def feed(length: int, queries: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(length)
    shapes = {"query": queries, "key": length, "value": length}
    return {n: rng.standard_normal((1, HEADS, s, WIDTH)).astype(np.float32) for n, s in shapes.items()}


@pytest.mark.parametrize("text", [PLAIN, FUSED, IN_A_BRANCH], ids=["plain", "fused", "in a branch"])
@pytest.mark.parametrize("first", [1, 2])
def test_trap_34_a_first_length_of_one_spoils_no_later_one(text, first):
    proto = onnx.parser.parse_model(text)
    session = ovpart.Session(proto, min_gain=0)
    reference = onnx.reference.ReferenceEvaluator(proto)
    for length in (first, 7, 8, 16, 33, 1):
        given = feed(length) | ({"yes": np.array(True)} if text is IN_A_BRANCH else {})
        np.testing.assert_allclose(session.run(None, given)[0], reference.run(None, given)[0], rtol=1e-4, atol=1e-5)
    if text is PLAIN:
        assert session.report.coverage == 1.0
