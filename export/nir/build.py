"""The NIR graph of a quantized network: nodes, names and edges, without metadata."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import nir
import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import QuantizedNetwork
from spikeport.export.nir.nodes import bias_carrier, connection_nodes, folded_gain, neuron_node


@dataclass(frozen=True)
class Built:
    """weight_nodes: per connection, the name of the node with its weights. carriers: per
    population, the index of the connection whose node carries its bias, or None. gains: per
    population, see `folded_gain`.
    """

    graph: nir.NIRGraph
    weight_nodes: tuple[str, ...]
    carriers: dict[str, int | None]
    gains: dict[str, np.ndarray]


def build_graph(network: QuantizedNetwork, plain: bool = True) -> Built:
    """Nodes in NIR's physical units for timesteps of `network.dt` seconds.

    plain: as Norse, Sinabs and snnTorch read them; False: as our formats 1 to 3 wrote them, to
    compare such a file with.

    Populations and the input keep their names; the nodes of a connection are named after it. The
    shapes are not checked here: nir 1.0.8 infers wrong ones for non-square kernels and grouped
    convolutions.
    """
    nodes: dict[str, nir.NIRNode] = {_node_name(network.input.name): nir.Input({"input": np.array(network.input.shape)})}
    carriers = {p.name: bias_carrier(network, p) for p in network.populations}
    gains = {p.name: folded_gain(network, p) if plain else np.ones(()) for p in network.populations}
    for p in network.populations:
        nodes[_node_name(p.name)] = neuron_node(p, network.dt, carriers[p.name] is None, gains[p.name])
    edges: list[tuple[str, str]] = []
    weight_nodes: list[str] = []
    for index, c in enumerate(network.connections):
        path = [c.source]
        for suffix, node in connection_nodes(network, c, carriers[c.target] == index, gains[c.target], plain).items():
            path.append(_unique(_node_name(c.name) + suffix, nodes))
            nodes[path[-1]] = node
            if not suffix:
                weight_nodes.append(path[-1])
        edges += pairwise([*path, c.target])
    output = _unique("output", nodes)
    nodes[output] = nir.Output({"output": np.array(network[network.output].shape)})
    edges.append((network.output, output))
    return Built(nir.NIRGraph(nodes, edges, metadata={}, type_check=False), tuple(weight_nodes), carriers, gains)


def _node_name(name: str) -> str:
    if not name or name == "." or "/" in name or not name.isprintable():
        raise InputError(f"name {name!r} cannot stand in a NIR file; use printable characters without '/'")
    return name


def _unique(name: str, taken: dict[str, Any]) -> str:
    while name in taken:
        name += "_"
    return name
