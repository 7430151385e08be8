"""Compiled loops of LIF neurons against PyTorch's, timestep after timestep, in float64."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from spikeport.train.data.registry import Task
from spikeport.train.kernels import compiled as kernels
from spikeport.train.network import spiking
from spikeport.train.network.build import build
from spikeport.train.network.topology import windows_of_all
from spikeport.train.neurons import dispatch
from spikeport.train.neurons.dsr import DSRConfig, dsr_forward
from spikeport.train.neurons.stbp import LIFConfig, LIFOverTime, parametric_lif
from spikeport.train.neurons.surrogates import SURROGATES, Surrogate
from spikeport.train.settings.config import TrainConfig

VARIANTS = [
    LIFConfig(reset=reset, strict=strict, detach_reset=detached, threshold=0.75)
    for reset, strict, detached in product(("zero", "subtract"), (True, False), (True, False))
]
MAP = (2, 3, 7, 6)


def numbers(*shape, seed=0, last=False):
    """Multiples of 1/8, so that potentials meet the threshold and bfloat16 holds them exactly."""
    x = torch.randint(-16, 24, shape, generator=torch.Generator().manual_seed(seed)) / 8
    return x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3) if last else x


def by_pytorch(x, steps, config, pool, grad):
    """Means of spikes, and the currents' gradient, in float64."""
    x = x.double().requires_grad_()
    y = LIFOverTime.apply(x, steps, config.decay, config.gain, config)
    y = F.avg_pool2d(y.flatten(0, 1), pool).unflatten(0, y.shape[:2]) if pool > 1 else y
    return y.detach(), torch.autograd.grad(y, x, grad.double())[0]


def compiled(x, steps, config, pool, grad):
    x = x.clone().requires_grad_()
    y = dispatch.compiled_lif(x, steps, config.decay, config.gain, config, pool)
    assert y.dtype == x.dtype
    return y.detach(), torch.autograd.grad(y, x, grad)[0]


