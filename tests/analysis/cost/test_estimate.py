"""Energy and latency: against arithmetic by hand, against silicon, and what must be named or warned
of.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.networks.random_networks import random_network, random_stimulus
from support.oracles.hand_costs import CORES, LOIHI1, LOIHI2, by_hand, loads_of, neuron, record_by_hand
from support.stated import INT8

from spikeport.analysis.common.jsonable import from_json, to_json
from spikeport.analysis.cost.counts import LayerCounts, layer_counts
from spikeport.analysis.cost.devices import (
    ACCESS,
    AXON_IN,
    AXON_OUT,
    CONVOLUTION,
    DENSE,
    GRADED,
    INJECTION,
    MANAGEMENT,
    SPARSE,
    UPDATE,
)
from spikeport.analysis.cost.estimate import EVEN, estimate_cost
from spikeport.analysis.cost.result import Cost
from spikeport.analysis.cost.timing import barrier_time, busy_time
from spikeport.export.model.network import Input, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Dense
from spikeport.hw.mapping.cores import map_network
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference


def test_energy_and_latency_by_hand():
    network = by_hand()
    cost = estimate_cost(network, record_by_hand(network), CORES)
    picojoules = {
        "synaptic event, dense": 4 * 35.5,  # two spikes, two weights each: a sixth of zeros is too few for sparse lists
        "synaptic event, sparse": 3 * 33.6,  # a quarter is not
        "neuron access": 4 * 51.2,
        "neuron update": (2 + 2) * 21.6,  # a: min(2, 4 events + 1 bias); b: min(2, 3 events)
        "spike generation": 2 * 69.3,
        "axon out": 2 * 111.0,
    }
    second = 4 * 51.2 + 1 * 21.6  # silence: all neurons visited, the one with a bias updated
    first = sum(picojoules.values())
    assert cost.dynamic.mean == pytest.approx((first * 1e-12, (first + second) * 1e-12))
    assert {t.name: t.energy[0] for t in cost.terms if t.energy} == pytest.approx({k: v * 1e-12 for k, v in picojoules.items()})
    assert sum(layer.energy[1] for layer in cost.layers) == pytest.approx(cost.dynamic.mean[1])

    a = 4 * 3.8 + 2 * 6.0 + 2 * 3.7 + 2 * 30.0 + 2 * 5.1 + 2 * 16.0  # nanoseconds; 2 messages arrive, 2 leave
    b = 3 * 4.7 + 2 * 6.0 + 2 * 3.7 + 2 * 16.0
    rest = 2 * 6.0
    # depth of a is 1, of b 2: hardware steps 0 (nothing yet), 1, 2
    assert cost.latency.mean[0] == pytest.approx((rest + a + b + 3 * 600.0) * 1e-9)
    assert cost.period[0] == pytest.approx((a + 600.0) * 1e-9)
    assert cost.total.mean[0] == pytest.approx(cost.dynamic.mean[0] + cost.period[0] * 0.0295)
    assert (cost.cores, cost.depth, cost.operations) == (2, 2, (7.0, 7.0))
    assert cost.layers[0].step_energy == pytest.approx(np.diff((0, *cost.layers[0].energy)))
    memory, neurons, messages = 4 * 3.8, 2 * 6.0 + 2 * 3.7 + 2 * 30.0, 2 * 5.1 + 2 * 16.0
    idle = 2 * 6.0 + 1 * 3.7
    each = {"memory": memory / 2, "neurons": (neurons + idle) / 2, "messages": messages / 2}  # of two timesteps
    assert cost.layers[0].resources == pytest.approx({name: 1e-9 * value for name, value in each.items()})
    assert cost.step == pytest.approx({"busiest core": 1e-9 * (max(a, b) + idle) / 2, "heaviest link": 0.0, "barrier": 600e-9})
    assert cost.layers[0].binding == "neurons" and cost.waits == {"busiest core": 0.0, "heaviest link": 0.0, "barrier": 1.0}


def test_management_injection_and_host_are_terms_of_their_own():
    """Two messages go in at step 0, none at step 1; one chip."""
    network = by_hand()
    record = record_by_hand(network)
    alone, whole = (estimate_cost(network, record, device) for device in (CORES, LOIHI1))
    joule, second = (prices[MANAGEMENT].value for prices in (LOIHI1.energy, LOIHI1.time))
    message = LOIHI1.time[INJECTION].value
    np.testing.assert_allclose(np.subtract(whole.dynamic.mean, alone.dynamic.mean), 1e-12 * joule * np.array([1, 2]))
    np.testing.assert_allclose(np.subtract(whole.period, alone.period), 1e-9 * (second * np.array([1, 2]) + 2 * message))
    np.testing.assert_allclose(np.subtract(whole.latency.mean, alone.latency.mean), 1e-9 * (second * np.array([3, 4]) + 2 * message))
    assert whole.system and LOIHI1.host
    np.testing.assert_allclose(np.subtract(whole.system.mean, whole.total.mean), LOIHI1.host.value * np.array(whole.period))
    assert [t.name for t in whole.times if t.seconds is None] == []
    assert {f"time of {MANAGEMENT}", f"energy of {MANAGEMENT}"} <= set(alone.unpriced) and "host and input/output" in estimate_cost(
        network, record, LOIHI2
    ).unpriced
    products = np.array(whole.total.mean) * whole.latency.mean
    assert whole.delay_products["total"].mean == pytest.approx(products)
    assert set(whole.delay_products) == {"dynamic", "total", "system"}


def test_graded_input_is_counted_apart_and_priced_on_every_device():
    network = by_hand(graded=True)
    record = reference.run(network, encode(network.input, np.array([[200, 0, 7]]), 2))
    for device in (LOIHI2, LOIHI1):
        cost = estimate_cost(network, record, device)
        term = next(t for t in cost.terms if t.name == GRADED)
        assert term.count == (4.0, 8.0) and term.energy  # two messages, two weights each
        assert device.energy[GRADED].evidence == "assumed"
    assert any("no graded input" in w for w in cost.warnings)
    assert "time of spike generation" in estimate_cost(network, record, LOIHI2).unpriced


@pytest.mark.parametrize("seed", range(12))
def test_terms_layers_and_curves_agree_on_random_networks(seed):
    network = random_network(seed)
    record = reference.run(network, random_stimulus(seed, network))
    cost = estimate_cost(network, record, LOIHI2)
    assert sum(np.array(t.energy) for t in cost.terms if t.energy) == pytest.approx(np.array(cost.dynamic.mean))
    assert sum(np.array(layer.energy) for layer in cost.layers) == pytest.approx(np.array(cost.dynamic.mean))
    placed = map_network(network, LOIHI2.chip)
    dense = {c.name for c in network.connections if placed[c.target].encodings[c.name] == "dense"}
    read = [
        record.spike_counts[c.source] * len(c.weight) if c.name in dense else record.synaptic_events[c.name] for c in network.connections
    ]
    assert cost.operations[-1] == pytest.approx(sum(e.sum(axis=1).mean() for e in read))
    for band in (cost.dynamic, cost.total, cost.latency):
        assert all(0 < low <= high for low, high in zip(band.low, band.high))
        assert list(band.mean) == sorted(band.mean)
    assert all(period < latency for period, latency in zip(cost.period, cost.latency.mean))
    assert from_json(Cost, to_json(cost)) == cost


def test_a_prefix_costs_the_same_as_a_shorter_run():
    network = random_network(3).with_timesteps(6)
    stimulus = random_stimulus(3, network)
    long = estimate_cost(network, reference.run(network, stimulus), LOIHI2)
    short = estimate_cost(network, reference.run(network, replace(stimulus, timesteps=4)), LOIHI2)
    assert short.dynamic.mean == pytest.approx(long.dynamic.mean[:4])
    assert short.latency.mean == pytest.approx(long.latency.mean[:4])


def test_warns_when_spikes_cost_more_than_no_spikes():
    network = by_hand()
    busy = reference.run(network, encode(network.input, np.ones((1, 2, 3), int), 2))
    cost = estimate_cost(network, busy, LOIHI1)
    assert cost.ann_multiplications == 10
    assert any("from 2 timesteps on, the 18 synaptic operations" in w for w in cost.warnings)
    assert estimate_cost(network, record_by_hand(network), LOIHI1).warnings == (EVEN,)


def test_a_dense_list_is_read_whole_and_half_the_weights_cost_half():
    """8 x 8 weights: as many as there are without zeros, each spike reads 8; with half of them
    pruned, only those that are left.
    """
    rng = np.random.default_rng(0)
    full = rng.integers(1, 100, (8, 8)).astype(np.int8)
    pruned = full * (rng.permutation(64).reshape(8, 8) < 32)
    spikes = rng.integers(0, 2, (5, 3, 8))
    operations = {}
    for name, weight in {"full": full, "pruned": pruned}.items():
        network = QuantizedNetwork(
            Input("input", (8,)),
            (Population("a", (8,), neuron()),),
            (Connection("in", "input", "a", Dense(weight)),),
            "a",
            "spike_count",
            3,
            **INT8,
        )
        network = replace(network, populations=(replace(network["a"], neuron=replace(neuron(), bias_mantissa=np.array(0))),))
        (layer,) = layer_counts(network, reference.run(network, encode(network.input, spikes, 3)), LOIHI1)
        operations[name] = layer.operations
        assert (DENSE in layer.events, SPARSE in layer.events) == (name == "full", name == "pruned")
    np.testing.assert_array_equal(operations["full"], spikes.sum(axis=2) * 8)
    np.testing.assert_array_equal(operations["pruned"], spikes @ np.count_nonzero(pruned, axis=0))
    assert operations["pruned"].sum() < 0.6 * operations["full"].sum()


def test_zeros_of_shared_kernels_are_named():
    network = random_network(3)
    record = reference.run(network, random_stimulus(3, network))
    layers = layer_counts(network, record, LOIHI2)
    stored, zeros = sum(x.kernels.synapses for x in layers), sum(x.kernels.zeros for x in layers)
    assert stored > zeros > 0
    share = f"{zeros / stored:.1%} of their synapses"
    assert any(share in line for line in estimate_cost(network, record, LOIHI2).unpriced)


def test_against_pilotnet_on_loihi_2():
    """lava-dl's measured PilotNet: 16 steps, 74 cores, 152.8 us a step, 1.094 mJ dynamic; its
    published counts priced by our profile.

    2.28 M synaptic operations and 363 k dendrite updates (two a neuron) a step; the busiest core
    handles 151 k operations.
    """
    neurons = 363_000 // 2
    one_step = np.ones((1, 1), np.int64)
    each = neurons // 74 * one_step
    busiest = LayerCounts("busiest", neurons // 74, 1, 1, 0, {CONVOLUTION: 151_000 * one_step, ACCESS: each, UPDATE: each})
    step = float(busy_time(busiest, LOIHI2)[0, 0]) + barrier_time(LOIHI2, 74)
    assert step == pytest.approx(152.8e-6, rel=0.25)
    chip = {CONVOLUTION: 2_280_000, ACCESS: neurons, UPDATE: neurons}
    energy = 16 * sum(n * LOIHI2.energy[term].value for term, n in chip.items()) * 1e-12
    assert energy == pytest.approx(1.094e-3, rel=0.25)


@pytest.mark.parametrize("seed", range(10))
def test_messages_and_updates_are_those_of_the_cores(seed):
    network = random_network(seed)
    stimulus = random_stimulus(seed, network)
    record, loads = reference.run(network, stimulus), loads_of(network, stimulus, LOIHI1)
    for layer in layer_counts(network, record, LOIHI1, loads):
        own = loads[layer.name]
        for term, exact in ((AXON_OUT, own.axons_out), (AXON_IN, own.axons_in), (UPDATE, own.active)):
            np.testing.assert_allclose(layer.events[term].sum(), exact.sum())
        assert (layer.peak >= 1 - 1e-12).all()
    cost = estimate_cost(network, record, LOIHI1, loads=loads)
    assert EVEN not in cost.warnings and cost.mesh
    for layer, own in zip(cost.layers, (loads.populations[x.name] for x in cost.layers)):
        assert len(layer.places) == layer.cores and {p.chip for p in layer.places} <= set(range(cost.mesh.chips))
        total = sum(n.sum() * LOIHI1.time[t].value for t, n in ((AXON_IN, own.axons_in), (AXON_OUT, own.axons_out), (UPDATE, own.active)))
        assert sum(p.busy for p in layer.places) * own.active[..., 0].size * 1e9 > total


def test_the_busiest_core_sets_the_time():
    """Two cores; all input goes to neurons of the second: it takes twice the mean."""
    weight = np.zeros((4, 2), np.int8)
    weight[2:] = 5
    connection = Connection("in", "input", "a", Dense(weight))
    population, source = Population("a", (4,), replace(neuron(), bias_mantissa=np.array(0))), Input("input", (2,), low=0, high=1)
    network = replace(by_hand(), input=source, populations=(population,), output="a", connections=(connection,))
    stimulus = encode(network.input, np.ones((1, 2, 2), int), 2)
    chip = replace(LOIHI1.chip, core=replace(LOIHI1.chip.core, neurons=2))
    only_reads = replace(LOIHI1, chip=chip, time={SPARSE: LOIHI1.time[SPARSE], DENSE: LOIHI1.time[DENSE]})
    record = reference.run(network, stimulus)
    (layer,) = layer_counts(network, record, only_reads, loads_of(network, stimulus, only_reads))
    assert layer.cores == 2
    np.testing.assert_allclose(layer.peak, 2 if SPARSE in layer.events else 1)
    np.testing.assert_allclose(busy_time(layer, only_reads)[0], 4 * LOIHI1.time[SPARSE].value * 1e-9)
