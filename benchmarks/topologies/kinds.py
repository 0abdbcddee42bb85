"""Kinds of models that the lists of the documents lack: each is small and holds what its name says."""

from __future__ import annotations

from functools import partial

from benchmarks.topologies import kinds_decoders as decoders
from benchmarks.topologies import kinds_quantised as quantised
from benchmarks.topologies import kinds_structured as structured
from benchmarks.topologies.topology import KINDS, Topology, pictures

TOPOLOGIES = (
    *(
        Topology(name, KINDS, partial(quantised.feed_forward, *form), quantised.feeds)
        for name, form in quantised.FORMS.items()
    ),
    Topology("QLinear operators", KINDS, quantised.qlinear, quantised.picture_feeds),
    Topology("dynamic quantisation, MatMulInteger", KINDS, quantised.dynamic, quantised.feeds),
    Topology("dynamic quantisation, ConvInteger", KINDS, quantised.dynamic_convolutions, quantised.picture_feeds),
    Topology("Scan", KINDS, structured.scanned, structured.scan_feeds),
    Topology("optional types", KINDS, structured.optionals, structured.optional_feeds),
    Topology("sequences", KINDS, structured.sequences, structured.sequence_feeds),
    Topology("local functions", KINDS, structured.functions, structured.row_feeds),
    Topology("built-in NMS head", KINDS, structured.boxes, pictures("x", (1, 3, 64, 64)), selects=True),
    Topology("overridable initializers", KINDS, structured.overridable, structured.overriding_feeds),
    Topology("decoder with key/value cache", KINDS, decoders.cached, decoders.cache_feeds),
    Topology("decoder with GroupQueryAttention", KINDS, decoders.grouped, decoders.grouped_feeds),
    Topology("sparse initializers", KINDS, structured.sparse, structured.row_feeds),
)
