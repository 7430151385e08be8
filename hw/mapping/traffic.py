"""Messages between cores: how many each core sends to each other one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from spikeport.export.model.network import Connection, QuantizedNetwork
from spikeport.hw.mapping.cores import NetworkMap, Placement, part_of
from spikeport.hw.records.fanout import fan_out


@dataclass(frozen=True, eq=False)
class Traffic:
    """Messages by connection between populations, float64 `(T, cores of the source, cores of the
    target)`; the input's are not in it.
    """

    placed: NetworkMap
    messages: Mapping[str, np.ndarray]
    ends: Mapping[str, tuple[str, str]]

    @property
    def matrix(self) -> np.ndarray:
        """All timesteps together over all cores of the network, `(cores, cores)`, cores numbered in
        order of populations.
        """
        total = np.zeros((self.placed.cores,) * 2)
        for name, block in self.messages.items():
            source, target = (self.numbers(end) for end in self.ends[name])
            total[np.ix_(source, target)] += block.sum(axis=0)
        return total

    def numbers(self, population: str) -> np.ndarray:
        """A population's cores among all of the network."""
        first = 0
        for placement in self.placed.placements:
            if placement.name == population:
                return np.arange(first, first + len(placement.parts))
            first += len(placement.parts)
        raise KeyError(population)


def traffic(
    network: QuantizedNetwork,
    placed: NetworkMap,
    spikes: Mapping[str, np.ndarray] | None = None,
    reach: Mapping[str, np.ndarray] | None = None,
) -> Traffic:
    """A spike is one message to every core that holds a synapse of it.

    spikes: `(T, neurons)` of each spiking population; by default one of every neuron. reach: of
    each connection, where it is known already.
    """
    messages, ends = {}, {}
    for c in network.connections:
        if c.source == network.input.name or not network[c.source].neuron.spiking:
            continue
        table = reach[c.name] if reach else core_reach(network, c, placed[c.target])
        fired = spikes[c.source] if spikes else np.ones((1, network[c.source].size))
        wired, cores = (table > 0).astype(np.float64), holders(placed[c.source])
        messages[c.name] = np.stack([fired[:, mine] @ wired[mine] for mine in cores], axis=1)
        ends[c.name] = (c.source, c.target)
    return Traffic(placed, messages, ends)


def core_reach(network: QuantizedNetwork, connection: Connection, placement: Placement) -> np.ndarray:
    """Synapses that a spike of each source neuron reads on each core, float32 `(source neurons,
    cores)`.
    """
    source, zeros = network.shape(connection.source), placement.encodings[connection.name] != "sparse"
    parts = (part_of(connection, source, placement.layout, part) for part in placement.parts)
    return np.stack([fan_out(connection, source, part, zeros=zeros).ravel() for part in parts], axis=1).astype(np.float32)


def holders(placement: Placement) -> list[np.ndarray]:
    """The neurons that each core holds, by number."""
    number = np.arange(prod(placement.layout)).reshape(placement.layout)
    return [number[part].ravel() for part in placement.parts]
