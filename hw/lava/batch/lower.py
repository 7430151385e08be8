"""From a quantized network to Lava processes that carry many samples side by side, in lanes."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from spikeport.export.model.network import IntegerNeuron, Population, QuantizedNetwork
from spikeport.hw.lava.batch.synapse import LaneSynapses, PyLaneSynapses
from spikeport.hw.lava.batch.tape import LaneTape
from spikeport.hw.lava.graph import Graph, ProcessNode, Wire
from spikeport.hw.lava.lower import HOST, add_host, extra_delay, scalar_or_full
from spikeport.hw.lava.neuron import PyStreamingLif, StreamingLIF


def lower_lanes(network: QuantizedNetwork, tape: LaneTape, first_sample: int, tapped: Collection[str]) -> Graph:
    """As `spikeport.hw.lava.lower.lower`, every port `(lanes, *shape)`; neurons keep Lava's own dynamics.

    Raises:
        InputError: a connection whose delay the hardware cannot hold.
    """
    graph = Graph()
    for population in network.populations:
        graph.nodes[population.name] = ProcessNode(StreamingLIF, _registers(network, population, tape, first_sample), PyStreamingLif)
    for c in network.connections:
        low, high = network.messages(c.source)
        params = {"lanes": tape.lanes, "largest": max(-low, high), "source": network.shape(c.source), "target": network[c.target].shape}
        name = f"synapse {c.name}"
        graph.nodes[name] = ProcessNode(LaneSynapses, params | {"connection": c, "delay": extra_delay(network, c)}, PyLaneSynapses)
        graph.wires.append(Wire(HOST if c.source == network.input.name else c.source, "s_out", name, "s_in"))
        graph.wires.append(Wire(name, "a_out", c.target, "a_in"))
    add_host(graph, tape, tapped)
    return graph


def _registers(network: QuantizedNetwork, population: Population[IntegerNeuron], tape: LaneTape, first_sample: int) -> dict:
    neuron, line, shape = population.neuron, tape.timeline, (tape.lanes, *population.shape)
    return {
        "shape": shape,
        "du": scalar_or_full(neuron.du, shape),
        "dv": scalar_or_full(neuron.dv, shape),
        "vth": scalar_or_full(neuron.threshold, shape),
        "bias_mant": np.broadcast_to(neuron.bias_mantissa, shape),
        "bias_exp": neuron.bias_exponent,
        "period": line.period,
        "depth": network.depths[population.name],
        "timesteps": line.timesteps,
        "reset": neuron.reset,
        "reset_value": neuron.reset_value,
        "noise": neuron.noise,
        "first_sample": first_sample,
        "lanes": tape.lanes,
    }
