"""Quantization: known answers, nothing starves, nothing overflows, and the grid is exact."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.networks.float_networks import conv_network, digits, heavy_tailed, neuron
from support.networks.random_networks import random_network, random_stimulus
from support.stated import PER_STEP

from spikeport.export.common.errors import InputError
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.model.network import FloatNetwork, FloatNeuron, Input, Noise, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Dense, Elementwise
from spikeport.export.quantization.bias_neurons import with_bias_neurons
from spikeport.export.quantization.calibrate import calibration_notes
from spikeport.export.quantization.dequantize import dequantize
from spikeport.export.quantization.quantize import quantize
from spikeport.export.quantization.rounding import requantize
from spikeport.export.quantization.weight_step import weight_grids
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference


def rates(network: FloatNetwork, quantized: QuantizedNetwork, x: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Spikes per neuron and sample, in float and in integers; the integers did not overflow."""
    record = reference.run(quantized, encode(quantized.input, x, network.timesteps), "spikes")
    assert not any(record.overflows.values()), record.overflows
    real = simulate_float(network, x, network.timesteps, record=True)
    return real[f"spikes/{name}"].mean(1).ravel(), record.spikes[name].mean(1).ravel()


def correlation(pair: tuple[np.ndarray, np.ndarray]) -> float:
    assert pair[0].std() > 0.05
    return float(np.corrcoef(*pair)[0, 1])


def dense_network(weights: dict[str, np.ndarray], hidden: FloatNeuron, inputs: int = 20) -> FloatNetwork:
    """Input -> a; input and a -> b if there are weights for it; spikes of the last are the output."""
    ends = {"a": ("in", "a"), "ab": ("a", "b"), "b": ("in", "b")}
    connections = tuple(Connection(name, *ends[name], Dense(w)) for name, w in weights.items())
    sizes = {c.target: len(c.weight) for c in connections}
    populations = tuple(Population(n, (size,), hidden) for n, size in sizes.items())
    return FloatNetwork(Input("in", (inputs,)), populations, connections, max(sizes), "spike_count", 16, **PER_STEP)


def spikes_in(seed: int, samples: int = 40, inputs: int = 20, rate: float = 0.3) -> np.ndarray:
    return (np.random.default_rng(seed).random((samples, 16, inputs)) < rate).astype(float)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("bits", "least"), [(8, 0.985), (6, 0.97), (4, 0.9), (3, 0.8), (2, 0.6)])
def test_a_network_like_a_trained_one_keeps_its_rates(bits, least, per_channel):
    network, x = conv_network(1), digits()[0][:48]
    quantized = quantize(network, x, weight_bits=bits, per_channel=per_channel)
    for name in ("conv1", "conv2"):
        assert correlation(rates(network, quantized, x, name)) > least
    for c in quantized.connections:
        assert -(1 << (bits - 1)) <= c.weight.min() < 0 < c.weight.max() < 1 << (bits - 1)


def test_the_readout_keeps_its_currents_and_never_fires():
    network, x = conv_network(2), digits()[0][:48]
    quantized = quantize(network, x)
    record = reference.run(quantized, encode(quantized.input, x, 8))
    real = simulate_float(network, x, 8)["output"].sum(1)
    ours = record.output.sum(1) * quantized["out"].scale / 64
    assert (ours - real).std() < 0.1 * real.std()
    assert quantized["out"].neuron.threshold == 131071 and quantized["out"].scale.ndim == 0


def test_a_proven_range_holds_for_the_worst_input():
    quantized = quantize(conv_network(3), digits()[0][:16])
    report = quantized.provenance["quantization"]["populations"]
    assert all(entry["proven"] for entry in report.values())
    worst = np.random.default_rng(0).choice([quantized.input.low, quantized.input.high], (64, 8, 1, 8, 8))
    record = reference.run(quantized, encode(quantized.input, worst, 8))
    assert not any(record.overflows.values())


def test_a_range_too_dear_to_prove_is_calibrated_and_the_report_says_so():
    rng = np.random.default_rng(0)
    network = dense_network({"a": heavy_tailed(rng, 30, 3000) * 6}, neuron(beta=1.0), inputs=3000)
    x = spikes_in(10, samples=6, inputs=3000, rate=0.03)
    quantized = quantize(network, x)
    entry = quantized.provenance["quantization"]["populations"]["a"]
    assert not entry["proven"] and entry["used_bound"] > 1 > 2 * entry["used"]
    assert quantized["a"].neuron.threshold > 100
    assert correlation(rates(network, quantized, x, "a")) > 0.97


def test_an_outlier_does_not_starve_the_rest():
    rng = np.random.default_rng(0)
    weight = heavy_tailed(rng, 30, 20) * 1.5
    weight[3, 4] = 40.0
    network, x = dense_network({"a": weight}, neuron()), spikes_in(0)
    quantized = quantize(network, x, weight_bits=4)
    per_tensor_step = 40.0 / 7
    assert weight_grids(quantized)["a"].step < per_tensor_step / 8
    assert correlation(rates(network, quantized, x, "a")) > 0.93
    assert quantized.provenance["quantization"]["connections"]["a"]["clipped"] > 0


