"""The float module against a slow NumPy derivation and, where all values are exact, against the
integer reference.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.networks.float_networks import neuron
from support.networks.random_networks import random_network, random_stimulus
from support.stated import PER_STEP

from spikeport.export.common.errors import InputError
from spikeport.export.floating.run import FloatModule, causal_stages
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.model.network import FloatNetwork, Input, Noise, Population, QuantizedNetwork
from spikeport.export.model.noise import sample_noise
from spikeport.export.model.synapse import Connection, Dense
from spikeport.export.quantization.dequantize import dequantize
from spikeport.hw.semantics import reference
from spikeport.hw.semantics.reference import synaptic_current


def slow_run(network: FloatNetwork, x: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Spikes and potentials `(N, T, *shape)` of every population, one timestep of everything after
    another, in float64.
    """
    samples, steps = x.shape[:2]
    fired = {network.input.name: [x[:, t] for t in range(steps)]} | {p.name: [] for p in network.populations}
    history = {p.name: [] for p in network.populations}
    u = {p.name: np.zeros((samples, *p.shape)) for p in network.populations}
    v = {p.name: np.zeros((samples, *p.shape)) for p in network.populations}
    for t in range(steps):
        for p in network.populations:
            n, name = p.neuron, p.name
            u[name] = n.alpha * u[name] + n.current_bias
            for c in network.incoming(name):
                if t >= c.delay:
                    u[name] = u[name] + float_current(c, fired[c.source][t - c.delay]).reshape(u[name].shape)
            v[name] = n.beta * v[name] + u[name] + n.bias
            if n.noise:
                r = sample_noise(n.noise, np.arange(samples), t, p.size).reshape(v[name].shape)
                v[name] = v[name] + r * n.noise.amplitude / 2**15
            s = (v[name] > n.threshold if n.strict else v[name] >= n.threshold) & n.spiking
            after = {"zero": 0.0, "value": n.reset_value + 0 * v[name], "subtract": v[name] - n.reset_value}[n.reset]
            v[name] = np.where(s, after, v[name])
            fired[name].append(s.astype(float))
            history[name].append(v[name])
    return {p.name: (np.stack(fired[p.name], 1), np.stack(history[p.name], 1)) for p in network.populations}


def float_current(connection: Connection, x: np.ndarray) -> np.ndarray:
    """The reference's integer sums, by fixing the point at 2**-20 (weights here are multiples of
    it).
    """
    weight = np.asarray(np.rint(connection.weight * 2**20), np.int64)
    assert (weight == connection.weight * 2**20).all()
    return synaptic_current(replace(connection, op=replace(connection.op, weight=weight)), np.rint(x).astype(np.int64)) / 2**20


def exact(network: QuantizedNetwork) -> QuantizedNetwork:
    """The same network without anything that integers would round: decays of all or nothing, no
    fractions of a weight unit.
    """

    def plain(p: Population) -> Population:
        noise = replace(p.neuron.noise, amplitude=(1 << 15) * 3) if p.neuron.noise else None
        du = np.where(p.neuron.du < 2048, -1, 4095).astype(np.int32)
        dv = np.where(p.neuron.dv < 2048, 0, 4096).astype(np.int32)
        return replace(p, neuron=replace(p.neuron, du=du, dv=dv, noise=noise), scale=np.array(0.25))

    return replace(
        network,
        input=replace(network.input, scale=1.0),
        populations=tuple(map(plain, network.populations)),
        connections=tuple(replace(c, exponent=max(c.exponent, 0)) for c in network.connections),
    )


@pytest.mark.parametrize("seed", range(60))
def test_equals_the_integer_reference_where_nothing_is_rounded(seed):
    network = exact(random_network(seed))
    stimulus = random_stimulus(seed, network)
    record = reference.run(network, stimulus, "potentials")
    if any(record.overflows.values()):
        pytest.skip("integers overflow, floats do not")
    out = simulate_float(dequantize(network), stimulus.over_time(), network.timesteps, record=True, dtype=torch.float64)
    scale = 1 if network.readout == "spike_count" else 64 / 0.25
    np.testing.assert_array_equal(out["output"] * scale, record.output)
    for name, spikes in record.spikes.items():
        np.testing.assert_array_equal(out[f"spikes/{name}"], spikes, err_msg=name)


def test_most_seeds_do_not_overflow():
    runs = [exact(random_network(seed)) for seed in range(60)]
    clean = [not any(reference.run(n, random_stimulus(s, n)).overflows.values()) for s, n in enumerate(runs)]
    assert sum(clean) >= 45


