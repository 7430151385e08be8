"""Events per layer as exact integers, from a record: what is paid for, before any price.

A layer is a population with everything that enters it. Synaptic events count where they are
handled, at the target, and at the step they were sent (an axonal delay moves them in time, not in
number). Which synapses a spike makes a core read is a matter of their
encoding (`hw.mapping.encoding`, chosen by `hw.mapping.cores`): a sparse list holds no zero weights,
a dense one holds and reads them all. Zeros in a shared kernel are not counted; `cost` names them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from spikeport.analysis.cost.devices import (
    ACCESS,
    AXON_IN,
    AXON_OUT,
    CONVOLUTION,
    CROSSING,
    DENSE,
    EAST_WEST,
    GRADED,
    INJECTION,
    MANAGEMENT,
    NORTH_SOUTH,
    SPARSE,
    SPIKE,
    UPDATE,
    Device,
)
from spikeport.analysis.cost.profile import core_time, peak, per_event
from spikeport.export.model.network import Connection, IntegerNeuron, Population, QuantizedNetwork
from spikeport.hw.mapping.cores import NetworkMap, Placement, map_network
from spikeport.hw.mapping.encoding import Encoding
from spikeport.hw.mapping.loads import NetworkLoads
from spikeport.hw.mapping.mesh import Load, Mesh, in_order, load
from spikeport.hw.records.fanout import synapse_count
from spikeport.hw.records.record import SpikeRecord


@dataclass(frozen=True)
class Kernels:
    """Synapses that lie in shared kernels, unrolled, and how many of them are 0."""

    synapses: int = 0
    zeros: int = 0


@dataclass(frozen=True, eq=False)
class LayerCounts:
    """Events of one layer per sample and timestep, int64 `(samples, T)` by term.

    cores: of the mapping. peak: how many times the mean core's time the busiest takes, `(T,)`; 1
    where no core was looked at. busy: mean nanoseconds a timestep of each core, `(cores,)`; empty
    where none was looked at. depth: hardware timesteps behind the input. synapses: nonzero,
    unrolled. "neuron access" is every neuron at every step; "neuron update" as
    the fitted source has it: a membrane potential other than 0, input, or a bias. Events that
    depend on cores are exact on the samples whose cores were looked at, and scaled from them to the
    others; without such a look, every spike is a message to all cores of its target, and neurons
    that receive an event or hold a bias are updated, at most: upper bounds.
    """

    name: str
    neurons: int
    cores: int
    depth: int
    synapses: int
    events: dict[str, np.ndarray]
    peak: np.ndarray = field(default_factory=lambda: np.ones(1))
    busy: np.ndarray = field(default_factory=lambda: np.zeros(0))
    kernels: Kernels = Kernels()

    @property
    def operations(self) -> np.ndarray:
        """Synaptic events and graded multiply-accumulates together."""
        none = np.zeros_like(self.events[ACCESS])
        return sum((self.events[t] for t in (DENSE, CONVOLUTION, SPARSE, GRADED) if t in self.events), start=none)


@dataclass(frozen=True, eq=False)
class NetworkCounts:
    """Events of a network per sample and timestep.

    layers: in order of update. events: of the whole network by term, `(samples, T)`, those of no
    layer included. heaviest_link: messages over the busiest link, `(samples, T)`: the profiled
    samples' mean, in proportion to each sample's messages; 0 where no core was looked
    at. ways: of messages on the mesh, mean sample, as placed and in layer-by-layer order.
    """

    layers: tuple[LayerCounts, ...]
    cores: int
    chips: int
    placed: NetworkMap
    events: dict[str, np.ndarray]
    heaviest_link: np.ndarray
    ways: tuple[Load, Load] | None
    mesh: Mesh | None

    @property
    def depth(self) -> int:
        """Hardware timesteps from input to output."""
        return max(layer.depth for layer in self.layers)


def network_counts(network: QuantizedNetwork, record: SpikeRecord, device: Device, loads: NetworkLoads | None = None) -> NetworkCounts:
    """Counts of a whole network. loads: as in `layer_counts`."""
    placed = loads.placed if loads else map_network(network, device.chip)
    layers = layer_counts(network, record, device, loads)
    chips = -(-placed.cores // device.cores)
    none = np.zeros(record.output.shape[:2], np.int64)
    events: dict[str, np.ndarray] = {}
    for layer in layers:
        for term, n in layer.events.items():
            events[term] = events.get(term, none) + n
    events |= {MANAGEMENT: np.full_like(none, chips), INJECTION: record.spike_counts[network.input.name]}
    ways = (load(loads.traffic, loads.mesh), load(loads.traffic, in_order(loads.traffic))) if loads else None
    link = _heaviest_link(loads, ways[0], events[AXON_OUT]) if loads and ways else none
    return NetworkCounts(layers, placed.cores, chips, placed, events, link, ways, loads.mesh if loads else None)


def _heaviest_link(loads: NetworkLoads, found: Load, sent: np.ndarray) -> np.ndarray:
    """sent: messages of each sample and timestep, `(samples, T)`."""
    steps = sent.shape[1]
    messages = np.sum([block.sum(axis=(1, 2)) for block in loads.traffic.messages.values()] or [np.zeros(steps)], axis=0)[:steps]
    heaviest = np.resize(found.heaviest, len(messages))[:steps]
    return sent * np.divide(heaviest, messages, out=np.zeros(steps), where=messages > 0)


def layer_counts(
    network: QuantizedNetwork, record: SpikeRecord, device: Device, loads: NetworkLoads | None = None
) -> tuple[LayerCounts, ...]:
    """Counts of every population, in order of update. loads: of every core on some samples, from
    `profile_cores`, which brings the placement along.
    """
    placed = loads.placed if loads else map_network(network, device.chip)
    return tuple(
        LayerCounts(
            name=p.name,
            neurons=p.size,
            cores=len(placed[p.name].cores),
            depth=network.depths[p.name],
            synapses=_synapses(network, p),
            events=_events(network, record, p, placed) | (_by_core(network, record, p, loads) if loads else {}),
            **(_busy(core_time(loads[p.name], _terms(network, p, placed), device)) if loads else {}),
            kernels=_kernels(network, placed[p.name]),
        )
        for p in network.populations
    )


def _busy(nanoseconds: np.ndarray) -> dict[str, np.ndarray]:
    """nanoseconds: of each core, `(samples, T, cores)`."""
    return {"peak": peak(nanoseconds), "busy": nanoseconds.mean(axis=(0, 1))}


def _kernels(network: QuantizedNetwork, placement: Placement) -> Kernels:
    """Synapses that lie in shared kernels, and the zeros among them."""
    shared = [c for c in network.incoming(placement.name) if placement.encodings[c.name] == "convolution"]
    stored = sum(placement.synapses[c.name] for c in shared)
    return Kernels(stored, stored - sum(synapse_count(c, network.shape(c.source)) for c in shared))


def _synapses(network: QuantizedNetwork, population: Population) -> int:
    return sum(synapse_count(c, network.shape(c.source)) for c in network.incoming(population.name))


def _events(
    network: QuantizedNetwork, record: SpikeRecord, population: Population[IntegerNeuron], placed: NetworkMap
) -> dict[str, np.ndarray]:
    incoming, spikes = network.incoming(population.name), record.spike_counts[population.name]
    none = np.zeros_like(spikes)
    events: dict[str, np.ndarray] = {}
    for connection in incoming:
        term = _term(network, connection, placed[population.name].encodings[connection.name])
        events[term] = events.get(term, none) + _read(record, connection, placed[population.name])
    received = sum(events.values(), start=none)
    return events | {
        ACCESS: np.full_like(spikes, population.size),
        UPDATE: np.minimum(population.size, received + _always_active(population)),
        SPIKE: spikes,
        AXON_OUT: spikes * sum(len(placed[c.target].cores) for c in network.outgoing(population.name)),
        AXON_IN: len(placed[population.name].cores) * sum((record.spike_counts[c.source] for c in incoming), start=none),
    }


def _by_core(
    network: QuantizedNetwork, record: SpikeRecord, population: Population[IntegerNeuron], loads: NetworkLoads
) -> dict[str, np.ndarray]:
    """Events that depend on which core holds what, scaled from the samples whose cores were looked
    at.
    """
    own, steps = loads[population.name], record.timesteps
    samples = len(own.spikes)
    arrivals = sum((record.spike_counts[c.source] for c in network.incoming(population.name)), start=np.zeros(record.output.shape[:2]))
    spikes = record.spike_counts[population.name]
    share = own.active[:, :steps].sum(axis=(0, 2)) / samples
    messages = spikes * per_event(own.axons_out[:, :steps], own.spikes.sum(axis=2)[:, :steps])
    return {
        UPDATE: np.broadcast_to(share, spikes.shape),
        AXON_OUT: messages,
        AXON_IN: arrivals * per_event(own.axons_in[:, :steps], own.arrivals[:, :steps]),
        **{term: messages * hops for term, hops in _hops(population.name, loads).items()},
    }


def _hops(name: str, loads: NetworkLoads) -> dict[str, float]:
    """Of a population's mean message, by direction; crossings between chips only where there are
    several.
    """
    mesh, sent = loads.mesh, loads.traffic
    blocks = [(sent.numbers(a), sent.numbers(b), sent.messages[c].sum(axis=0)) for c, (a, b) in sent.ends.items() if a == name]
    messages = sum(block.sum() for *_, block in blocks)
    ways = {EAST_WEST: mesh.east_west, NORTH_SOUTH: mesh.north_south} | ({CROSSING: mesh.crossings} if mesh.count > 1 else {})
    return {term: float(sum((block * way(a, b)).sum() for a, b, block in blocks)) / max(messages, 1e-300) for term, way in ways.items()}


def _terms(network: QuantizedNetwork, population: Population, placed: NetworkMap) -> dict[str, str]:
    """The kind of event that each connection into a population makes."""
    return {c.name: _term(network, c, placed[population.name].encodings[c.name]) for c in network.incoming(population.name)}


def _read(record: SpikeRecord, connection: Connection, placement: Placement) -> np.ndarray:
    """Synapses that a connection's spikes make cores read, int64 `(samples, T)`."""
    if placement.encodings[connection.name] == "dense":  # a spike of any source neuron reads a weight for every target
        return record.spike_counts[connection.source] * placement.neurons
    return record.synaptic_events[connection.name]


def _term(network: QuantizedNetwork, connection: Connection, encoding: Encoding) -> str:
    if connection.source == network.input.name and not network.input.binary:
        return GRADED
    return {"dense": DENSE, "convolution": CONVOLUTION, "sparse": SPARSE}[encoding]


def _always_active(population: Population[IntegerNeuron]) -> int:
    """Neurons that change at every step without input: those with a bias or noise."""
    if population.neuron.noise:
        return population.size
    return int(np.count_nonzero(np.broadcast_to(population.neuron.bias, population.shape)))
