"""The reference's memory: blocks of samples give the same record, and it holds what was asked for
and little else.
"""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from support.networks.random_networks import random_network, random_stimulus
from support.oracles.same import assert_equal
from support.stated import INT8

from spikeport.export.model.network import Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Dense
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference


@pytest.mark.parametrize("level", ["counts", "spikes", "potentials"])
@pytest.mark.parametrize("seed", range(6))
def test_blocks_of_samples_are_one_run(monkeypatch, seed, level):
    """Noise, overflows and delays of random networks do not depend on how many samples are run at
    once.
    """
    network = random_network(seed, edge=True)
    stimulus = random_stimulus(seed, network)
    whole = reference.run(network, stimulus, level)
    finished: list[int] = []
    monkeypatch.setattr(reference, "BLOCK", 1)
    assert_equal(reference.run(network, stimulus, level, progress=finished.append), whole)
    assert finished == [1] * len(stimulus)


def test_lower_levels_keep_less_of_the_same(seed=3):
    network = random_network(seed)
    stimulus = random_stimulus(seed, network)
    counts, spikes, potentials = (reference.run(network, stimulus, level) for level in ("counts", "spikes", "potentials"))
    assert not counts.spikes and not spikes.potentials and set(potentials.potentials) == {p.name for p in network.populations}
    np.testing.assert_equal(spikes.spikes, potentials.spikes)
    for name in ("output", "spike_counts", "synaptic_events", "overflows"):
        np.testing.assert_equal(getattr(counts, name), getattr(potentials, name))
        np.testing.assert_equal(getattr(spikes, name), getattr(potentials, name))


SAMPLES, STEPS, NEURONS = 1500, 16, 1000
RASTERS = SAMPLES * STEPS * NEURONS
"""Bytes of all spikes; potentials take four times as many more."""
BLOCKS = 32 * reference.BLOCK
"""Bytes of a block at work, whatever the number of samples."""


@pytest.mark.parametrize(("level", "kept"), [("counts", 0), ("spikes", RASTERS), ("potentials", 5 * RASTERS)])
def test_memory_is_what_the_record_holds_and_one_block(level, kept):
    neuron = IntegerNeuron(np.int32(4095), np.int32(400), np.int32(90), np.int32(0))
    rng = np.random.default_rng(0)
    first = Connection("1", "in", "a", Dense(rng.integers(-99, 99, (NEURONS, 8)).astype(np.int8)))
    second = Connection("2", "a", "b", Dense(rng.integers(-99, 99, (2, NEURONS)).astype(np.int8)))
    populations = (Population("a", (NEURONS,), neuron), Population("b", (2,), neuron))
    network = QuantizedNetwork(Input("in", (8,)), populations, (first, second), "b", "spike_count", STEPS, **INT8)
    stimulus = encode(network.input, np.ones((SAMPLES, 8), np.uint8), STEPS)
    tracemalloc.start()
    reference.run(network, stimulus, level)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert kept < peak < kept + BLOCKS