def assert_equal(x, steps, config, pool=1, *, tolerance=1e-5):
    """Spikes, and their means where a window's share is a power of 2, to the last bit; gradients to
    rounding.
    """
    shape = (*x.shape[1:-2], *(n // pool for n in x.shape[-2:])) if pool > 1 else x.shape[1:]
    grad = torch.randn(steps, *shape, generator=torch.Generator().manual_seed(1)).to(x.dtype)
    (spikes, gradient), (expected, reference) = (run(x, steps, config, pool, grad) for run in (compiled, by_pytorch))
    assert 0 < expected.mean() < 1
    np.testing.assert_allclose(spikes.double(), expected.to(x.dtype).double(), rtol=1e-6 if pool == 3 else 0)
    np.testing.assert_allclose(gradient.double(), reference, rtol=tolerance, atol=tolerance * float(reference.abs().max()))
    assert gradient.stride() == x.stride()


@pytest.mark.parametrize("config", VARIANTS)
@pytest.mark.parametrize(("pool", "last", "held"), [*product((1, 2, 3), (False, True), (False, True))])
def test_maps_in_either_order_of_memory_pooled_or_not(config, pool, last, held):
    assert_equal(numbers(1 if held else 4, *MAP, last=last), 4, config, pool)


@pytest.mark.parametrize("kind", sorted(dispatch.COMPILED_SURROGATES))
def test_every_surrogate_that_is_compiled(kind):
    config = LIFConfig(detach_reset=False, surrogate=Surrogate(kind=kind, width=0.7))
    assert_equal(numbers(5, 3, 50), 5, config)


def test_what_is_not_compiled_is_left_to_pytorch():
    assert dispatch.COMPILED_SURROGATES == set(kernels.FORMULAS) < set(SURROGATES)
    x, config = numbers(2, 3, 5), LIFConfig()
    assert dispatch.compiled_lif(x.double(), 2, 0.5, 1.0, config) is None
    assert dispatch.compiled_lif(x, 2, 0.5, 1.0, replace(config, surrogate=Surrogate(kind="sigmoid"))) is None
    learned = parametric_lif().build()
    assert dispatch.compiled_lif(x, 2, *learned.leak(), learned.config) is None
    assert learned(x, 2).shape == x.shape and learned.pooled(x, 2, 1) is None


@pytest.mark.parametrize("pool", [1, 2])
def test_in_bfloat16_potentials_are_float32(pool):
    """Its currents are exact here, so its spikes are; gradients are rounded once."""
    assert_equal(numbers(4, *MAP).bfloat16(), 4, LIFConfig(decay=0.625), pool, tolerance=2**-7)


@given(
    st.integers(1, 6),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(3, 40),
    st.integers(3, 40),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_shape(steps, samples, channels, height, width, pool, last, held):
    x = numbers(1 if held else steps, samples, channels, height, width, last=last)
    grad = numbers(steps, samples, channels, height // pool, width // pool, seed=2)
    mine, theirs = (run(x, steps, LIFConfig(), pool, grad) for run in (compiled, by_pytorch))
    np.testing.assert_allclose(mine[0], theirs[0], rtol=1e-6)
    np.testing.assert_allclose(mine[1], theirs[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pool", [1, 2])
def test_threads_share_the_blocks(monkeypatch, pool):
    """Each number is computed in one place, so that how many threads there are changes none."""
    x, grad = numbers(3, 5, 4, 40, 40), numbers(3, 5, 4, 40 // pool, 40 // pool, seed=3)
    monkeypatch.setattr(kernels, "THREADS_WORTH", 1)
    found = []
    before = torch.get_num_threads()
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(compiled(x, 3, LIFConfig(), pool, grad))
    torch.set_num_threads(before)
    for spikes, gradient in found[1:]:
        assert torch.equal(spikes, found[0][0]) and torch.equal(gradient, found[0][1])


@pytest.mark.parametrize("kind", ["if", "lif"])
@pytest.mark.parametrize(("pool", "last", "held"), [*product((1, 2), (False, True), (False, True))])
def test_dsrs_spikes_and_mean_current(monkeypatch, kind, pool, last, held):
    config = DSRConfig(kind=kind, threshold=1.5, dt=0.25)
    x, threshold = numbers(1 if held else 4, *MAP, last=last), torch.tensor(1.5)
    for overwrite in (False, True):
        spikes, mean = dsr_forward(x.clone(memory_format=torch.preserve_format), 4, threshold, config, pool=pool, overwrite=overwrite)
        with monkeypatch.context() as patched:
            patched.setattr(dispatch, "DTYPES", ())
            expected, expected_mean = dsr_forward(x.double(), 4, threshold, config)
        expected = F.avg_pool2d(expected.flatten(0, 1), pool).unflatten(0, (4, -1))
        assert 0 < expected.mean() < expected.max()
        torch.testing.assert_close(spikes.double(), expected, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(mean.double(), expected_mean, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("arch", ["6C3-P2-8C3-P3-20", "6C3-P2-8C3-P2", "6C3-MP2-8C3-P2-20"])
def test_dsr_through_rates_is_the_same_with_pytorchs_neurons(monkeypatch, arch):
    """Also where a readout pools, which is differentiated in time, and behind max pooling."""
    same_network(monkeypatch, TrainConfig(arch=arch, method="dsr", timesteps=3, neuron=DSRConfig(threshold=1.0)), "DTYPES", ())


@pytest.mark.parametrize("method", ["stbp", "noise"])
def test_a_network_is_the_same_with_pytorchs_neurons(monkeypatch, method):
    same_network(monkeypatch, TrainConfig(arch="6C3-P2-8C3-P3-20", method=method, timesteps=3), "COMPILED_SURROGATES", frozenset())


def same_network(monkeypatch, config, switch, off):
    """Output in training and in evaluation, and all gradients."""
    images, found = torch.rand(5, 1, 14, 14, generator=torch.Generator().manual_seed(0)), []
    for patched in (False, True):
        torch.manual_seed(0)
        network = build(config, Task("mnist", (1, 14, 14), 10, 255)).train()
        if patched:
            monkeypatch.setattr(dispatch, switch, off)
        out = network(images)
        out.square().mean().backward()
        with torch.no_grad():
            evaluated = network.eval()(images)
        found.append([out.detach(), evaluated, *(p.grad for p in network.parameters())])
    assert float(found[0][0].abs().max()) > 0
    for mine, theirs in zip(*found):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_spikes_are_pooled_early_only_where_all_readers_pool_alike():
    task = Task("mnist", (1, 28, 28), 10, 255)

    def windows(arch, source):
        return windows_of_all(build(TrainConfig(arch=arch), task).stages, source)

    assert windows("6C3-P2-8C3-P4-20", "conv1") == 2 and windows("6C3-P2-8C3-P4-20", "conv2") == 4
    assert windows("6C3-8C3-P2-20", "conv1") == 1, "nobody pools"
    assert windows("6C3-MP2-8C3-P2-20", "conv1") == 1, "largest, not mean"
    assert windows("6C3-P2-8C3D4-20", "conv1") == 1, "delays come first"


def test_who_hooks_into_neurons_sees_their_spikes():
    network = build(TrainConfig(arch="6C3-P2-20", timesteps=2), Task("digits", (1, 8, 8), 10, 16))
    images, seen = torch.rand(3, 1, 8, 8), []
    unwatched = network(images)
    network.neuron("conv1").register_forward_hook(lambda _, args, out: seen.append(out))
    torch.testing.assert_close(network(images), unwatched)
    assert seen[0].shape == (2, 3, 6, 8, 8)


def test_neurons_that_pool_are_asked_once(monkeypatch):
    """A network's forward pass never makes the spikes that pooling would read."""
    network = build(TrainConfig(arch="6C3-P2-20", timesteps=2), Task("digits", (1, 8, 8), 10, 16))
    monkeypatch.setattr(spiking.Neuron, "forward", None)
    seen = []
    ran = kernels.lif
    monkeypatch.setattr(kernels, "lif", lambda *args: seen.append(args[-1]) or ran(*args))
    network(torch.rand(3, 1, 8, 8))
    assert seen == [2, 1]
