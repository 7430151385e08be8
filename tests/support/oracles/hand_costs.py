"""A network small enough to price by hand, and devices to price it on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from support.stated import INT8

from spikeport.analysis.cost.devices import (
    INJECTION,
    MANAGEMENT,
    Device,
    device_named,
)
from spikeport.export.model.network import Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Dense
from spikeport.hw.mapping.cores import map_network
from spikeport.hw.mapping.loads import core_loads
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference


def without(device: Device, *terms: str) -> Device:
    """The device with no price for some terms."""
    energy, time = ({k: p for k, p in prices.items() if k not in terms} for prices in (device.energy, device.time))
    return replace(device, energy=energy, time=time)


LOIHI1, LOIHI2 = device_named("loihi1"), device_named("loihi2")
CORES = without(LOIHI1, MANAGEMENT, INJECTION)
"""Loihi 1 between steps: what cores and links do."""


def neuron(bias: int = 0) -> IntegerNeuron:
    array = np.array
    return IntegerNeuron(du=array(4095), dv=array(0), threshold=array(9), bias_mantissa=array([bias, 0]))


def by_hand(graded: bool = False) -> QuantizedNetwork:
    """Three inputs -> two neurons (one with a bias) -> two neurons; one zero weight in each matrix."""
    source = Input("input", (3,), low=0, high=255 if graded else 1)
    return QuantizedNetwork(
        input=source,
        populations=(Population("a", (2,), neuron(bias=1)), Population("b", (2,), neuron())),
        connections=(
            Connection("in", "input", "a", Dense(np.array([[10, 10, 0], [10, 10, 10]], np.int8))),
            Connection("ab", "a", "b", Dense(np.array([[4, 0], [4, 4]], np.int8))),
        ),
        output="b",
        readout="spike_count",
        timesteps=2,
        **INT8,
    )


def record_by_hand(network: QuantizedNetwork):
    """Step 0: inputs 0 and 2 fire: 2 + 1 events; both a fire: 2 + 1 events; b silent (8, 4).

    Step 1: silence, but b keeps its potential.
    """
    return reference.run(network, encode(network.input, np.array([[[1, 0, 1], [0, 0, 0]]]), 2))


def loads_of(network, stimulus, device):
    """Of all samples, from the definition itself."""
    return core_loads(network, map_network(network, device.chip), stimulus, reference.run(network, stimulus, "potentials"))
