"""The float network in ONNX Runtime against PyTorch: the same spikes, currents and potentials
within float32's rounding.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from support.networks.random_networks import random_network

from spikeport.export.common.errors import InputError
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.model.network import FloatNetwork, Noise
from spikeport.export.onnx.float_graph import float_onnx, rest
from spikeport.export.quantization.dequantize import dequantize

TIES = 2e-3
"""Share of bins that may differ: potentials within float32's rounding of a threshold, and what
follows from them.
"""


def executed(network: FloatNetwork, x: np.ndarray, states: dict | None = None) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(float_onnx(network).SerializeToString(), providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    feeds = {"input": x.astype(np.float32), **(states or rest(network, x.shape[1]))}
    return dict(zip(names, session.run(names, feeds)))


def case(seed: int, **options) -> tuple[FloatNetwork, np.ndarray]:
    """A network of off-grid parameters, so that no potential equals its threshold, and 12 timesteps
    of 4 samples.
    """
    network = dequantize(random_network(seed, noise=False, **options))
    rng = np.random.default_rng(seed)
    populations = []
    for p in network.populations:
        n = p.neuron
        populations.append(replace(p, neuron=replace(n, threshold=n.threshold * 1.0137 + 1e-3, beta=n.beta * 0.983, bias=n.bias * 1.0071)))
    network = replace(network, populations=tuple(populations), input=replace(network.input, code="direct"))
    high = network.input.high * network.input.scale
    return network, rng.random((12, 4, *network.input.shape)) * high


@pytest.mark.parametrize("seed", range(24))
def test_the_same_run_as_in_torch(seed):
    network, x = case(seed)
    expected = simulate_float(network, x.swapaxes(0, 1), 12, record=True, dtype=torch.float64)
    made = executed(network, x)
    for name in (k for k in expected if k.startswith("spikes/")):
        assert (made[name].swapaxes(0, 1) != expected[name]).mean() <= TIES
    scale = np.abs(expected["output"]).max() or 1
    different = np.abs(made["output"].swapaxes(0, 1) - expected["output"]) > 1e-4 * scale
    assert different.mean() <= TIES


def test_the_cases_reach_what_is_to_be_shown():
    networks = [case(seed)[0] for seed in range(24)]
    assert sum(any(c.delay for c in n.connections) for n in networks) > 3 and sum(any(c.pool for c in n.connections) for n in networks) > 3
    assert {p.neuron.reset for n in networks for p in n.populations} == {"zero", "value", "subtract"}
    spikes = [simulate_float(n, x.swapaxes(0, 1), 12, record=True) for n, x in map(case, range(24))]
    assert sum(v.any() for run in spikes for k, v in run.items() if k.startswith("spikes/")) > 20


@pytest.mark.parametrize("seed", [1, 7, 20])
def test_states_carry_a_run_on(seed):
    network, x = case(seed)
    whole, states, parts = executed(network, x)["output"], None, []
    for step in x:
        made = executed(network, step[None], states)
        states = {name.removesuffix("/next"): value for name, value in made.items() if name.endswith("/next")}
        parts.append(made["output"][0])
    np.testing.assert_array_equal(np.stack(parts), whole)


def test_noise_is_refused_by_name():
    network, _ = case(1)
    noisy = replace(network.populations[0], neuron=replace(network.populations[0].neuron, noise=Noise("uniform", 0.1, 1)))
    with pytest.raises(InputError, match=f"population {noisy.name} has noise"):
        float_onnx(replace(network, populations=(noisy, *network.populations[1:])))