@pytest.mark.parametrize("ratio", [1 / 150, 1 / 9.3, 7.7, 120.0])
def test_two_connections_of_different_size_share_a_scale(ratio):
    """The strong input is silent most of the time, so that the weak one decides most spikes."""
    rng = np.random.default_rng(1)
    direct = heavy_tailed(rng, 30, 20) * 1.5
    across = heavy_tailed(rng, 30, 25) * ratio
    network = dense_network({"a": heavy_tailed(rng, 25, 20), "ab": across, "b": direct}, neuron())
    quantized = quantize(network, spikes_in(1))
    assert correlation(rates(network, quantized, spikes_in(2), "b")) > 0.98
    steps = {name: float(grid.step) for name, grid in weight_grids(quantized).items()}
    assert 0.4 < steps["ab"] / steps["b"] / (np.abs(across).max() / np.abs(direct).max()) < 2.5


def test_scales_per_channel_rescue_channels_of_different_size():
    rng = np.random.default_rng(2)
    size = np.geomspace(0.003, 30, 30)[:, None]
    network = dense_network({"a": heavy_tailed(rng, 30, 20) * 1.5 * size}, neuron(threshold=size[:, 0]))
    shared, own = (quantize(network, spikes_in(3), weight_bits=5, per_channel=p) for p in (False, True))
    assert own["a"].scale.shape == (30,) and shared["a"].scale.ndim == 0
    good, bad = (correlation(rates(network, q, spikes_in(3), "a")) for q in (own, shared))
    assert good > 0.97 and bad < 0.8


def test_noise_keeps_one_unit_for_all_channels():
    network = dense_network({"a": np.eye(20)}, neuron(noise=Noise("uniform", 0.5, 1)))
    quantized = quantize(network, spikes_in(4), per_channel=True)
    assert quantized["a"].scale.ndim == 0
    amplitude = quantized["a"].neuron.noise.amplitude * float(quantized["a"].scale) / 64
    assert amplitude == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize("seed", range(40))
def test_integers_come_back_from_their_physical_values(seed):
    network = random_network(seed)
    again = requantize(dequantize(network), network)
    for ours, theirs in zip(again.connections, network.connections):
        np.testing.assert_array_equal(np.broadcast_to(ours.weight, ours.weight.shape), np.broadcast_to(theirs.weight, ours.weight.shape))
        assert ours.exponent == theirs.exponent
    for p, q in zip(again.populations, network.populations):
        for name in ("du", "dv", "threshold", "bias", "reset_value"):
            np.testing.assert_array_equal(getattr(p.neuron, name), getattr(q.neuron, name), err_msg=f"{p.name} {name}")
        assert p.neuron.noise == q.neuron.noise and p.neuron.reset == q.neuron.reset


def test_weights_trained_on_the_grid_are_kept_exactly():
    quantized = quantize(conv_network(4), digits()[0][:16], weight_bits=4, per_channel=True)
    rng = np.random.default_rng(0)
    grids = weight_grids(quantized)
    integers = {c.name: rng.integers(grids[c.name].low, grids[c.name].high + 1, c.weight.shape) for c in quantized.connections}
    moved = dequantize(quantized)
    moved = replace(
        moved, connections=tuple(replace(c, op=replace(c.op, weight=integers[c.name] * grids[c.name].step)) for c in moved.connections)
    )
    for c in requantize(moved, quantized).connections:
        np.testing.assert_array_equal(c.weight, integers[c.name])


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_ties_at_the_threshold_stay_exact_without_leak(strict, reset):
    rng = np.random.default_rng(5)
    weight = rng.integers(-3, 5, (30, 20)) * 0.25
    weight[0, 0] = 127 * 0.25  # so that the step is 0.25
    changes = {"threshold": 1.5, "beta": 1.0, "strict": strict, "reset": reset, "reset_value": 1.5 * (reset == "subtract")}
    network, x = dense_network({"a": weight}, neuron(**changes)), spikes_in(6)
    quantized = quantize(network, x)
    real = simulate_float(network, x, 16)["output"]
    np.testing.assert_array_equal(reference.run(quantized, encode(quantized.input, x, 16)).output, real)
    assert 0.1 < real.mean() < 0.9


def test_a_spike_of_any_source_passes_an_or():
    """Max pooling of spikes: weight 1, threshold 0, full leak."""
    made = FloatNetwork(
        Input("in", (4,)),
        (Population("or", (4,), neuron(threshold=0.0, beta=0.0)),),
        (Connection("c", "in", "or", Elementwise(np.ones(()))),),
        "or",
        "spike_count",
        16,
        **PER_STEP,
    )
    x = spikes_in(7, inputs=4)
    quantized = quantize(made, x)
    np.testing.assert_array_equal(reference.run(quantized, encode(quantized.input, x, 16)).output, x)


