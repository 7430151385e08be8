"""A NIR graph without nesting: nodes by name, with their in- and out-edges, one Input and one
Output.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.model.synapse import Shape
from spikeport.export.nir.contents import Node
from spikeport.export.nir.graph import MAX_DEPTH, MAX_NEURONS, RawGraph, as_graph

NEURONS = ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF", "Threshold")
MAGNITUDE_MAX = 1e30
"""Of a parameter: its products with others stay finite in float32, or at least in float64."""
PASSING = ("Input", "Output", "Identity", "Flatten")
LINEAR = ("Affine", "Linear", "Scale", "Conv1d", "Conv2d", "SumPool2d", "AvgPool2d", "Delay")


class NodeError(InputError):
    """What is wrong with one node of a NIR file."""

    def __init__(self, node: str, reason: str) -> None:
        super().__init__(f"node {node}: {reason}")
        self.node, self.reason = node, reason


TRANSPOSED = "a transposed convolution scatters each spike into overlapping windows, which no connection of a chip's compiler here does"
SIGMA_DELTA = "a sigma-delta neuron sends graded differences and keeps a reconstruction of what it sent; neurons here send spikes"
MAX_POOL = "the maximum of a window is no weighted sum; pool by average, or put the maximum into a neuron layer"
REASONS = {
    **dict.fromkeys(("ConvTranspose1d", "ConvTranspose2d", "TransposedConv1d", "TransposedConv2d"), TRANSPOSED),
    **dict.fromkeys(("SigmaDelta", "Sigma", "Delta"), SIGMA_DELTA),
    **dict.fromkeys(("MaxPool1d", "MaxPool2d"), MAX_POOL),
}
"""Why nodes that other tools write have no counterpart."""


def unsupported(kind: str) -> str:
    """What to say of a node type that has no counterpart."""
    return f"type {kind} is not supported" + (f": {REASONS[kind]}" if kind in REASONS else "")


@dataclass
class FlatGraph:
    """Nodes by name (nested ones as `graph.node`); terminals of nested graphs stay as nodes that
    pass on what they get.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    sources: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    targets: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def connect(self, source: str, target: str) -> None:
        """Add an edge; several edges into one node sum."""
        self.sources[target].append(source)
        self.targets[source].append(target)

    def kind(self, name: str) -> str:
        """NIR type of a node."""
        return self.nodes[name]["type"]

    def terminal(self, kind: str) -> str:
        """The one Input or Output of the outermost graph; its name is free."""
        terminals = [
            name for name in self.nodes if self.kind(name) == kind and not (self.sources if kind == "Input" else self.targets)[name]
        ]
        if len(terminals) != 1:
            raise InputError(f"the graph has {len(terminals)} {kind} nodes {terminals}; spikeport takes networks with exactly one")
        return terminals[0]


def flatten(graph: RawGraph) -> FlatGraph:
    """Dissolve nested graphs.

    Raises:
        InputError: a nested graph with several inputs or outputs (NIR does not say which edge ends
            where), or too deep nesting.
    """
    flat = FlatGraph()
    _add(flat, graph, "", 0)
    return flat


def _add(flat: FlatGraph, graph: RawGraph, prefix: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InputError(f"graphs are nested deeper than {MAX_DEPTH}")
    inside: dict[str, RawGraph] = {}
    for name, node in graph.nodes.items():
        if node["type"] == "NIRGraph":
            inside[name] = as_graph(node)
            _add(flat, inside[name], f"{prefix}{name}.", depth + 1)
        elif f"{prefix}{name}" in flat.nodes:
            raise InputError(f"two nodes of the file are called {prefix}{name}")
        else:
            flat.nodes[f"{prefix}{name}"] = node
    for a, b in graph.edges:
        flat.connect(prefix + _end(inside, a, "Output"), prefix + _end(inside, b, "Input"))


def _end(inside: dict[str, RawGraph], name: str, kind: str) -> str:
    """The node at which an edge of the outer graph really starts or ends."""
    if name not in inside:
        return name
    graph = inside[name]
    ends = [n for n, node in graph.nodes.items() if node["type"] == kind]
    if not ends:
        taken = {b if kind == "Input" else a for a, b in graph.edges}
        ends = [n for n in graph.nodes if n not in taken]
    if len(ends) != 1:
        raise NodeError(name, f"a nested graph with {len(ends)} {kind} nodes; spikeport takes nested graphs with exactly one")
    deeper = {n: as_graph(node) for n, node in graph.nodes.items() if node["type"] == "NIRGraph"}
    return f"{name}.{_end(deeper, ends[0], kind)}"


def without_batch_axis(flat: FlatGraph) -> FlatGraph:
    """The same graph with shapes of terminals and parameters of neurons freed of a batch axis of 1.

    Only ahead of one or three axes, (features,) or (channels, height, width): (1, h, w) may be a
    picture of one channel.
    """
    nodes = {name: _unbatched(node) for name, node in flat.nodes.items()}
    return FlatGraph(nodes, flat.sources, flat.targets)


def _unbatched(node: Node) -> Node:
    if node["type"] in ("Input", "Output"):
        shape = np.asarray(node.get("shape", ()))
        return {**node, "shape": shape[1:]} if shape.size in (2, 4) and shape.ravel()[0] == 1 else node
    if node["type"] not in NEURONS:
        return node
    return {key: v[0] if isinstance(v, np.ndarray) and v.ndim in (2, 4) and len(v) == 1 else v for key, v in node.items()}


def numbers(node: Node, name: str, key: str, default: float | None = None) -> np.ndarray:
    """A parameter of a node, float64, finite.

    Raises:
        NodeError: missing (without a default), no numbers, NaN or infinite.
    """
    value = node.get(key, default)
    if value is None:
        raise NodeError(name, f"parameter {key} is missing")
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise NodeError(name, f"parameter {key} is {array.dtype}, not numbers")
    if not np.isfinite(array).all():
        raise NodeError(name, f"parameter {key} holds NaN or infinity; every parameter must be finite")
    values = array.astype(np.float64)
    if (largest := np.abs(values).max(initial=0)) > MAGNITUDE_MAX:
        raise NodeError(name, f"parameter {key} holds {largest:g}; numbers of at most {MAGNITUDE_MAX:g} are read")
    return values


def integers_of(node: Node, name: str, key: str, count: int, default: int | None = None) -> Shape:
    """`count` integers, from as many or from one that stands for all."""
    values = numbers(node, name, key, default).ravel()
    if len(values) not in (1, count) or (values != np.rint(values)).any() or np.abs(values).max(initial=0) > MAX_NEURONS:
        raise NodeError(name, f"parameter {key} is {_brief(values)}; expected {count} integers")
    return tuple(int(v) for v in np.broadcast_to(values, count))


def shape_of_terminal(node: Node, name: str) -> Shape:
    """Shape of an Input or Output node, without batch axis."""
    size = np.asarray(node.get("shape", ())).size
    shape = integers_of(node, name, "shape", size) if size else ()
    if not shape or min(shape) < 1 or np.prod(shape, dtype=object) > MAX_NEURONS:
        raise NodeError(name, f"shape is {shape}; it needs 1 to {MAX_NEURONS} values")
    return shape


def _brief(values: Iterable[float]) -> str:
    return ", ".join(f"{v:g}" for v in list(values)[:4])
