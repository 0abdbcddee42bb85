# ruff: noqa: D401
"""Random models of If, Loop and Scan within each other: captures over several levels, early exits, no iterations.

Values are of few kinds, so that every draw makes a valid model: ``full`` is float [N, 4], ``row`` float [1, 4] or
[1, 1], ``rows`` float [?, 4] with a number of rows that may change, ``stack`` float [T, N, 4], ``count`` int64 and
``flag`` bool scalars, ``list`` a sequence of ``rows``. What is carried is squashed by Tanh, so that nothing overflows;
conditions rest on integers, booleans and the inputs themselves, which rounding does not move.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

FLOATS = ("full", "row", "rows")
DEEPEST = 3
"""Bodies within each other."""
_UNARY = ("Tanh", "Relu", "Sigmoid", "Neg", "Abs", "Identity")
_BINARY = ("Add", "Sub", "Mul", "Max")


@dataclass(frozen=True)
class Value:
    """A value that nodes may read."""

    name: str
    kind: str


@dataclass
class Scope:
    """A graph under construction, and what can be read in it, of which the first `outer` are of other scopes."""

    values: list[Value]
    outer: int = 0
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """A random model and the kinds of its inputs."""

    proto: onnx.ModelProto
    inputs: tuple[Value, ...]
    seed: int
    exclude: tuple[str, ...]
    rows: int | None = None
    """The size of dimension N where the file fixes it: what is carried may then lie in memory of ours."""

    def feed(self, number: int) -> dict[str, np.ndarray]:
        """Return arrays for every input; sizes, counts and flags differ from number to number."""
        rng = np.random.default_rng((self.seed, number))
        rows, steps = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        rows = self.rows or rows
        shapes = {"full": (rows, 4), "row": (1, 4), "stack": (steps, rows, 4)}
        feed: dict[str, np.ndarray] = {}
        for value in self.inputs:
            if value.kind == "count":
                feed[value.name] = np.asarray(rng.integers(0, 5), np.int64)
            elif value.kind == "flag":
                feed[value.name] = np.asarray(rng.random() < 0.6)
            else:
                feed[value.name] = rng.uniform(-2, 2, shapes[value.kind]).astype(np.float32)
        return feed

    def __repr__(self) -> str:
        return f"seed={self.seed} exclude={self.exclude}\n{onnx.printer.to_text(self.proto)}"


@st.composite
def control_flow_models(draw: st.DrawFn) -> Found:
    """Draw a model."""
    growing = _Growing(draw, np.random.default_rng(draw(st.integers(0, 2**20))))
    inputs = [Value(f"in_{kind}{i}", kind) for kind in ("full", "row", "stack", "count", "flag") for i in range(2)]
    scope = Scope(list(inputs))
    for _ in range(draw(st.integers(2, 5))):
        growing.step(scope, 0)
    growing.control_flow(scope, 0)
    outputs = growing.outputs(scope, inputs)
    graph = helper.make_graph(
        scope.nodes,
        "g",
        [_info(value) for value in inputs],
        [_info(value) for value in outputs],
        scope.initializers,
    )
    opset = draw(st.sampled_from((16, 17)))
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    exclude = tuple(op for op in ("Tanh", "Add", "If", "Loop") if growing.has(op) and draw(st.integers(0, 3)) == 0)
    rows = draw(st.sampled_from((None, 2)))
    if rows is not None:
        _fix(proto.graph, rows)
    return Found(proto, tuple(inputs), draw(st.integers(0, 2**20)), exclude, rows)


def _fix(graph: onnx.GraphProto, rows: int) -> None:
    """Give dimension N a size, in bodies too."""
    for value in (*graph.input, *graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == "N":
                dim.dim_value = rows
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _fix(attribute.g, rows)


_SHAPES: Mapping[str, tuple[int | str | None, ...]] = {
    "full": ("N", 4), "row": (1, None), "rows": (None, 4), "stack": (None, "N", 4), "count": (), "flag": (),
}  # fmt: skip
_TYPES = {"count": TensorProto.INT64, "flag": TensorProto.BOOL}


def _info(value: Value, name: str = "") -> onnx.ValueInfoProto:
    if value.kind == "list":
        return helper.make_tensor_sequence_value_info(name or value.name, TensorProto.FLOAT, [None, 4])
    kind = _TYPES.get(value.kind, TensorProto.FLOAT)
    return helper.make_tensor_value_info(name or value.name, kind, _SHAPES[value.kind])


class _Growing:
    def __init__(self, draw: st.DrawFn, rng: np.random.Generator) -> None:
        self.draw = draw
        self.rng = rng
        self.made = 0
        self.operators: set[str] = set()

    def has(self, op_type: str) -> bool:
        return op_type in self.operators

    def chance(self, most: int) -> bool:
        return self.draw(st.integers(1, most)) == 1

    def pick(self, scope: Scope, *kinds: str) -> Value | None:
        fitting = [value for value in scope.values if value.kind in kinds]
        return self.draw(st.sampled_from(fitting[-6:] + fitting[:2])) if fitting else None

    def needed(self, scope: Scope, kind: str) -> Value:
        found = self.pick(scope, kind)
        assert found is not None, kind
        return found

    def name(self) -> str:
        self.made += 1
        return f"v{self.made}"

    def add(self, scope: Scope, kind: str, op_type: str, *reads: str, **attributes: object) -> Value:
        value = Value(self.name(), kind)
        scope.nodes.append(helper.make_node(op_type, list(reads), [value.name], **attributes))
        scope.values.append(value)
        self.operators.add(op_type)
        return value

    def constant(self, scope: Scope, array: np.ndarray) -> str:
        """A ``Constant`` node or an initializer of the scope itself."""
        name = self.name()
        tensor = numpy_helper.from_array(array, name)
        if self.chance(2):
            scope.initializers.append(tensor)
        else:
            scope.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name

    # --- steps that are no control flow ------------------------------------------------------------------------------

    def step(self, scope: Scope, depth: int) -> None:
        """Add something that reads what is there."""
        if depth < DEEPEST and self.chance(4):
            self.control_flow(scope, depth)
            return
        steps = (self._unary, self._binary, self._product, self._reduced, self._grown, self._counted, self._flagged,
                 self._listed, self._from_list, self._sum_of_stack)  # fmt: skip
        self.draw(st.sampled_from(steps))(scope)

    def _unary(self, scope: Scope) -> None:
        value = self.pick(scope, *FLOATS)
        if value:
            self.add(scope, value.kind, self.draw(st.sampled_from(_UNARY)), value.name)

    def _binary(self, scope: Scope) -> None:
        one, other = self.pick(scope, "full", "rows"), self.pick(scope, "row")
        if one and one.kind == "full" and self.chance(2):
            other = self.pick(scope, "full")
        if one and other:
            made = self.add(scope, one.kind, self.draw(st.sampled_from(_BINARY)), one.name, other.name)
            self.add(scope, made.kind, "Tanh", made.name)

    def _product(self, scope: Scope) -> None:
        value = self.pick(scope, "full", "rows")
        if value:
            weight = self.constant(scope, self.rng.uniform(-0.5, 0.5, (4, 4)).astype(np.float32))
            self.add(scope, value.kind, "MatMul", value.name, weight)

    def _reduced(self, scope: Scope) -> None:
        value = self.pick(scope, "full", "rows")
        if value:
            kept = self.draw(st.sampled_from(("ReduceMean", "ReduceMax")))
            self.add(scope, "row", kept, value.name, axes=[0], keepdims=1)

    def _grown(self, scope: Scope) -> None:
        one, other = self.pick(scope, "full", "rows"), self.pick(scope, "full", "rows")
        if one and other:
            self.add(scope, "rows", "Concat", one.name, other.name, axis=0)

    def _counted(self, scope: Scope) -> None:
        value = self.needed(scope, "count")
        self.add(scope, "count", "Add", value.name, self.constant(scope, np.asarray(self.rng.integers(-1, 2))))

    def _flagged(self, scope: Scope) -> None:
        if self.chance(2):
            value, bound = self.needed(scope, "count"), self.constant(scope, np.asarray(self.rng.integers(0, 5)))
            self.add(scope, "flag", self.draw(st.sampled_from(("Less", "Greater"))), value.name, bound)
        else:
            self.add(scope, "flag", "Not", self.needed(scope, "flag").name)

    def _listed(self, scope: Scope) -> None:
        value, before = self.pick(scope, "rows"), self.pick(scope, "list")
        if value and before and self.chance(2):
            self.add(scope, "list", "SequenceInsert", before.name, value.name)
        elif value:
            self.add(scope, "list", "SequenceConstruct", value.name)

    def _from_list(self, scope: Scope) -> None:
        value = self.pick(scope, "list")
        if value:
            self.add(scope, "rows", "ConcatFromSequence", value.name, axis=0)

    def _sum_of_stack(self, scope: Scope) -> None:
        value = self.pick(scope, "stack")
        if value:
            total = self.add(scope, "scalar", "ReduceSum", value.name, keepdims=0)
            shape = self.constant(scope, np.array([1, 1]))
            made = self.add(scope, "row", "Reshape", total.name, shape)
            self.add(scope, "row", "Tanh", made.name)

    # --- control flow ------------------------------------------------------------------------------------------------

    def control_flow(self, scope: Scope, depth: int) -> None:
        """Add an If, a Loop or a Scan."""
        self.draw(st.sampled_from((self._if, self._loop, self._scan)))(scope, depth)

    @contextmanager
    def body(self, scope: Scope, inputs: list[Value], depth: int) -> Iterator[Scope]:
        """A scope within a scope, with some steps taken."""
        inner = Scope([*scope.values, *inputs], len(scope.values))
        for _ in range(self.draw(st.integers(1, 3))):
            self.step(inner, depth + 1)
        yield inner

    def result(self, inner: Scope, kind: str, *, through: bool = True) -> Value:
        """A value of the wanted kind, squashed; made from what there is, at times handed `through` as it is."""
        if kind in ("count", "flag", "list", "stack"):
            found = self.pick(inner, kind)
            if found is None:
                made = self.add(inner, "rows", "Concat", self.needed(inner, "full").name, axis=0)
                found = self.add(inner, "list", "SequenceConstruct", made.name)
            own = found in inner.values[inner.outer :]
            return found if own and through and self.chance(3) else self.add(inner, kind, "Identity", found.name)
        found = self.pick(inner, kind)
        if found is None:
            found = self.add(inner, kind, "Concat", self.needed(inner, "full").name, axis=0)
        if through and found in inner.values[inner.outer :] and self.chance(4):
            return found
        made = self.add(inner, kind, "Add", found.name, self.needed(inner, "row").name) if kind != "row" else found
        return self.add(inner, kind, "Tanh", made.name)

    def _if(self, scope: Scope, depth: int) -> None:
        kinds = self.draw(st.lists(st.sampled_from((*FLOATS, "count", "flag", "list")), min_size=1, max_size=3))
        condition = self.needed(scope, "flag")
        if self.chance(6):
            condition = Value(self.constant(scope, np.asarray(self.chance(2))), "flag")
        first, last, branches = self.made, self.made, []
        for branch in ("then", "else"):
            with self.body(scope, [], depth) as inner:
                outputs = [self.result(inner, kind) for kind in kinds]
                # onnxruntime 1.31 leaves the second unwritten where a branch gives one value twice.
                outputs = [
                    self.add(inner, value.kind, "Identity", value.name) if value in outputs[:position] else value
                    for position, value in enumerate(outputs)
                ]
                branches.append(_graph(branch, inner, [], outputs))
            last = max(last, self.made)
            if self.chance(2):
                self.made = first  # both branches may use the same names
        self.made = last
        made = [Value(self.name(), kind) for kind in kinds]
        node = helper.make_node(
            "If", [condition.name], [v.name for v in made], then_branch=branches[0], else_branch=branches[1]
        )
        self.finish(scope, node, made)

    def _loop(self, scope: Scope, depth: int) -> None:
        kinds = self.draw(st.lists(st.sampled_from((*FLOATS, "count", "list")), min_size=1, max_size=3))
        kinds = [kind for kind in kinds if self.pick(scope, kind)] or ["full"]
        starts = [self.needed(scope, kind) for kind in kinds]
        inputs = [Value(self.name(), "count"), Value(self.name(), "flag"), *(Value(self.name(), k) for k in kinds)]
        stacked = self.draw(st.lists(st.sampled_from(("full", "row")), max_size=2))
        with self.body(scope, inputs, depth) as inner:
            outputs = [self._goes_on(inner, inputs[0], inputs[1])]
            outputs += [self.result(inner, kind) for kind in kinds]
            slices = [self.result(inner, "full") for _ in stacked]
            body = _graph("body", inner, inputs, [*outputs, *slices])
        count = self.needed(scope, "count").name
        if self.chance(3):
            count = self.constant(scope, np.asarray(self.rng.integers(0, 5)))
        condition = "" if self.chance(3) else self.needed(scope, "flag").name
        made = [Value(self.name(), kind) for kind in kinds] + [Value(self.name(), "stack0") for _ in stacked]
        node = helper.make_node(
            "Loop", [count, condition, *(v.name for v in starts)], [v.name for v in made], body=body
        )
        self.finish(scope, node, made)

    def _goes_on(self, inner: Scope, counter: Value, flag: Value) -> Value:
        if self.chance(2):
            return self.add(inner, "flag", "Identity", flag.name)
        bound = self.constant(inner, np.asarray(self.rng.integers(0, 4)))
        return self.add(inner, "flag", "Less", counter.name, bound)

    def _scan(self, scope: Scope, depth: int) -> None:
        states = self.draw(st.lists(st.sampled_from(("full", "row", "count")), max_size=2))
        taken = [self.needed(scope, "stack") for _ in range(self.draw(st.integers(1, 2)))]
        taken = [taken[0]] * len(taken)  # inputs that are scanned together are of one length
        inputs = [Value(self.name(), kind) for kind in (*states, *("full" for _ in taken))]
        starts = [self.needed(scope, kind) for kind in states]
        given = self.draw(st.integers(0 if states else 1, 2))
        with self.body(scope, inputs, depth) as inner:
            # onnxruntime 1.31 gives memory that nobody wrote where a body of Scan hands an input through.
            outputs = [self.result(inner, kind, through=False) for kind in states]
            outputs += [self.result(inner, "full", through=False) for _ in range(given)]
            body = _graph("body", inner, inputs, outputs)
        axes = self.draw(st.lists(st.sampled_from((0, 1, -1)), min_size=given, max_size=given))
        kinds = ["stack" if axis == 0 else "odd" for axis in axes]
        made = [Value(self.name(), kind) for kind in (*states, *kinds)]
        node = helper.make_node(
            "Scan",
            [v.name for v in (*starts, *taken)],
            [v.name for v in made],
            body=body,
            num_scan_inputs=len(taken),
            scan_input_directions=self.draw(st.lists(st.integers(0, 1), min_size=len(taken), max_size=len(taken))),
        )
        if given:
            directions = self.draw(st.lists(st.integers(0, 1), min_size=given, max_size=given))
            node.attribute.append(helper.make_attribute("scan_output_axes", axes))
            node.attribute.append(helper.make_attribute("scan_output_directions", directions))
        self.finish(scope, node, made)

    def finish(self, scope: Scope, node: onnx.NodeProto, made: list[Value]) -> None:
        """Add a node of control flow; what has a shape that others cannot use is for the outputs alone."""
        scope.nodes.append(node)
        scope.values.extend(made)
        self.operators.add(node.op_type)

    def outputs(self, scope: Scope, inputs: list[Value]) -> list[Value]:
        """Some of the values as outputs of the model."""
        taken = [value for value in scope.values if value not in inputs and value.kind != "list"]
        chosen = self.draw(st.lists(st.sampled_from(taken), min_size=1, max_size=4, unique=True)) if taken else []
        last = next((value for value in reversed(taken) if value not in chosen), None)
        return [*chosen, *([last] if last else [])]


_SHAPES = {**_SHAPES, "scalar": (), "stack0": (None, None, 4), "odd": (None, None, None)}


def _graph(name: str, inner: Scope, inputs: list[Value], outputs: list[Value]) -> onnx.GraphProto:
    return helper.make_graph(
        inner.nodes, name, [_info(value) for value in inputs], [_info(value) for value in outputs], inner.initializers
    )
