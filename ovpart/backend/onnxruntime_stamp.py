"""What the installed onnxruntime takes: opsets, IR versions, operators; and models put into a form that it takes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from ovpart.backend.cut import ir_version_for
from ovpart.backend.legacy import OPSET as OLDEST
from ovpart.backend.legacy import modernised
from ovpart.model.types import dtype_name

if TYPE_CHECKING:
    import onnx

_STEPS_UP = (8, 9, 11, 13, 17, 21)
"""Opsets that old models are converted up to, nearest first: at each of these operators changed their form."""
_SCAN_WITHOUT_BATCH = 9
_LEAVE = "ALLOW_RELEASED_ONNX_OPSET_ONLY"
_ENVIRONMENT = threading.Lock()  # one at a time changes the environment


def alternatives(proto: onnx.ModelProto) -> Iterator[onnx.ModelProto]:
    """Yield forms of one model, the most faithful first; each later one is for when onnxruntime refused those before.

    First as it is; then stamped with the lowest opset and IR version that mean the same (an operator's form is set by
    the newest version of it up to the opset: a model of opset 27 whose newest operator form is of 22 is a model of
    opset 22); then, if it is older than opset 7, in the forms of 7; at last converted by onnx's version converter: down
    to what onnxruntime takes, or up from forms that have no kernel.
    """
    yield proto
    stamped = lowest(proto)
    if stamped is not None:
        yield stamped
    base = stamped or proto
    if _opset(base) < OLDEST:
        raised = modernised(base)
        if raised is None:
            return
        raised.ir_version = max(raised.ir_version, ir_version_for(raised.opset_import, ()))
        yield raised
        base = raised
    yield from _converted(base)


def lowest(proto: onnx.ModelProto) -> onnx.ModelProto | None:
    """Return the model stamped with the lowest opsets and IR version that mean the same; ``None`` if that is as it is.

    Domains that onnx has no operators for keep their version. Never below opset 7, which onnxruntime warns of.
    """
    import onnx

    wanted: dict[str, int] = {}
    for opset in proto.opset_import:
        newest = _newest_form(proto.graph.node, opset.domain, opset.version)
        wanted[opset.domain] = opset.version if newest is None else min(opset.version, newest)
        if opset.domain in ("", "ai.onnx") and opset.version >= OLDEST:
            wanted[opset.domain] = max(wanted[opset.domain], OLDEST)
    changed = onnx.ModelProto()
    changed.CopyFrom(proto)
    for opset in changed.opset_import:
        opset.version = wanted[opset.domain]
    dtypes = [dtype_name(i.type.tensor_type.elem_type) for i in (*proto.graph.input, *proto.graph.output)]
    changed.ir_version = min(proto.ir_version, ir_version_for(changed.opset_import, dtypes))
    return None if changed.SerializeToString() == proto.SerializeToString() else changed


@cache
def highest_opset() -> int:
    """Return the newest opset of ai.onnx that the installed onnxruntime takes, found by trying."""
    import onnx.defs

    newest = onnx.defs.onnx_opset_version()
    return next((version for version in range(newest, 6, -1) if _takes(version)), 7)


@cache
def _kernels() -> dict[tuple[str, str], list[tuple[int, int]]]:
    """Return domain and operator → version ranges of the CPU kernels in this build."""
    from onnxruntime.capi import onnxruntime_pybind11_state as binding

    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for kernel in binding.get_all_opkernel_def():
        if kernel.provider == "CPUExecutionProvider":
            found.setdefault((kernel.domain, kernel.op_name), []).append(kernel.version_range)
    return found


@cache
def _schemas() -> frozenset[tuple[str, str]]:
    """Return domain and operator of everything that this build knows at all, functions included."""
    from onnxruntime.capi import onnxruntime_pybind11_state as binding

    return frozenset((schema.domain, schema.name) for schema in binding.get_all_operator_schema())


def knows(op_type: str, domain: str = "", since: int = 0) -> bool:
    """Whether this build of onnxruntime can run an operator, for some element types at least.

    Parameters
    ----------
    op_type, domain : str
        As in the file; ``""`` for ai.onnx.
    since : int
        The version in which the operator's form was introduced; 0 where that is not known: any version will do.

    Returns
    -------
    bool
        True where there is a kernel of that version, or a later one (models are converted up to it, or are made to run
        by their function body). Operators of custom libraries are not seen.
    """
    if any(not since or end >= since for _, end in _kernels().get((domain, op_type), ())):
        return True
    return (domain, op_type) in _schemas() and _is_function(op_type, domain, since)


def _is_function(op_type: str, domain: str, since: int) -> bool:
    """Whether onnx defines an operator by a function, which onnxruntime inlines where it has no kernel."""
    import onnx.defs

    try:
        schema = onnx.defs.get_schema(op_type, since, domain) if since else onnx.defs.get_schema(op_type, domain)
    except onnx.defs.SchemaError:
        return False
    # onnx's stubs leave these two properties out.
    return any(getattr(schema, name) for name in ("has_function", "has_context_dependent_function"))


def _newest_form(nodes: Iterable[onnx.NodeProto], domain: str, version: int) -> int | None:
    """Return the newest version among the operators' forms of a domain, bodies included.

    1 where there are none, ``None`` where one has no schema.
    """
    import onnx.defs

    newest = 1
    for node in nodes:
        if (node.domain or "ai.onnx") == (domain or "ai.onnx"):
            try:
                schema = onnx.defs.get_schema(node.op_type, version, domain)
            except onnx.defs.SchemaError:
                return None
            newest = max(newest, schema.since_version)
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                inner = _newest_form(body.node, domain, version)
                if inner is None:
                    return None
                newest = max(newest, inner)
    return newest


def _converted(proto: onnx.ModelProto) -> Iterator[onnx.ModelProto]:
    import onnx.version_converter

    version = _opset(proto)
    highest = highest_opset()
    # Scan-8 has a batch dimension and Scan-9 has none: the converter takes the one for the other (onnx 1.23).
    if version < _SCAN_WITHOUT_BATCH and any(node.op_type == "Scan" for node in proto.graph.node):
        return
    targets = (highest,) if version > highest else tuple(step for step in (*_STEPS_UP, highest) if step > version)
    for target in targets:
        try:
            changed = onnx.version_converter.convert_version(proto, target)
        except (RuntimeError, ValueError, IndexError):  # the converter has no rule for one of the operators
            continue
        # The converter may leave inferred types behind; onnxruntime infers its own.
        del changed.graph.value_info[:]
        changed.ir_version = ir_version_for(changed.opset_import, ())
        yield changed


def _opset(proto: onnx.ModelProto) -> int:
    return next((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), highest_opset())


@contextmanager
def unreleased_opsets() -> Iterator[None]:
    """Let onnxruntime take opsets that were not released when it was built, as far as it knows their operators.

    It asks the environment for leave when it loads a model, and has no option that means the same (1.31).
    """
    with _ENVIRONMENT:
        before = os.environ.get(_LEAVE)
        os.environ[_LEAVE] = "0"
        try:
            yield
        finally:
            if before is None:
                del os.environ[_LEAVE]
            else:
                os.environ[_LEAVE] = before


def is_unreleased(proto: onnx.ModelProto) -> bool:
    """Whether a model is of an opset that is newer than those which the installed onnxruntime takes by itself."""
    return _opset(proto) > highest_opset()


def _takes(version: int) -> bool:
    import onnx.helper

    from ovpart.backend.onnxruntime import import_onnxruntime

    onnxruntime = import_onnxruntime()
    info = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [info("x", 1, [1])], [info("y", 1, [1])])
    opsets = [onnx.helper.make_opsetid("", version)]
    proto = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=ir_version_for(opsets, ()))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:  # the binding's errors have no common base, and any of them means no
        return False
    return True