def physical(seed: int) -> FloatNetwork:
    """A random network with true decays, current bias and non-strict thresholds, all in powers of
    two.
    """
    rng = np.random.default_rng(seed)
    network = dequantize(random_network(seed, loops=True))

    def changed(p: Population) -> Population:
        n = p.neuron
        n = replace(n, alpha=rng.choice([0.0, 0.5, 1.0]), beta=rng.choice([0.0, 0.75, 1.0]), strict=bool(rng.integers(2)))
        return replace(p, neuron=replace(n, threshold=n.threshold * 100, current_bias=rng.choice([0.0, 0.25])))

    connections = (
        replace(c, op=replace(c.op, weight=np.asarray(np.round(c.weight / np.abs(c.weight).max(initial=1e-9) * 64) / 16)))
        for c in network.connections
    )
    populations = tuple(map(changed, network.populations))
    return replace(network, input=replace(network.input, scale=1.0), populations=populations, connections=tuple(connections))


@pytest.mark.parametrize("seed", range(40))
def test_equals_a_slow_derivation(seed):
    network = physical(seed)
    x = random_stimulus(seed, network).over_time()
    seen = {}
    module = FloatModule(network, dtype=torch.float64)
    with torch.no_grad():
        module(torch.tensor(x, dtype=torch.float64).transpose(0, 1), observe=lambda name, course: seen.update({name: course}))
    for name, (spikes, potentials) in slow_run(network, x.astype(float)).items():
        np.testing.assert_array_equal(seen[name].spikes.transpose(0, 1).numpy(), spikes, err_msg=name)
        np.testing.assert_allclose(seen[name].potential.transpose(0, 1).numpy(), potentials, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_a_held_input_and_a_shorter_run_change_nothing(seed):
    network = physical(seed)
    x = random_stimulus(seed, network).at(0)
    module = FloatModule(network, dtype=torch.float64)
    held = torch.tensor(x, dtype=torch.float64)
    with torch.no_grad():
        long = module(held, 6)
        assert torch.equal(module(held.expand(6, *held.shape)), long)
        assert torch.equal(module(held, 3), long[:3])
        assert torch.equal(module(held.expand(6, *held.shape), 2), long[:2])


def one_layer(**changes) -> FloatNetwork:
    weight = np.array([[1.0, 0.5], [-0.25, 2.0]])
    return FloatNetwork(
        Input("in", (2,)),
        (Population("out", (2,), neuron(**changes)),),
        (Connection("w", "in", "out", Dense(weight)),),
        "out",
        "spike_count",
        4,
        **PER_STEP,
    )


def test_strictness_decides_a_tie():
    x = np.array([[1.0, 0.0]])
    strict = simulate_float(one_layer(), x, 1)["output"]
    loose = simulate_float(one_layer(strict=False), x, 1)["output"]
    assert (strict[0, 0, 0], loose[0, 0, 0]) == (0, 1)


def test_an_injected_surrogate_trains_weights_and_bias():
    module = FloatModule(one_layer(), spike=lambda x: torch.sigmoid(4 * x))
    module(torch.ones(3, 5, 2)).sum().backward()
    assert module.weights["w"].grad.abs().min() > 0
    assert module.biases["out"].grad.abs().min() > 0


def test_noise_counts_absolute_samples_in_any_chunking(monkeypatch):
    network = one_layer(noise=Noise("gaussian", 2.0, seed=3))
    x = np.zeros((7, 2))
    whole = simulate_float(network, x, 5)["output"]
    monkeypatch.setattr("spikeport.export.floating.simulate.CHUNK_STATES", 3 * 4 * 2 * 5)
    seen = []
    parts = simulate_float(network, x, 5, progress=seen.append)["output"]
    assert seen == [3, 3, 1] and 0 < whole.sum() < whole.size
    np.testing.assert_array_equal(whole, parts)


def test_integers_count_in_the_input_scale():
    network = replace(one_layer(), input=Input("in", (2,), scale=0.5, low=0, high=7))
    integers = np.array([[3, 0], [0, 1]])
    np.testing.assert_array_equal(simulate_float(network, integers, 3)["output"], simulate_float(network, integers * 0.5, 3)["output"])


def test_bad_input_is_told_in_one_line():
    with pytest.raises(InputError, match="shape"):
        simulate_float(one_layer(), np.zeros((3, 4, 5)), 2)
    with pytest.raises(InputError, match="timesteps"):
        simulate_float(one_layer(), np.zeros((3, 2)), 0)
    with pytest.raises(InputError, match="expected"):
        FloatModule(one_layer())(torch.zeros(3, 2))


def test_loops_stay_together_and_chains_come_apart():
    populations = tuple(Population(n, (1,), neuron()) for n in "abc")
    one = Dense(np.ones((1, 1)))
    chain = [Connection(f"{a}{b}", a, b, one) for a, b in ("ia", "ab", "bc")]
    loop = Connection("ba", "b", "a", one, delay=2)
    for connections, stages in (chain, [["a"], ["b"], ["c"]]), ([*chain, loop], [["a", "b"], ["c"]]):
        network = FloatNetwork(Input("i", (1,)), populations, tuple(connections), "c", "spike_count", 1, **PER_STEP)
        assert causal_stages(network) == stages
