"""Events per layer as exact integers, from a record: what is paid for, before any price.

A layer is a population with everything that enters it. Synaptic events count where they are handled, at the target, and at the
step they were sent (an axonal delay moves them in time, not in number).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from spikeport.analysis.devices import ACCESS, AXON_IN, AXON_OUT, CONVOLUTION, DENSE, GRADED, SPARSE, SPIKE, UPDATE, Device
from spikeport.export.network import Connection, Conv, Dense, IntegerNeuron, Population, QuantizedNetwork
from spikeport.hw.fanout import multiplications, synapses
from spikeport.hw.record import SpikeRecord


@dataclass(frozen=True, eq=False)
class LayerCounts:
    """Events of one layer per sample and timestep, int64 `(samples, T)` by term.

    cores: by neuron and synapse limits, neurons spread evenly. depth: hardware timesteps behind the input. synapses: nonzero,
    unrolled. "neuron access" is every neuron at every step; "neuron update" those that receive an event or hold a bias, at
    most (a neuron that receives two events counts twice, up to all neurons).
    """

    name: str
    neurons: int
    cores: int
    depth: int
    synapses: int
    events: dict[str, np.ndarray]

    @property
    def operations(self) -> np.ndarray:
        """Synaptic events and graded multiply-accumulates together."""
        none = np.zeros_like(self.events[ACCESS])
        return sum((self.events[t] for t in (DENSE, CONVOLUTION, SPARSE, GRADED) if t in self.events), start=none)


def layer_counts(network: QuantizedNetwork, record: SpikeRecord, device: Device) -> tuple[LayerCounts, ...]:
    """Counts of every population, in order of update."""
    cores = {p.name: cores_needed(network, p, device) for p in network.populations}
    return tuple(
        LayerCounts(
            name=p.name,
            neurons=p.size,
            cores=cores[p.name],
            depth=network.depths[p.name],
            synapses=_synapses(network, p),
            events=_events(network, record, p, cores),
        )
        for p in network.populations
    )


def cores_needed(network: QuantizedNetwork, population: Population, device: Device) -> int:
    """Cores for a population by itself: its neurons, and the synapses that end in it at one byte each."""
    return max(ceil(population.size / device.neurons_per_core), ceil(_synapses(network, population) / device.synapse_bytes))


def ann_multiplications(network: QuantizedNetwork) -> int:
    """Multiply-accumulates of one inference of the same network without spikes."""
    return sum(multiplications(c, network.shape(c.source)) for c in network.connections)


def _synapses(network: QuantizedNetwork, population: Population) -> int:
    return sum(synapses(c, network.shape(c.source)) for c in network.incoming(population.name))


def _events(
    network: QuantizedNetwork, record: SpikeRecord, population: Population[IntegerNeuron], cores: dict[str, int]
) -> dict[str, np.ndarray]:
    incoming, spikes = network.incoming(population.name), record.spike_counts[population.name]
    none = np.zeros_like(spikes)
    events: dict[str, np.ndarray] = {}
    for connection in incoming:
        term = _term(network, connection)
        events[term] = events.get(term, none) + record.synaptic_events[connection.name]
    received = sum((record.synaptic_events[c.name] for c in incoming), start=none)
    return events | {
        ACCESS: np.full_like(spikes, population.size),
        UPDATE: np.minimum(population.size, received + _always_active(population)),
        SPIKE: spikes,
        AXON_OUT: spikes * sum(cores[c.target] for c in network.outgoing(population.name)),
        AXON_IN: cores[population.name] * sum((record.spike_counts[c.source] for c in incoming), start=none),
    }


def _term(network: QuantizedNetwork, connection: Connection) -> str:
    if connection.source == network.input.name and not network.input.binary:
        return GRADED
    return DENSE if isinstance(connection.op, Dense) else CONVOLUTION if isinstance(connection.op, Conv) else SPARSE


def _always_active(population: Population[IntegerNeuron]) -> int:
    """Neurons that change at every step without input: those with a bias or noise."""
    if population.neuron.noise:
        return population.size
    return int(np.count_nonzero(np.broadcast_to(population.neuron.bias, population.shape)))
