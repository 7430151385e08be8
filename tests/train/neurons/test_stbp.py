"""STBP's neuron against plain autograd over unrolled time, and against the authors' numbers."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from support.networks.unrolled import lif
from support.training_cases import case

from spikeport.export.common.errors import InputError
from spikeport.train.neurons.stbp import LIFConfig, parametric_lif, tic_lif, wu_lif
from spikeport.train.neurons.surrogates import SURROGATES, Surrogate

# Written anew, out of place, from the published formulas.
DERIVATIVES = {
    "arctan": lambda x, w: 1 / (1 + (math.pi * x / w) ** 2),
    "rectangle": lambda x, w: (x.abs() < w).to(x),
    "scaled_rectangle": lambda x, w: (x.abs() < w).to(x) / (2 * w),
    "triangle": lambda x, w: torch.clamp(1 - x.abs() / w, min=0),
    "fast_sigmoid": lambda x, w: 1 / (1 + x.abs() / w) ** 2,
    "sigmoid": lambda x, w: torch.exp(-x / w) / (1 + torch.exp(-x / w)) ** 2 / w,
    "gaussian": lambda x, w: torch.exp(-((x / w) ** 2) / 2) / math.sqrt(2 * math.pi * w**2),
    "exponential": lambda x, w: torch.exp(-x.abs() / w) / w,
}


def run(neuron, currents, grad):
    x = currents.clone().requires_grad_()
    out = neuron(x)
    out.backward(grad)
    return out.detach(), x.grad


def test_every_surrogate_has_an_independent_derivative():
    assert DERIVATIVES.keys() == SURROGATES.keys()


@pytest.mark.parametrize("kind", SURROGATES)
@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("detach", [True, False])
def test_gradient_equals_unrolled_autograd(kind, reset, detach):
    generator = torch.Generator().manual_seed(1)
    surrogate = Surrogate(kind=kind, width=0.7)
    config = LIFConfig(decay=0.8, gain=0.9, threshold=0.6, reset=reset, detach_reset=detach, surrogate=surrogate)
    currents = torch.randn(6, 5, 3, 2, generator=generator, dtype=torch.float64)
    grad = torch.randn(6, 5, 3, 2, generator=generator, dtype=torch.float64)
    spikes, gradient = run(lambda x: config.build()(x, 6), currents, grad)
    expected_spikes, expected = run(lambda x: lif(x, config, lambda d: DERIVATIVES[kind](d, 0.7))[0], currents, grad)
    assert 0.1 < spikes.mean() < 0.9
    assert torch.equal(spikes, expected_spikes)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("config", [LIFConfig(decay=0.7, gain=0.9, threshold=0.6, learned="decay"), parametric_lif(3.0)])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("steps", [1, 6])
def test_gradient_of_learned_time_constants_equals_unrolled_autograd(config, reset, steps):
    generator = torch.Generator().manual_seed(5)
    config = replace(config, reset=reset, detach_reset=False)
    currents = 0.5 + 2 * torch.randn(steps, 5, 7, generator=generator, dtype=torch.float64)
    grad = torch.randn(steps, 5, 7, generator=generator, dtype=torch.float64)
    neuron = config.build().double()
    spikes, gradient = run(lambda x: neuron(x, steps), currents, grad)
    w = torch.tensor(math.log(config.decay / (1 - config.decay)), dtype=torch.float64, requires_grad=True)
    decay = 1 / (1 + torch.exp(-w))
    learned = replace_fields(config, decay=decay, gain=1 - decay if config.learned == "tau" else config.gain)
    expected_spikes, expected = run(lambda x: lif(x, learned, lambda d: DERIVATIVES["arctan"](d, 1.0))[0], currents, grad)
    assert torch.equal(spikes, expected_spikes)
    torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(neuron.logit.grad, w.grad, rtol=1e-6, atol=1e-9)
    if steps > 1:
        assert w.grad.abs() > 1e-3


def replace_fields(config, **tensors):
    return SimpleNamespace(**{**vars(config), **tensors})


def test_held_currents_are_the_same_as_repeated_ones():
    generator = torch.Generator().manual_seed(2)
    held = torch.rand(1, 4, 7, generator=generator, dtype=torch.float64) * 2
    grad = torch.randn(5, 4, 7, generator=generator, dtype=torch.float64)
    neuron = LIFConfig(decay=0.5).build()
    spikes, gradient = run(lambda x: neuron(x, 5), held, grad)
    repeated, summed = run(lambda x: neuron(x.expand(5, 4, 7), 5), held, grad)
    assert torch.equal(spikes, repeated)
    torch.testing.assert_close(gradient, summed)


def test_prefix_of_a_longer_run():
    currents = torch.randn(8, 3, 10, generator=torch.Generator().manual_seed(3))
    neuron = wu_lif().build()
    assert torch.equal(neuron(currents, 8)[:5], neuron(currents[:5], 5))


def test_strictness_decides_at_the_threshold():
    at_threshold = torch.ones(1, 1, 1)
    assert LIFConfig(threshold=1.0, strict=True).build()(at_threshold, 1).item() == 0
    assert LIFConfig(threshold=1.0, strict=False).build()(at_threshold, 1).item() == 1


def test_authors_rectangular_surrogate():
    """One timestep: the potential is the current, so its gradient is the surrogate itself."""
    z = {k: torch.from_numpy(v) if v.ndim else float(v) for k, v in case("stbp_rect_surrogate").items()}
    config = LIFConfig(decay=0.2, threshold=z["thresh"], surrogate=Surrogate(kind="rectangle", width=z["lens"]))
    spikes, gradient = run(lambda x: config.build()(x, 1), z["u"][None], z["grad_out"][None])
    assert torch.equal(spikes[0], z["spike"])
    torch.testing.assert_close(gradient[0], z["grad_u"], rtol=1e-4, atol=1e-6)


def test_authors_tic_neuron():
    z = {k: torch.from_numpy(v) if v.ndim else float(v) for k, v in case("tic_lif_T4_tau4").items()}
    config = tic_lif(z["tau"])
    spikes, gradient = run(lambda x: config.build()(x, 4), z["x"], z["grad_out"])
    assert torch.equal(spikes, z["spikes"])
    torch.testing.assert_close(gradient, z["grad_x"], rtol=1e-4, atol=1e-6)
    _, before, after = lif(z["x"], config, lambda d: d)
    torch.testing.assert_close(before, z["h_before"], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(after, z["v_after"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"decay": 1.5},
        {"threshold": 0.0},
        {"reset": "soft"},
        {"learned": "all"},
        {"decay": 1.0, "learned": "decay"},
        {"gain": 1.0, "learned": "tau"},
    ],
)
def test_impossible_neurons_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        LIFConfig(**wrong)


def test_unknown_surrogate_is_refused():
    with pytest.raises(InputError, match="choose one of arctan"):
        Surrogate(kind="step")
