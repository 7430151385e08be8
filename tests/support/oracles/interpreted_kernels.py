"""Triton's kernels, in Triton's interpreter on the CPU, against PyTorch's loops over time.

Run by test_train_kernels.py in a process of
its own: TRITON_INTERPRET=1 must be set before Triton is imported.

The interpreter multiplies and adds with two roundings where a GPU and PyTorch have one, so
potentials are compared within a few ulp; where numbers are dyadic and nothing rounds, all is
compared exactly, ties included. It also cuts to bfloat16 instead of rounding, so there only what
holds for both is asked for.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.oracles.kernel_cases import CLOSE, DSR_CONFIGS, LIF_CONFIGS, losses, name, normal

from spikeport.train.kernels import launch as triton_launch
from spikeport.train.neurons.dispatch import triton_kernels
from spikeport.train.neurons.dsr import DSRConfig
from spikeport.train.neurons.noise import NoiseConfig, calibrating
from spikeport.train.neurons.stbp import LIFConfig, lif_backward, lif_forward, parametric_lif
from spikeport.train.neurons.surrogates import SURROGATES, Surrogate
from spikeport.train.neurons.tsslbp import TSSLConfig, tssl_backward, tssl_forward
from spikeport.train.settings.methods import METHODS


@contextmanager
def in_pytorch() -> Iterator[None]:
    """PyTorch's own loops inside."""
    with patch.dict(os.environ, TRITON_INTERPRET="0"):
        yield


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several programs even for few neurons; 100 neurons do not divide."""
    monkeypatch.setattr(triton_launch, "BLOCK", 64)


def both(neuron, currents, timesteps, grad):
    """Output, the currents' gradient and the parameters', by kernels and by PyTorch."""
    found = []
    for inside in (patch.dict(os.environ), in_pytorch()):
        with inside:
            neuron.zero_grad()
            x = currents.clone(memory_format=torch.preserve_format).requires_grad_()
            torch.manual_seed(1)
            out = neuron(x, timesteps)
            out.backward(grad)
            found.append((out.detach(), x.grad, [p.grad.clone() for p in neuron.parameters()]))
    return found


def check(neuron, currents, timesteps, grad, low=0.05, high=0.95):
    """Kernels and PyTorch agree, on outputs that are neither all silent nor all alike."""
    assert triton_kernels("lif", currents) is not None
    (out, gradient, others), (expected, expected_gradient, expected_others) = both(neuron, currents, timesteps, grad)
    assert low < (expected != 0).float().mean() < high
    assert torch.equal(out != 0, expected != 0)
    torch.testing.assert_close(out, expected, **CLOSE)
    torch.testing.assert_close(gradient, expected_gradient, **CLOSE)
    torch.testing.assert_close(others, expected_others, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", LIF_CONFIGS, ids=name)
@pytest.mark.parametrize(("timesteps", "held"), [(1, False), (6, False), (6, True)])
def test_lif(config, timesteps, held):
    currents = normal(1 if held else timesteps, 4, 25, shift=0.3)
    check(config.build(), currents, timesteps, normal(timesteps, 4, 25, seed=1))


@pytest.mark.parametrize("kind", SURROGATES)
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_lif_with_every_surrogate(kind, reset):
    config = LIFConfig(reset=reset, detach_reset=False, surrogate=Surrogate(kind=kind, width=0.7))
    check(config.build(), normal(6, 100, shift=0.3), 6, normal(6, 100, seed=1))


@pytest.mark.parametrize("config", [LIFConfig(decay=0.7, threshold=0.6, learned="decay", detach_reset=False), parametric_lif(3.0)])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize(("timesteps", "held"), [(1, False), (6, False), (6, True)])
def test_learned_leak(config, reset, timesteps, held):
    currents = normal(1 if held else timesteps, 100, scale=4)
    check(replace(config, reset=reset).build(), currents, timesteps, normal(timesteps, 100, seed=1))


SHAPES = st.lists(st.integers(1, 9), min_size=1, max_size=3)


@given(
    shape=SHAPES,
    timesteps=st.integers(1, 6),
    held=st.booleans(),
    bits=st.integers(0, 2**32),
    config=st.sampled_from(LIF_CONFIGS),
    data=st.data(),
)
@settings(max_examples=30, deadline=None)
def test_lif_of_dyadic_numbers_is_exact(shape, timesteps, held, bits, config, data):
    """Multiples of 1/4, leak 1/2: nothing rounds, and potentials often lie on the threshold."""
    dtype = data.draw(st.sampled_from([torch.float32, torch.bfloat16]))
    config = replace(config, decay=0.5, gain=1.0, threshold=1.0)
    generator = torch.Generator().manual_seed(bits)
    x = torch.randint(-4, 9, (1 if held else timesteps, *shape), generator=generator) / 4
    spikes, potentials = lif_forward(x.to(dtype), timesteps, 0.5, 1.0, config)
    with in_pytorch():
        expected = lif_forward(x, timesteps, 0.5, 1.0, config)
    assert spikes.dtype == potentials.dtype == dtype
    if dtype == torch.float32 or timesteps <= 3:  # 8 bits hold three timesteps
        assert torch.equal(spikes.float(), expected[0]) and torch.equal(potentials.float(), expected[1])


@pytest.mark.parametrize("config", LIF_CONFIGS, ids=name)
def test_lif_in_bfloat16(config):
    """Saved potentials are those of float32 with the same spikes, to 8 bits; spikes and gradients
    are those of what is saved.
    """
    currents, grad = normal(6, 100, shift=0.3).bfloat16(), normal(6, 100, seed=1).bfloat16()
    spikes, saved = lif_forward(currents, 6, config.decay, config.gain, config)
    h = saved.float()
    assert torch.equal(spikes.float(), (h > config.threshold if config.strict else h >= config.threshold).float())
    v = torch.zeros(100)
    for x, s, h in zip(currents.float(), spikes.float(), saved.float()):
        potential = config.decay * v + config.gain * x
        torch.testing.assert_close(h, potential, rtol=2**-7, atol=1e-6)
        v = potential * (1 - s) if config.reset == "zero" else potential - config.threshold * s
    gradient, sums = lif_backward(saved, grad, config.decay, config.gain, config, held=False, learned=True)
    with in_pytorch():
        expected, expected_sums = lif_backward(saved.float(), grad.float(), config.decay, config.gain, config, held=False, learned=True)
    assert gradient.dtype == torch.bfloat16
    torch.testing.assert_close(gradient.float(), expected, rtol=2**-7, atol=1e-6)
    torch.testing.assert_close(sums, expected_sums, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layout", ["channels last", "transposed", "expanded gradient"])
def test_any_layout_in_memory(layout):
    currents, grad = normal(5, 3, 4, 6, 2), normal(5, 3, 4, 6, 2, seed=1)
    if layout == "channels last":
        currents = currents.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (5, 3))
        spikes, potentials = lif_forward(currents, 5, 0.5, 1.0, LIFConfig())
        assert spikes.stride() == potentials.stride() == currents.stride() != grad.stride()
    elif layout == "transposed":
        currents = currents.transpose(0, 2).contiguous().transpose(0, 2)
    else:
        grad = grad[:1].expand_as(currents)
    for config in (LIFConfig(), DSRConfig(threshold=1.0), TSSLConfig()):
        check(config.build(), currents, 5, grad)


@pytest.mark.parametrize("config", DSR_CONFIGS, ids=name)
@pytest.mark.parametrize(("timesteps", "held"), [(1, False), (7, False), (7, True)])
def test_dsr(config, timesteps, held):
    currents = normal(1 if held else timesteps, 2, 50, scale=3 if config.kind == "if" else 6)
    check(config.build(), currents, timesteps, normal(timesteps, 2, 50, seed=1))


def test_dsr_ties_and_bounds():
    """IF, alpha 1/2: on the firing threshold it fires; a mean current on either bound is inside."""
    neuron = DSRConfig(threshold=2.0).build()
    currents = torch.tensor([[1.0, 0.0, 2.0, 4.0], [0.5, 0.0, 2.0, 4.0], [2.0, 0.0, 2.0, 4.0]], requires_grad=True)
    out = neuron(currents, 3)
    out.sum().backward()
    assert out.tolist() == [[2.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0], [2.0, 0.0, 2.0, 2.0]]
    assert currents.grad.tolist() == 3 * [[1.0, 1.0, 1.0, 0.0]] and neuron.threshold.grad == 3


@pytest.mark.parametrize("config", DSR_CONFIGS[:2], ids=name)
@pytest.mark.parametrize("held", [False, True])
def test_dsr_in_bfloat16(config, held):
    """As float32 but for the output's own rounding."""
    currents, grad = normal(1 if held else 7, 100, scale=4).bfloat16(), normal(7, 100, seed=1).bfloat16()
    (found, _), (_, expected) = (both(config.build(), x, 7, g) for x, g in ((currents, grad), (currents.float(), grad.float())))
    assert found[0].dtype == found[1].dtype == torch.bfloat16
    assert torch.equal(found[0] != 0, expected[0] != 0)
    torch.testing.assert_close(found[0].float(), expected[0], rtol=2**-7, atol=0)
    torch.testing.assert_close(found[1].float(), expected[1], rtol=2**-6, atol=1e-6)
    torch.testing.assert_close(found[2], expected[2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rule", ["released", "paper"])
@pytest.mark.parametrize("warm_up", ["inactive", "off", "all"])
@pytest.mark.parametrize(("timesteps", "held"), [(1, False), (7, False), (7, True)])
def test_tsslbp(rule, warm_up, timesteps, held):
    config = TSSLConfig(threshold=0.8, rule=rule, warm_up=warm_up)
    currents = normal(1 if held else timesteps, 2, 50, scale=0.6, shift=0.4)
    check(config.build(), currents, timesteps, normal(timesteps, 2, 50, seed=1))


def test_tsslbp_in_bfloat16():
    config = TSSLConfig(threshold=0.8)
    currents, grad = normal(7, 100, scale=0.6, shift=0.4).bfloat16(), normal(7, 100, seed=1).bfloat16()
    potentials, out = tssl_forward(currents, config)
    q = torch.zeros(100)
    for s, post in zip((potentials.float() > config.threshold).float(), out.float()):
        q = q + (s - q) / config.tau_s
        torch.testing.assert_close(post, q, rtol=2**-7, atol=1e-6)
    gradient = tssl_backward(currents, potentials, out, grad, config)
    with in_pytorch():
        expected = tssl_backward(currents.float(), potentials.float(), out.float(), grad.float(), config)
    assert gradient.dtype == torch.bfloat16
    torch.testing.assert_close(gradient.float(), expected, rtol=2**-7, atol=1e-5)


@pytest.mark.parametrize("config", [NoiseConfig(), NoiseConfig(noise="uniform", surrogate=Surrogate(kind="sigmoid"))])
def test_noise_in_training_and_calibrated(config):
    neuron = config.build()
    check(neuron, normal(1, 4, 50, scale=0.5, shift=0.5), 1, normal(1, 4, 50, seed=1))
    neuron.eval()
    with calibrating(neuron):
        neuron(normal(5, 4, 50, scale=0.5, shift=0.5), 5)
    check(neuron, normal(5, 4, 50, scale=0.5, shift=0.5), 5, normal(5, 4, 50, seed=1))


def test_other_types_are_left_to_pytorch():
    assert triton_kernels("lif", torch.zeros(1, 2)) and triton_kernels("lif", torch.zeros(1, 2, dtype=torch.float64)) is None
    out, expected = both(LIFConfig().build(), normal(4, 37).double(), 4, normal(4, 37, seed=1).double())
    assert torch.equal(out[0], expected[0]) and torch.equal(out[1], expected[1])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.1)])
def test_a_network_trains_the_same(method, precision, tolerance, monkeypatch):
    monkeypatch.setattr(triton_launch, "BLOCK", 4096)
    found = losses(method, precision)
    with in_pytorch():
        expected = losses(method, precision)
    assert found == pytest.approx(expected, rel=tolerance) and len(set(expected)) == 3
