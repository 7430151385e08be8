"""What each core really handles: events and messages of every core, sample and timestep, from
rasters and a placement.

A spike is one message for every core that holds a synapse of it, and a core reads the synapses that
lie on it: neither follows from the number of spikes alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.mapping.cores import NetworkMap, Placement
from spikeport.hw.mapping.mesh import Mesh, arranged
from spikeport.hw.mapping.touched import touched
from spikeport.hw.mapping.traffic import Traffic, core_reach, holders, traffic
from spikeport.hw.records.record import SpikeRecord
from spikeport.hw.records.stimulus import Stimulus


@dataclass(frozen=True, eq=False)
class CoreLoads:
    """One population's cores; arrays are int64 `(samples, T, cores)`.

    axons_in: messages that arrive. arrivals: `(samples, T)`, messages sent into the population,
    once each. read: synapses that they make the core read, by connection. spikes: of the core's
    neurons.
    axons_out: messages that they send, one for every core that a neuron leads to. active: neurons
    with a bias, noise, input at this timestep (also where it cancels out), or a membrane potential
    other than 0 before or after it. neurons: of each core, `(cores,)`.
    """

    axons_in: np.ndarray
    arrivals: np.ndarray
    read: Mapping[str, np.ndarray]
    spikes: np.ndarray
    axons_out: np.ndarray
    active: np.ndarray
    neurons: np.ndarray


@dataclass(frozen=True, eq=False)
class NetworkLoads:
    """Loads of every population, by name, and the placement that they are of. traffic: messages
    between cores, of the mean sample.
    """

    placed: NetworkMap
    populations: Mapping[str, CoreLoads]
    traffic: Traffic

    @cached_property
    def mesh(self) -> Mesh:
        """Where the cores lie, placed for this traffic."""
        return arranged(self.traffic)

    def __getitem__(self, name: str) -> CoreLoads:
        return self.populations[name]


def core_loads(network: QuantizedNetwork, placed: NetworkMap, stimulus: Stimulus, record: SpikeRecord) -> NetworkLoads:
    """Loads of every population. record: of this stimulus, at level "potentials"."""
    sent = {network.input.name: _flat(stimulus.over_time() != 0)} | {
        p.name: _flat(record.spikes[p.name]) if p.neuron.spiking else np.zeros((*record.output.shape[:2], p.size), np.float32)
        for p in network.populations
    }
    reach = {c.name: core_reach(network, c, placed[c.target]) for c in network.connections}
    loads = {p.name: _loads(network, placed, p.name, sent, reach, record) for p in network.populations}
    return NetworkLoads(placed, loads, traffic(network, placed, {name: raster.mean(axis=0) for name, raster in sent.items()}, reach))


def _loads(network: QuantizedNetwork, placed: NetworkMap, name: str, sent: Mapping[str, np.ndarray], reach, record) -> CoreLoads:
    placement, incoming = placed[name], network.incoming(name)
    own = _inside(placement)
    leads = sum((_wired(reach[c.name]).sum(axis=1) for c in network.outgoing(name)), start=np.zeros(placement.neurons, np.float32))
    none = np.zeros((*record.output.shape[:2], len(placement.parts)), np.int64)
    return CoreLoads(
        axons_in=sum((_product(sent[c.source], _wired(reach[c.name])) for c in incoming), start=none),
        arrivals=np.sum([np.count_nonzero(sent[c.source], axis=2) for c in incoming], axis=0, dtype=np.int64),
        read={c.name: _product(sent[c.source], reach[c.name]) for c in incoming},
        spikes=_product(sent[name], own),
        axons_out=_product(sent[name], own * leads[:, None]),
        active=_product(_active(network, name, sent, record), own),
        neurons=own.sum(axis=0).astype(np.int64),
    )


def _wired(reach: np.ndarray) -> np.ndarray:
    return (reach > 0).astype(np.float32)


def _inside(placement: Placement) -> np.ndarray:
    """Which core holds each neuron, `(neurons, cores)`."""
    inside = np.zeros((placement.neurons, len(placement.parts)), np.float32)
    for core, mine in enumerate(holders(placement)):
        inside[mine, core] = 1
    return inside


def _active(network: QuantizedNetwork, name: str, sent: Mapping[str, np.ndarray], record: SpikeRecord) -> np.ndarray:
    """Neurons that are updated, as the fitted prices define it, float32 `(samples, T, neurons)`."""
    population = network[name]
    v = _flat(record.potentials[name] != 0) > 0
    active = v | np.concatenate([np.zeros_like(v[:, :1]), v[:, :-1]], axis=1)
    active |= np.broadcast_to((population.neuron.bias != 0) | bool(population.neuron.noise), population.shape).ravel()
    if population.neuron.spiking:
        active |= _flat(record.spikes[name]) > 0
    for c in network.incoming(name):
        reached = touched(c, sent[c.source], network.shape(c.source))
        active[:, c.delay :] |= reached[:, : reached.shape[1] - c.delay]
    return active.astype(np.float32)


def _flat(raster: np.ndarray) -> np.ndarray:
    """`(samples, T, neurons)`, float32 for the products: counts below 2^24 are exact."""
    return raster.reshape(*raster.shape[:2], -1).astype(np.float32)


def _product(sent: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Events per core, exact: in float64 where a sum may pass 2^24."""
    exact = np.float32 if matrix.sum(axis=0).max(initial=0) < 1 << 24 else np.float64
    return np.rint(sent.astype(exact) @ matrix.astype(exact)).astype(np.int64)
