"""The fewest cores that any placement could do with, to stand beside what a placement takes."""

from __future__ import annotations

from spikeport.export.model.network import Connection, Population, QuantizedNetwork
from spikeport.hw.mapping.encoding import INDEX_BITS, encodings, store
from spikeport.hw.semantics.limits import Chip


def fewest_cores(network: QuantizedNetwork, chip: Chip) -> int:
    """A lower bound on the cores of a network, each population having cores of its own.

    Neurons and synaptic memory alone, as if a population lay on one core that is large enough:
    cutting it stores kernels and axons again, and never less. Indices have the fewest bits there
    are.
    """
    return sum(_fewest(network, population, chip) for population in network.populations)


def _fewest(network: QuantizedNetwork, population: Population, chip: Chip) -> int:
    bits = sum(_least_bits(network, c, chip) for c in network.incoming(population.name))
    return max(-(-population.size // chip.core.neurons), -(-bits // chip.core.synapse_bits))


def _least_bits(network: QuantizedNetwork, connection: Connection, chip: Chip) -> int:
    """Memory of a whole connection in its smallest encoding."""
    source, bits = network.shape(connection.source), network.weight_bits
    return min(store(connection, source, e, (), 1 << INDEX_BITS[0], bits, chip.core).bits for e in encodings(connection, source))
