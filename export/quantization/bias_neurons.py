"""A bias of the synaptic current, which no register holds, as synapses from a neuron that fires at
every timestep: exact.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikeport.export.model.frozen import frozen_array
from spikeport.export.model.network import FloatNetwork, FloatNeuron, Population
from spikeport.export.model.synapse import Connection, Dense


def with_bias_neurons(network: FloatNetwork) -> FloatNetwork:
    """The same spikes without any `current_bias`.

    A current without memory (alpha = 0) is no other than the potential's, so its bias goes there.
    Else one neuron `<population>.bias`, which fires at every timestep from the first on, drives the
    population through weights that are the bias; its synaptic events are counted like all others.
    """
    populations: list[Population[FloatNeuron]] = []
    connections = list(network.connections)
    for p in network.populations:
        n = p.neuron
        if n.current_bias.any() and n.alpha.any():
            source = Population(f"{p.name}.bias", (1,), always_firing())
            weight = np.broadcast_to(n.current_bias, p.shape).reshape(-1, 1)
            connections.append(Connection(f"{p.name}.bias", source.name, p.name, Dense(frozen_array(weight))))
            populations.append(source)
            n = replace(n, current_bias=frozen_array(0.0))
        elif n.current_bias.any():
            n = replace(n, bias=n.bias + n.current_bias, current_bias=frozen_array(0.0))
        populations.append(replace(p, neuron=n))
    return replace(network, populations=tuple(populations), connections=tuple(connections))


def always_firing() -> FloatNeuron:
    """A neuron without memory whose bias is twice its threshold."""
    zero = frozen_array(0.0)
    return FloatNeuron(alpha=zero, beta=zero, threshold=frozen_array(1.0), bias=frozen_array(2.0))