def test_the_report_is_json_and_carries_notes():
    network = dense_network({"a": np.eye(20)}, neuron(beta=0.9997))
    network = replace(network, provenance={"dt": 1e-3, "notes": ["kept"]})
    provenance = quantize(network, spikes_in(8)).provenance
    assert json.loads(json.dumps(provenance, allow_nan=False))["dt"] == 1e-3
    assert provenance["notes"][0] == "kept" and "decay" in provenance["notes"][1]
    assert provenance["quantization"]["populations"]["a"]["rate_float"] > 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((6, 20)), "every value is sent as 0"),
        (np.full((6, 20), 0.5), "every value is sent as 128"),
        (np.full((6, 20), 1e-4), "every value is sent as 0"),
        (
            np.tile([0.0, 0.5, 0.75, 255.0], (6, 5)),
            "25.00% of the values are out of range and were cut off (0 to 255, the input takes 0 to 1)",
        ),
        (np.linspace(0, 1.001, 120).reshape(6, 20), None),
    ],
)
def test_absurd_calibration_data_is_told(values, said):
    """0.5 is 127.5 levels, half to even 128; 1.001 rounds to the highest level and loses nothing."""
    network = replace(dense_network({"a": np.eye(20)}, neuron()), input=Input("in", (20,), 1 / 255, 0, 255))
    notes = quantize(network, values).provenance["notes"]
    assert (said is None and notes == []) or (len(notes) == 1 and said in notes[0])


@pytest.mark.parametrize("alpha", [0.0, 0.95, 1.0])
def test_a_current_bias_builds_up_as_in_float(alpha):
    """From the first step on, as synapses from a neuron that always fires: exact in float, and
    close in integers.
    """
    bias = np.array([2.0, 5.0, -1.0, 0.5, 0.0]) / 64
    network = dense_network({"a": np.eye(5)[:, :5]}, neuron(alpha=alpha, beta=1.0, threshold=4.0, current_bias=bias), inputs=5)
    network = replace(network, output="a", readout="spike_count", timesteps=40)
    x = (np.random.default_rng(0).random((6, 40, 5)) < 0.05).astype(float)
    quantized = quantize(network, x)
    expected = simulate_float(network, x, 40, dtype=torch.float64)["output"]
    found = reference.run(quantized, encode(quantized.input, x, 40), "spikes")
    assert expected.any() and expected.sum() == pytest.approx(found.output.sum(), rel=0.05)
    lowered = simulate_float(with_bias_neurons(network), x, 40, dtype=torch.float64)["output"]
    np.testing.assert_array_equal(lowered, expected)
    if alpha:
        assert found.spikes["a.bias"].all(), "it fires at every step"
        assert found.synaptic_events["a.bias"].tolist() == [[4] * 40] * 6, "one event per neuron with a bias and step, counted"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 1.0], (0, 1, 1.0)),
        ([0.0, 0.5], (0, 1, 0.5)),
        ([0.0, 3.0, 7.0], (0, 255, 1.0)),
        ([0.1, 0.5, 1.0], (0, 255, 1 / 255)),
        ([-1.27, 0.5], (-127, 127, 0.01)),
    ],
)
def test_the_input_range_comes_from_the_data(values, expected):
    network = dense_network({"a": np.ones((2, 1))}, neuron(), inputs=1)
    data = np.resize(values, (4, 16, 1))
    made = quantize(network, data).input
    assert (made.low, made.high) == expected[:2] and made.scale == pytest.approx(expected[2])


def test_a_declared_input_range_is_kept():
    network = replace(dense_network({"a": np.ones((2, 1))}, neuron(), inputs=1), input=Input("in", (1,), 0.25, 0, 4))
    made = quantize(network, np.ones((2, 16, 1))).input
    assert (made.low, made.high, made.scale) == (0, 4, 0.25)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"beta": 1.5}, {}, "beta"),
        ({"threshold": -1.0}, {}, "threshold"),
        ({}, {"weight_bits": 9}, "weight bits"),
        ({}, {"input_bits": 1}, "input bits"),
    ],
)
def test_what_no_register_holds_is_refused(changes, options, message):
    with pytest.raises(InputError, match=message):
        quantize(dense_network({"a": np.eye(20)}, neuron(**changes)), spikes_in(0), **options)


def test_random_networks_quantize_without_overflow():
    for seed in range(25):
        network = dequantize(random_network(seed))
        x = random_stimulus(seed, network).over_time() * network.input.scale
        quantized = quantize(network, x)
        record = reference.run(quantized, encode(quantized.input, x, network.timesteps))
        assert not any(record.overflows.values()), (seed, record.overflows)


def test_rate_coded_calibration_out_of_range_is_told():
    rate = Input("input", (4,), 1.0, 0, 1, "rate")
    (note,) = calibration_notes(rate, np.array([[0, 0.5, 1.0, 1.4]]))
    assert "25.00% of the values are out of range" in note
    assert calibration_notes(rate, np.array([[0, 0.5, 1.0, 0.7]])) == []
