"""Everything about a network that does not depend on the data: order of work, synapses, neurons,
memory per sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod

import numpy as np
import torch

from spikeport.export.model.network import Connection, Population, QuantizedNetwork
from spikeport.hw.engine.compiled.kernels import COUNT_LIMIT
from spikeport.hw.engine.layout import to_engine
from spikeport.hw.engine.neurons import CompiledNeurons, Neurons, TorchNeurons
from spikeport.hw.engine.synapse import Synapse
from spikeport.hw.records.fanout import fan_out
from spikeport.hw.semantics.bounds import INT32_EXACT, Bounds


@dataclass(frozen=True)
class Group:
    """Populations that must advance together, timestep by timestep, because they form a loop; or a
    single one that need not.
    """

    populations: tuple[str, ...]
    looped: bool


@lru_cache(maxsize=4)
def plan_for(network: QuantizedNetwork, timesteps: int, device: str | torch.device | None) -> Plan:
    """The plan of a network, kept for the next runs of the same one (networks are immutable and
    compared by identity).
    """
    return Plan(network, timesteps, device)


class Plan:
    """How to run a network for a number of timesteps. device None: compiled on the CPU; else
    PyTorch on that device.
    """

    def __init__(self, network: QuantizedNetwork, timesteps: int, device: str | torch.device | None) -> None:
        self.network, self.timesteps, self.compiled = network, timesteps, device is None
        self.device = torch.device(device or "cpu")
        self.bounds = Bounds(network, timesteps)
        self.synapses = {c.name: Synapse(network, c, self.bounds.sums[c.name], self.device, self.compiled) for c in network.connections}
        self.neurons: dict[str, Neurons] = {p.name: self._neurons(p) for p in network.populations}
        self.input_reach = to_engine(self._fan_outs(network.input.name), network.input.shape)

    def _neurons(self, population: Population) -> Neurons:
        reach, bound = self._fan_outs(population.name), self.bounds.states[population.name]
        partial = max((self.bounds.sums[c.name].partial for c in self.network.incoming(population.name)), default=0)
        if self.compiled and bound.int32_exact and partial < INT32_EXACT and reach.max(initial=0) < COUNT_LIMIT:
            return CompiledNeurons(population, reach, bound)
        return TorchNeurons(population, reach, self.device)

    def _fan_outs(self, source: str) -> np.ndarray:
        """Fan-out of every outgoing connection, int64 `(connections, *shape)`."""
        shape, outgoing = self.network.shape(source), self.network.outgoing(source)
        return np.array([fan_out(c, shape) for c in outgoing], np.int64).reshape(len(outgoing), *shape)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Strongly connected components, in the order in which they depend on each other."""
        names = [p.name for p in self.network.populations]
        reaches = np.eye(len(names), dtype=bool)
        for c in self.network.connections:
            if c.source in names:
                reaches[names.index(c.source), names.index(c.target)] = True
        for middle in range(len(names)):  # Warshall's transitive closure
            reaches |= reaches[:, [middle]] & reaches[[middle], :]
        together = reaches & reaches.T
        upstream = {tuple(np.flatnonzero(row)): int(reaches[:, row].any(1).sum()) for row in together}
        loops = {c.source for c in self.network.connections if c.source == c.target}
        members = [tuple(names[i] for i in group) for group in sorted(upstream, key=lambda g: upstream[g])]
        return tuple(Group(m, len(m) > 1 or m[0] in loops) for m in members)

    @property
    def notes(self) -> dict[str, str]:
        """Per connection, why it does not run as fast as its bounds would allow on another
        processor.
        """
        return {name: synapse.note for name, synapse in self.synapses.items() if synapse.note}

    def bytes_per_sample(self, held: bool) -> int:
        """Working memory of one sample: every population's state and raster, and the busiest
        connection's messages and sums.
        """
        state = sum(p.size * (8 + 2 * self.timesteps) for p in self.network.populations)
        busiest = max((self._connection_bytes(c, held) for c in self.network.connections), default=0)
        return state + busiest + 8 * prod(self.network.input.shape)

    def _connection_bytes(self, connection: Connection, held: bool) -> int:
        """Pooled messages as bytes and as float32, sums in 4 bytes; both twice that in float64."""
        source = self.network.shape(connection.source)
        read = prod(connection.pool.output_shape(source) if connection.pool else source)
        steps = 1 if held and connection.source == self.network.input.name else self.timesteps
        wide = 1 if self.bounds.sums[connection.name].float32_exact else 2
        return steps * wide * (5 * read + 4 * self.network[connection.target].size)
