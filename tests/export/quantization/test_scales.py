"""The search against an exhaustive one, proven ranges against runs, calibration against brute
force, and a trained network.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from support.networks.float_networks import conv_network, digits, heavy_tailed, neuron, train
from support.networks.random_networks import random_network, random_stimulus
from support.places import SHARED
from support.stated import PER_STEP

from spikeport.export.floating.run import FloatModule
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.model.network import FloatNetwork, Input, Population
from spikeport.export.model.synapse import Connection, Dense
from spikeport.export.quantization.calibrate import calibrate
from spikeport.export.quantization.dequantize import dequantize
from spikeport.export.quantization.quantize import quantize
from spikeport.export.quantization.scales import ScaleSearch, SynapseRows
from spikeport.export.quantization.state_bounds import state_bounds
from spikeport.hw.records.record import accuracy_over_time
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference

NORSE = SHARED / "cases" / "lif_norse.csv"


def cost(synapses: list[SynapseRows], scale: float, exponents: tuple[int, ...], half: int, threshold: float) -> float:
    """The sum that `ScaleSearch` makes small, for one group, weight by weight."""
    total = (1 + sum(e < 0 for e in exponents)) * scale**2 / 12
    for s, e in zip(synapses, exponents):
        seen = s.squares[0] + 0.01 * s.squares.mean()
        for w, square in zip(s.weight[0], seen):
            kept = min(max(round(w / (scale * 2.0**e)), -half), half - 1) * scale * 2.0**e
            total += min((w - kept) ** 2 * square, threshold**2) / (s.weight.size / s.fan_in)
    return total


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bits", [3, 5, 8])
def test_no_scale_is_much_better_than_the_chosen_one(seed, bits):
    rng = np.random.default_rng([seed, bits])
    sizes = [1.0, float(rng.choice([0.05, 3.0]))][: 1 + seed % 2]
    synapses = [SynapseRows(heavy_tailed(rng, 1, 24) * size, rng.random((1, 24)), 8) for size in sizes]
    floor, threshold = np.array([1e-4]), np.array([0.5])
    fit = ScaleSearch(synapses, bits, threshold, fires=True).best(floor)
    half = 1 << (bits - 1)
    chosen = cost(synapses, float(fit.scale[0]), fit.exponents, half, 0.5)
    assert fit.cost * 0.25 == pytest.approx(chosen, rel=1e-3)
    steps = np.geomspace(1e-4, 2, 150)
    if len(synapses) == 1:
        pairs = [(step / 2**e, (e,)) for step in steps for e in (-1, 0, 4) if step / 2**e >= 1e-4]
    else:
        pairs = [(step / 16, (4, e)) for step in steps for e in range(-2, 8) if step / 16 >= 1e-4]
    assert chosen < 1.1 * min(cost(synapses, scale, exponents, half, 0.5) for scale, exponents in pairs)


def joined(ratio: float, bits: int, seed: int) -> list[float]:
    """Decibels of two connections into one layer, whose largest weights are as 1 to `ratio`."""
    rng = np.random.default_rng(seed)
    drawn = rng.uniform(-1, 1, (2, 16, 30))
    drawn /= np.abs(drawn).max((1, 2), keepdims=True)
    ops = [Dense(w * peak) for w, peak in zip(drawn, (0.7, 0.7 * ratio))]
    connections = tuple(Connection(f"w{i}", "in", "out", op) for i, op in enumerate(ops))
    network = FloatNetwork(Input("in", (30,)), (Population("out", (16,), neuron()),), connections, "out", "spike_count", 8, **PER_STEP)
    x = (rng.random((20, 8, 30)) < 0.3).astype(float)
    report = quantize(network, x, weight_bits=bits).provenance["quantization"]["connections"]
    assert bits < 8 or all(c["clipped"] < 0.01 for c in report.values())
    return [c["sqnr_db"] for c in report.values()]


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.7, 0.9, 1.1, 1.2, 1.4, 1.7, 3.0, 10.0, 50.0])
@pytest.mark.parametrize("bits", [4, 6, 8])
def test_unlike_weights_into_one_neuron_cost_little_more_than_like_ones(ratio, bits):
    """Steps are a power of two apart, so one is too coarse by less than a factor of two at most: 6
    dB, of which the choice keeps some.
    """
    like, unlike = joined(1.0, bits, 0), joined(ratio, bits, 0)
    assert min(unlike) > min(like) - 5


@pytest.mark.parametrize("seed", range(12))
def test_exponents_of_several_connections_are_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    connections, bits = int(rng.integers(2, 4)), int(rng.choice([4, 6, 8]))
    sizes = 2.0 ** rng.uniform(-4, 4, connections)
    synapses = [SynapseRows(rng.standard_t(5, (1, 40)) * size, rng.random((1, 40)), 10) for size in sizes]
    floor = 10.0 ** rng.uniform(-5, -1)
    fit = ScaleSearch(synapses, bits, np.array([1.0]), fires=True).best(np.array([floor]))
    half = 1 << (bits - 1)
    around = [range(max(e - 2, -16), min(e + 2, 7) + 1) for e in fit.exponents]
    scales = [s for s in fit.scale[0] * np.geomspace(0.5, 2, 9) if s >= floor]
    others = min(cost(synapses, s, e, half, 1.0) for s in scales for e in product(*around))
    assert fit.cost <= 1.02 * others


def test_the_floor_is_kept_by_every_channel():
    rng = np.random.default_rng(0)
    synapses = [SynapseRows(heavy_tailed(rng, 6, 10) * np.geomspace(1e-6, 1, 6)[:, None], np.ones((6, 10)), 10)]
    floor = np.array([1e-9, 1e-3, 1e-3, 1e-2, 1e-2, 1e-2])
    fit = ScaleSearch(synapses, 8, np.ones(6), fires=True).best(floor)
    assert (fit.scale >= floor).all()


@pytest.mark.parametrize("seed", range(40))
def test_states_stay_within_their_proven_bounds(seed):
    network = random_network(seed)
    bounds, meaning = state_bounds(dequantize(network)), dequantize(network)
    seen = calibrate(meaning, random_stimulus(seed, network, 6).over_time() * network.input.scale, dtype=torch.float64)
    for name, bound in bounds.items():
        assert (seen.current[name] <= bound.current + 1e-9).all(), name
        assert (seen.potential[name] <= bound.potential + 1e-9).all(), name


def test_statistics_equal_those_of_complete_records():
    network, x = conv_network(0), digits()[0][:9]
    seen = calibrate(network, x)
    spikes = simulate_float(network, x, 8, record=True)
    first = spikes["spikes/conv1"].astype(float)
    np.testing.assert_allclose(seen.mean["conv1"], first.mean((0, 1)), atol=1e-6)
    pooled = first.reshape(9, 8, 8, 4, 2, 4, 2).sum((4, 6))
    np.testing.assert_allclose(seen.squares["w2"][0, :, 0, 0], (pooled**2).mean((0, 1, 3, 4)), rtol=1e-6)
    np.testing.assert_allclose(seen.squares["w1"].ravel(), np.full(8, (x**2).mean()), rtol=1e-6)
    last = spikes["spikes/conv2"].reshape(72, -1).astype(float)
    np.testing.assert_allclose(seen.squares["w3"][0], (last**2).mean(0), atol=1e-6)
    potential = simulate_float(network, x, 8)["output"].cumsum(1)
    np.testing.assert_allclose(seen.potential["out"], np.abs(potential).max((0, 1)), rtol=1e-5)


@pytest.mark.skipif(not NORSE.exists(), reason="the shared reference cases are not here")
def test_norse_spike_times_survive_quantization():
    """Leaky neuron, tau 2.5 ms, dt 0.1 ms, Euler: norse and snnTorch fire at steps 460, 510, 710
    and 760.
    """
    rows = np.loadtxt(NORSE, delimiter=",")
    leak = 1e-4 / 2.5e-3
    population = Population("lif", (1,), neuron(threshold=0.1, beta=1 - leak))
    weight = Connection("w", "in", "lif", Dense(np.array([[leak]])))
    network = FloatNetwork(Input("in", (1,)), (population,), (weight,), "lif", "spike_count", len(rows), **PER_STEP)
    x = rows[None, :, :1]
    quantized = quantize(network, x)
    np.testing.assert_array_equal(simulate_float(network, x, len(rows))["output"][0, :, 0], rows[:, 2])
    np.testing.assert_array_equal(reference.run(quantized, encode(quantized.input, x, len(rows))).output[0, :, 0], rows[:, 2])


def with_parameters(network: FloatNetwork, module: FloatModule) -> FloatNetwork:
    """The network with what the module has learned."""
    numpy = lambda p: p.detach().double().numpy()  # noqa: E731
    connections = (replace(c, op=replace(c.op, weight=numpy(module.weights[c.name]))) for c in network.connections)
    populations = (replace(p, neuron=replace(p.neuron, bias=numpy(module.biases[p.name]))) for p in network.populations)
    return replace(network, connections=tuple(connections), populations=tuple(populations))


def test_trained_digits_lose_less_than_half_a_point():
    x, y = digits()
    network = replace(conv_network(0), timesteps=4)
    trained = with_parameters(network, train(network, x[:800], y[:800], epochs=5))
    real = accuracy_over_time(simulate_float(trained, x, 4)["output"], y, "accumulated_current")[-1]
    assert real > 0.85
    for bits, loss in (8, 0.005), (4, 0.03):
        quantized = quantize(trained, x[:200], weight_bits=bits)
        record = reference.run(quantized, encode(quantized.input, x, 4))
        assert not any(record.overflows.values())
        assert accuracy_over_time(record.output, y, "accumulated_current")[-1] >= real - loss
