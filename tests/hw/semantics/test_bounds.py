"""Bounds hold for every input, and are reached by some."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.networks.random_networks import random_network, random_stimulus
from support.stated import INT8

from spikeport.export.model import registers as reg
from spikeport.export.model.network import Connection, Conv, Dense, Elementwise, Input, IntegerNeuron, Noise, Population, QuantizedNetwork
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference
from spikeport.hw.semantics.bounds import Bounds, message_interval, state_bound, sum_bound


def neuron(**changes) -> IntegerNeuron:
    values = {"du": 4095, "dv": 0, "threshold": reg.THRESHOLD_MAX, "bias_mantissa": 0} | changes
    return IntegerNeuron(**{k: np.int32(v) if type(v) is int else v for k, v in values.items()})


def single(weight: list[list[int]], steps: int, exponent: int = 0, high: int = 1, **registers) -> QuantizedNetwork:
    """One dense layer; spiking never reaches its threshold unless asked."""
    op = Dense(np.array(weight, np.int8))
    population = Population("p", (len(weight),), neuron(**registers))
    connection = Connection("c", "input", "p", op, exponent=exponent)
    source = Input("input", (len(weight[0]),), high=high)
    return QuantizedNetwork(source, (population,), (connection,), "p", "spike_count", steps, **INT8)


def extreme(network: QuantizedNetwork, seed: int):
    """Every input at one of its ends, some held there."""
    rng = np.random.default_rng(seed)
    shape = (4, network.timesteps, *network.input.shape)
    values = rng.choice([network.input.low, network.input.high], shape)
    values[0], values[1] = network.input.low, network.input.high
    return encode(network.input, values, network.timesteps)


@pytest.mark.parametrize("edge", [False, True])
def test_no_input_exceeds_the_bounds_of_random_networks(edge):
    excluded = {True: 0, False: 0}
    for seed in range(60):
        network = random_network(seed, edge=edge)
        bounds = Bounds(network)
        for stimulus in (random_stimulus(seed, network), extreme(network, seed)):
            record = reference.run(network, stimulus, "potentials")
            for p in network.populations:
                state = bounds.states[p.name]
                excluded[state.v_excluded] += 1
                if state.v_excluded and p.neuron.spiking:
                    assert record.overflows[p.name] == 0, (seed, p.name)
                if state.v_excluded:
                    silent = ~record.spikes[p.name] if p.neuron.spiking else np.True_
                    kept = record.potentials[p.name][np.broadcast_to(silent, record.potentials[p.name].shape)]
                    assert kept.size == 0 or (state.v_low <= kept.min() and kept.max() <= state.v_high), (seed, p.name)
    assert excluded[True] > 40 and (excluded[False] > 40 or not edge), "both kinds must be there for this to show anything"


def test_no_message_exceeds_the_bounds_of_sums():
    for seed in range(60):
        network = random_network(seed)
        for c in network.connections:
            low, high = message_interval(network, c)
            bound = sum_bound(c, low, high)
            shape = network.shape(c.source) if not c.pool else c.pool.output_shape(network.shape(c.source))
            x = np.random.default_rng(seed).choice([low, 0, high], (8, *shape))
            plain = replace(c, pool=None)
            total = reference.synaptic_current(plain, x)
            assert (bound.low <= total).all() and (total <= bound.high).all()
            absolute = replace(plain, op=replace(c.op, weight=np.asarray(np.abs(c.weight.astype(np.int64)))))
            assert reference.synaptic_current(absolute, np.abs(x)).max() <= bound.partial
            assert np.abs(reference.shift(total, c.exponent)).max() <= bound.delivered


def test_bounds_of_sums_are_reached():
    weight = np.array([[3, -5, 7], [-128, -128, 0]], np.int8)
    bound = sum_bound(Connection("c", "a", "b", Dense(weight), exponent=-1), -2, 10)
    assert bound.high.tolist() == [3 * 10 + 5 * 2 + 7 * 10, 256 * 2]
    assert bound.low.tolist() == [-3 * 2 - 5 * 10 - 7 * 2, -256 * 10]
    assert bound.partial == 256 * 10 and bound.delivered == 256 * 10 // 2
    conv = Conv(np.full((2, 3, 5, 5), 127, np.int8), (1, 1), (0, 0), (1, 1))
    assert sum_bound(Connection("c", "a", "b", conv), 0, 1).high.tolist() == [[[127 * 75]]] * 2
    each = Elementwise(np.array([[[-3]], [[4]]], np.int8))
    assert sum_bound(Connection("c", "a", "b", each), 0, 2).low.ravel().tolist() == [-6, 0]


@pytest.mark.parametrize(
    "registers", [{"dv": 0}, {"dv": 700}, {"dv": 4096}, {"dv": 50, "du": 1000}, {"dv": 3000, "du": -1}, {"bias_mantissa": 9}]
)
def test_the_largest_input_reaches_the_bound_exactly(registers):
    """Always on, weights all positive and never a spike: the potential is the bound at the last
    step, rounding included.
    """
    network = single([[100, 27]], steps=20, **registers)
    record = reference.run(network, encode(network.input, np.ones((1, 20, 2), np.uint8), 20), "potentials")
    assert record.potentials["p"].max() == Bounds(network).states["p"].v_high
    inhibited = single([[-100, -27]], steps=20, **registers)
    record = reference.run(inhibited, encode(network.input, np.ones((1, 20, 2), np.uint8), 20), "potentials")
    lowest = Bounds(inhibited).states["p"].v_low
    assert record.potentials["p"].min() == lowest if not registers.get("bias_mantissa") else lowest < 0


def test_the_step_of_the_first_overflow_is_known():
    """An integrator of +127 * 2**7 weight units a step saturates at the step the bound names, not
    one before.
    """
    drive = 127 << 7 << reg.STATE_SHIFT
    last_safe = (reg.STATE_LIMIT - 1) // drive
    for steps, safe in ((last_safe, True), (last_safe + 1, False)):
        network = single([[127], [0]], steps, exponent=7)
        record = reference.run(network, encode(network.input, np.ones((1, steps, 1), np.uint8), steps))
        silent = Bounds(replace(network, populations=(replace(network["p"], neuron=neuron(spiking=True)),)))
        assert silent.states["p"].v_excluded is safe
        assert (record.overflows["p"] == 0) is safe


def test_a_reset_bounds_from_above_but_inhibition_still_adds_up():
    """A spiking integrator never holds more than its threshold plus one step; without reset it
    would.
    """
    state = state_bound(neuron(threshold=100), np.array([-50]), np.array([60]), 1000, True)
    assert state.v_high == (100 + 60) << reg.STATE_SHIFT
    assert state.v_low == -50 * 1000 << reg.STATE_SHIFT
    subtracted = state_bound(neuron(threshold=100, reset="subtract", reset_value=100), np.array([0]), np.array([160]), 1000, True)
    assert subtracted.v_high > (100 + 160) << reg.STATE_SHIFT


def test_channel_overflow_is_seen():
    network = single([[127] * 1000], steps=1, exponent=7)
    assert Bounds(network).sums["c"].delivered == 127 * 1000 << 7
    assert not Bounds(network).sums["c"].excluded and not Bounds(network).overflow_excluded
    assert not Bounds(network).states["p"].int32_exact
    small = single([[127] * 10], steps=1)
    assert Bounds(small).overflow_excluded and Bounds(small).states["p"].int32_exact


def test_noise_and_bias_enter_the_bound():
    quiet = state_bound(neuron(), np.array([0]), np.array([0]), 3, True)
    noisy = state_bound(neuron(noise=Noise("uniform", 500, 1), bias_mantissa=2), np.array([0]), np.array([0]), 3, True)
    assert (quiet.v_low, quiet.v_high) == (0, 0)
    assert noisy.v_high == 3 * (500 + 128) and noisy.v_low == 3 * (128 - 500)
