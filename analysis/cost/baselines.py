"""The same network without spikes, in int8 and with as many bits as its timesteps can tell apart,
data movement included.

A spiking network of T timesteps tells T + 1 levels of a neuron apart, as an activation of
ceil(log2(T + 1)) bits does (Yan et al. 2024, arXiv 2409.08290). Memory is counted as in Lemaire et
al. 2022 (arXiv 2210.13107), but a value that is read may serve several products.

    without spikes, a layer:  M products; weights and inputs read M / reuse times, but each at least
        once; outputs written once
    with spikes, a layer:     an addition per event, its weight read, the target's sum read and
        written; states read and written each step

The break-even rate is where both take the same energy on equal hardware, as a neuromorphic chip is:
all weights in its memories, nothing that was read used twice; spikes per source neuron and
timestep. Against a conventional accelerator, which reuses, it is lower. Padding counts on neither
side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, inf, log2

import numpy as np

from spikeport.analysis.cost.accelerator import KIB, Accelerator
from spikeport.export.model.network import Connection, Population, QuantizedNetwork
from spikeport.hw.records.fanout import multiplications, synapse_count
from spikeport.hw.records.record import SpikeRecord

INT8, NO_REUSE = 8, 1.0


@dataclass(frozen=True)
class LayerBaseline:
    """One layer without spikes. multiplications: per inference. arithmetic, movement: joules.
    unshared: joules if nothing read were reused and all weights were on the chip. spiking: joules
    of the layer with its spikes at the same prices, for T' = 1 .. T. rate: spikes per source neuron
    and timestep that came in, mean over synapses. break_even: the rate at which `spiking` is
    `unshared`; 0 where the visits of its neurons alone take more. Both for T' = 1 .. T.
    """

    name: str
    multiplications: int
    arithmetic: float
    movement: float
    unshared: float
    spiking: tuple[float, ...]
    rate: tuple[float, ...]
    break_even: tuple[float, ...]


@dataclass(frozen=True)
class Baseline:
    """The network without spikes. bits: of its activations; weights have 8. energy: joules an
    inference, low and high where reuse, banks and prices are at their ends together. accuracy:
    measured on test data, None where it was not.
    """

    bits: int
    accelerator: str
    energy: float
    low: float
    high: float
    layers: tuple[LayerBaseline, ...]
    accuracy: float | None = None

    @property
    def multiplications(self) -> int:
        """Multiply-accumulates an inference."""
        return sum(layer.multiplications for layer in self.layers)

    @property
    def arithmetic(self) -> float:
        """Joules without memory."""
        return sum(layer.arithmetic for layer in self.layers)

    @property
    def unshared(self) -> float:
        """Joules if nothing read were reused and all weights were on the chip."""
        return sum(layer.unshared for layer in self.layers)

    def spiking(self, timesteps: int) -> float:
        """Joules of the spiking network at the same prices."""
        return sum(layer.spiking[timesteps - 1] for layer in self.layers)


def level_bits(timesteps: int) -> int:
    """Bits that tell 0 .. T spikes apart."""
    return max(1, ceil(log2(timesteps + 1)))


def baselines(
    network: QuantizedNetwork, record: SpikeRecord, machine: Accelerator, measured: Mapping[int, float] | None = None
) -> tuple[Baseline, ...]:
    """In int8, then for every number of bits that T' = 1 .. T needs. measured: test accuracy by
    bits.
    """
    bits = dict.fromkeys([INT8, *(level_bits(t) for t in range(record.timesteps, 0, -1))])
    return tuple(_baseline(network, record, machine, b, (measured or {}).get(b)) for b in bits)


def _baseline(network: QuantizedNetwork, record: SpikeRecord, machine: Accelerator, bits: int, accuracy: float | None) -> Baseline:
    def total(reuse: float, bank: float) -> float:
        built = replace(machine, bank=replace(machine.bank, value=bank))
        return sum(sum(_without(network, p, built, bits, reuse)) for p in network.populations)

    bank, reuse = machine.bank, machine.reuse
    spread = 1 + machine.multiply.spread
    return Baseline(
        bits=bits,
        accelerator=machine.name,
        energy=total(reuse.value, bank.value),
        low=total(reuse.high, bank.low) / spread,
        high=total(reuse.low, bank.high) * spread,
        layers=tuple(_layer(network, record, p, machine, bits) for p in network.populations),
        accuracy=accuracy,
    )


def _layer(network: QuantizedNetwork, record: SpikeRecord, population: Population, machine: Accelerator, bits: int) -> LayerBaseline:
    incoming = network.incoming(population.name)
    arithmetic, movement = _without(network, population, machine, bits, machine.reuse.value)
    held = replace(machine, on_chip=replace(machine.on_chip, value=inf, high=inf))
    unshared, steps = sum(_without(network, population, held, bits, NO_REUSE)), np.arange(1, record.timesteps + 1)
    synapses = {c.name: synapse_count(c, network.shape(c.source)) for c in incoming}
    full = sum(_event(network, c, machine) * synapses[c.name] for c in incoming)
    visits = steps * _visits(population, machine)
    events = {c.name: record.synaptic_events[c.name].mean(axis=0).cumsum() for c in incoming}
    spiking = visits + sum(_event(network, c, machine) * events[c.name] for c in incoming)
    rate = sum(events.values()) / (steps * max(1, sum(synapses.values())))
    break_even = np.clip((unshared - visits) / (steps * max(full, 1e-300)), 0, None)
    return LayerBaseline(
        name=population.name,
        multiplications=sum(multiplications(c, network.shape(c.source)) for c in incoming),
        arithmetic=arithmetic,
        movement=movement,
        unshared=unshared,
        spiking=tuple(spiking.tolist()),
        rate=tuple(rate.tolist()),
        break_even=tuple(break_even.tolist()),
    )


def _without(network: QuantizedNetwork, population: Population, machine: Accelerator, bits: int, reuse: float) -> tuple[float, float]:
    """Arithmetic and movement of a layer without spikes, joules."""
    arithmetic, movement = 0.0, bits * population.size * machine.access(bits * population.size)
    for c in network.incoming(population.name):
        inputs, taken = int(np.prod(c.pooled_shape(network.shape(c.source)))), _activation_bits(network, c, bits)
        products = multiplications(c, network.shape(c.source))
        arithmetic += products * machine.product(taken)
        movement += INT8 * max(c.weight.size, products / reuse) * machine.access(_weight_bits(c)) + _fetched(network, c, machine)
        movement += taken * max(inputs, products / reuse) * machine.access(taken * inputs)
    return arithmetic, movement


def _event(network: QuantizedNetwork, connection: Connection, machine: Accelerator) -> float:
    """Joules of one synaptic event at the accelerator's prices; of a graded message it is a
    product.
    """
    graded = connection.source == network.input.name and not network.input.binary
    arithmetic = machine.product(INT8) if graded else machine.product(0)
    width, targets = machine.accumulator.value, network[connection.target].size
    return arithmetic + INT8 * machine.access(_weight_bits(connection)) + 2 * width * machine.access(width * targets)


def _visits(population: Population, machine: Accelerator) -> float:
    """Joules of one timestep's visits: every state read and written."""
    width = machine.accumulator.value
    return 2 * width * population.size * machine.access(width * population.size)


def _fetched(network: QuantizedNetwork, connection: Connection, machine: Accelerator) -> float:
    """Joules of bringing a connection's weights from outside once; 0 where the network's weights
    fit on the chip.
    """
    if sum(map(_weight_bits, network.connections)) <= machine.on_chip.value * KIB:
        return 0.0
    return machine.fetched(_weight_bits(connection))


def _weight_bits(connection: Connection) -> int:
    return INT8 * connection.weight.size


def _activation_bits(network: QuantizedNetwork, connection: Connection, bits: int) -> int:
    """An input that is graded keeps its 8 bits."""
    return INT8 if connection.source == network.input.name and not network.input.binary else bits
