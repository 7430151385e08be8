"""Energy and latency: against arithmetic by hand, against silicon, and what must be named or warned of."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from support.random_networks import random_network, random_stimulus
from support.stated import INT8

from spikeport.analysis.common.jsonable import from_json, to_json
from spikeport.analysis.cost.counts import LayerCounts, ann_multiplications, layer_counts
from spikeport.analysis.cost.devices import (
    ACCESS,
    AXON_IN,
    AXON_OUT,
    CONVOLUTION,
    DENSE,
    DEVICES,
    GRADED,
    SPARSE,
    UPDATE,
    ModelError,
    device_named,
)
from spikeport.analysis.cost.estimate import EVEN, Cost, barrier_time, busy_time, estimate_cost
from spikeport.export.common.errors import InputError
from spikeport.export.model.network import Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Dense
from spikeport.hw.mapping.cores import map_network
from spikeport.hw.mapping.loads import core_loads
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference

LOIHI1, LOIHI2 = device_named("loihi1"), device_named("loihi2")


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
    """Step 0: inputs 0 and 2 fire: 2 + 1 events; both a fire: 2 + 1 events; b silent (8, 4). Step 1: silence, but b keeps its potential."""
    return reference.run(network, encode(network.input, np.array([[[1, 0, 1], [0, 0, 0]]]), 2))


def test_energy_and_latency_by_hand():
    network = by_hand()
    cost = estimate_cost(network, record_by_hand(network), LOIHI1)
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


def test_graded_input_is_counted_apart_and_named_where_it_has_no_price():
    network = by_hand(graded=True)
    record = reference.run(network, encode(network.input, np.array([[200, 0, 7]]), 2))
    dear, cheap = estimate_cost(network, record, LOIHI2), estimate_cost(network, record, LOIHI1)
    assert next(t for t in dear.terms if t.name == GRADED).count == (4.0, 8.0)  # two messages, two weights each
    assert next(t for t in cheap.terms if t.name == GRADED).energy is None
    assert "energy of graded multiply-accumulate" in cheap.unpriced
    assert any("no graded input" in w for w in cheap.warnings)
    assert not any(item.startswith("energy of") for item in dear.unpriced)
    assert "time of spike generation" in dear.unpriced


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


def test_intervals_cover_samples_and_prices():
    network = by_hand()
    spikes = np.random.default_rng(0).integers(0, 2, (200, 2, 3))
    record = reference.run(network, encode(network.input, spikes, 2))
    exact = replace(LOIHI1, energy={k: replace(p, spread=0.0) for k, p in LOIHI1.energy.items()})
    narrow, wide = (estimate_cost(network, record, d).dynamic for d in (exact, LOIHI1))
    assert narrow.low[1] < narrow.mean[1] < narrow.high[1]
    assert wide.high[1] - wide.low[1] > narrow.high[1] - narrow.low[1]


def test_warns_when_spikes_cost_more_than_no_spikes():
    network = by_hand()
    busy = reference.run(network, encode(network.input, np.ones((1, 2, 3), int), 2))
    assert ann_multiplications(network) == 10
    assert any("from 2 timesteps on, the 18 synaptic operations" in w for w in estimate_cost(network, busy, LOIHI1).warnings)
    assert estimate_cost(network, record_by_hand(network), LOIHI1).warnings == (EVEN,)


def test_a_dense_list_is_read_whole_and_half_the_weights_cost_half():
    """8 x 8 weights: as many as there are without zeros, each spike reads 8; with half of them pruned, only those that are left."""
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
    """lava-dl's measured PilotNet: 16 steps, 74 cores, 152.8 us a step, 1.094 mJ dynamic; its published counts priced by our profile.

    2.28 M synaptic operations and 363 k dendrite updates (two a neuron) a step; the busiest core handles 151 k operations.
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


def test_every_price_says_where_it_comes_from():
    for device in map(device_named, DEVICES):
        prices = [*device.energy.values(), *device.time.values(), device.static]
        assert all(p.value > 0 and p.source and 0 < p.spread <= 1 for p in prices)
    assert "inherited from Loihi 1, uncalibrated" in LOIHI2.note
    assert all("inherited from Loihi 1, uncalibrated" in p.source for p in LOIHI2.energy.values())
    assert device_named("loihi2") is LOIHI2
    with pytest.raises(InputError, match="choose one of loihi2, loihi1, or give a profile of your own"):
        device_named("tpu")


def loads_of(network, stimulus, device):
    """Of all samples, from the definition itself."""
    return core_loads(network, map_network(network, device.chip), stimulus, reference.run(network, stimulus, "potentials"))


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
    assert EVEN not in estimate_cost(network, record, LOIHI1, loads=loads).warnings


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


def test_prices_of_one_source_share_its_error():
    """Eight prices that are 11.7 % off together leave the total 11.7 % off, not a fraction of it."""
    network, exact = by_hand(), ModelError(1.0, 1.0, "measured", "test")
    dynamic = estimate_cost(network, record_by_hand(network), replace(LOIHI1, dynamic=exact)).dynamic
    assert dynamic.high[0] / dynamic.mean[0] == pytest.approx(1.117, abs=0.02)
    assert dynamic.mean[0] / dynamic.low[0] == pytest.approx(1.117, abs=0.02)


def test_what_no_price_covers_widens_the_interval():
    network = by_hand()
    dynamic = estimate_cost(network, record_by_hand(network), LOIHI1).dynamic
    assert dynamic.high[0] / dynamic.mean[0] > 2.5 and dynamic.mean[0] / dynamic.low[0] < 1.4


def test_a_profile_of_ones_own(tmp_path):
    shipped = (resources.files("spikeport.analysis.cost") / "loihi1.toml").read_text()
    mine = tmp_path / "mine.toml"
    mine.write_text(shipped.replace('name = "loihi1"', 'name = "mine"').replace("value = 51.2", "value = 1.0"))
    device = device_named(str(mine))
    assert (device.name, device.energy[ACCESS].value, device.energy[UPDATE]) == ("mine", 1.0, LOIHI1.energy[UPDATE])
    for wrong, told in (
        (shipped.replace("neuron access", "neuron axes"), "prices 'neuron axes'; events are called"),
        (shipped.replace("value = 51.2", "value = -1"), "price of -1"),
        (shipped.replace('chip = "loihi1"', 'chip = "tpu"'), "chip 'tpu' is unknown"),
        (shipped.replace("low = 0.8", "low = 1.8"), "does not hold 1"),
        ("name = [", "cannot be read as TOML"),
        ('name = "x"', "missing"),
    ):
        bad = tmp_path / f"{len(told)}.toml"
        bad.write_text(wrong)
        with pytest.raises(InputError, match=told):
            device_named(str(bad))
