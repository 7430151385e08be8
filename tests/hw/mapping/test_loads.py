"""Loads of cores against brute force: every spike, every synapse, every core, one by one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from support.networks.dense_form import unrolled
from support.networks.random_networks import random_network, random_stimulus

from spikeport.export.model.network import Connection, Dense, IntegerNeuron, Population
from spikeport.hw.mapping.cores import map_network
from spikeport.hw.mapping.loads import core_loads
from spikeport.hw.records.fanout import multiplications
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference
from spikeport.hw.semantics.limits import CHIPS, Core


def small_cores(neurons: int):
    """Loihi 1 with cores so small that every population lies on several."""
    return replace(CHIPS["loihi1"], core=Core(neurons, 1 << 20, None, True))


def core_of_each(placement) -> np.ndarray:
    """Number of the core that holds each neuron."""
    cores = np.full(placement.neurons, -1)
    number = np.arange(placement.neurons).reshape(placement.layout)
    for i, part in enumerate(placement.parts):
        cores[number[part].ravel()] = i
    assert (cores >= 0).all()
    return cores


@pytest.mark.parametrize("seed", range(25))
def test_loads_equal_brute_force(seed):
    network = random_network(seed)
    stimulus = random_stimulus(seed, network)
    record = reference.run(network, stimulus, "potentials")
    placed = map_network(network, small_cores(5))
    loads = core_loads(network, placed, stimulus, record)
    axons_in, read, axons_out = Counter(), Counter(), Counter()
    sent = {network.input.name: stimulus.over_time() != 0} | dict(record.spikes)
    for c in network.connections:
        if c.source not in sent:
            continue
        shape, placement = network.shape(c.source), placed[c.target]
        stored = np.ones_like(c.weight) if placement.encodings[c.name] != "sparse" else (c.weight != 0).astype(np.int8)
        matrix = unrolled(Connection("x", "a", "b", replace(c.op, weight=np.asarray(stored, np.int8)), c.pool), shape)
        place = core_of_each(placement)
        for s, t, *where in np.argwhere(sent[c.source]):
            neuron = int(np.ravel_multi_index(where, shape))
            for core in range(len(placement.parts)):
                reached = int(matrix[neuron][place == core].sum())
                read[c.name, s, t, core] += reached
                if reached:
                    axons_in[c.target, s, t, core] += 1
                    if c.source != network.input.name:
                        axons_out[c.source, s, t, core_of_each(placed[c.source])[neuron]] += 1
    for p in network.populations:
        for name, array in loads[p.name].read.items():
            assert {k: v for k, v in np.ndenumerate(array) if v} == {k[1:]: v for k, v in read.items() if k[0] == name and v}
        for counted, array in ((axons_in, loads[p.name].axons_in), (axons_out, loads[p.name].axons_out)):
            assert {k: v for k, v in np.ndenumerate(array) if v} == {k[1:]: v for k, v in counted.items() if k[0] == p.name}
        np.testing.assert_array_equal(loads[p.name].spikes.sum(axis=2), record.spike_counts[p.name] if p.neuron.spiking else 0)


@pytest.mark.parametrize("seed", range(10))
def test_active_neurons_are_those_that_hold_or_receive_something(seed):
    network = random_network(seed)
    stimulus = random_stimulus(seed, network)
    record = reference.run(network, stimulus, "potentials")
    placed = map_network(network, small_cores(5))
    loads = core_loads(network, placed, stimulus, record)
    for p in network.populations:
        v, place = record.potentials[p.name].reshape(*record.output.shape[:2], -1), core_of_each(placed[p.name])
        bias = np.broadcast_to(p.neuron.bias != 0, p.shape).ravel() | bool(p.neuron.noise)
        fired = record.spikes[p.name].reshape(v.shape) if p.neuron.spiking else np.zeros(v.shape, bool)
        received = np.zeros(v.shape, bool)
        for c in network.incoming(p.name):
            sent = stimulus.over_time() if c.source == network.input.name else record.spikes.get(c.source)
            matrix = unrolled(replace(c, op=replace(c.op, weight=(c.weight != 0).astype(np.int8))), network.shape(c.source))
            if sent is not None:
                reached = (sent != 0).reshape(*v.shape[:2], -1).astype(int) @ (matrix != 0)
                received[:, c.delay :] |= reached[:, : v.shape[1] - c.delay] > 0
        for s, t, core in np.ndindex(loads[p.name].active.shape):
            mine = [n for n in range(p.size) if place[n] == core]
            held = [bias[n] or received[s, t, n] or fired[s, t, n] or v[s, t, n] or (t and v[s, t - 1, n]) for n in mine]
            assert loads[p.name].active[s, t, core] == sum(map(bool, held))


def test_input_that_cancels_out_is_an_update():
    network = random_network(1)
    source, weight = network.input, np.array([[5, -5]], np.int8)
    neuron = IntegerNeuron(du=np.array(4095), dv=np.array(0), threshold=np.array(9), bias_mantissa=np.array(0))
    network = replace(
        network,
        input=replace(source, shape=(2,), low=0, high=1, offset=()),
        populations=(Population("a", (1,), neuron),),
        connections=(Connection("in", source.name, "a", Dense(weight)),),
        output="a",
        readout="spike_count",
    )
    stimulus = encode(network.input, np.array([[[1, 1], [0, 0]]]), 2)
    loads = core_loads(network, map_network(network, small_cores(5)), stimulus, reference.run(network, stimulus, "potentials"))
    assert loads["a"].active.ravel().tolist() == [1, 0]


@pytest.mark.parametrize("seed", range(25))
def test_multiplications_without_spikes_leave_padding_out(seed):
    """Each weight, zero ones too, once for every pair of neurons that it joins."""
    network = random_network(seed)
    for c in network.connections:
        shape = c.pooled_shape(network.shape(c.source))
        whole = replace(c, op=replace(c.op, weight=np.ones_like(c.weight)), pool=None)
        assert multiplications(c, network.shape(c.source)) == np.count_nonzero(unrolled(whole, shape))
