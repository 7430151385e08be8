"""DSR's neuron against the clamp it stands for, by autograd, and against the authors' numbers."""

import math

import numpy as np
import pytest
import torch
from support.training_cases import case

from spikeport.export.common.errors import InputError
from spikeport.train.neurons.dsr import DSRConfig

CONFIGS = {
    "if": DSRConfig(kind="if", threshold=1.5, alpha=0.5),
    "lif": DSRConfig(kind="lif", threshold=0.4, alpha=0.3, tau=0.8, dt=0.1),
    "theory": DSRConfig(kind="lif", threshold=0.4, alpha=0.3, tau=0.8, dt=0.1, threshold_gradient="theory"),
}


def spikes_by_hand(currents, c, threshold):
    """Forward equations, one neuron at a time."""
    out = np.zeros_like(currents)
    for n in range(currents.shape[1]):
        v = 0.0
        for t, current in enumerate(currents[:, n]):
            keep = math.exp(-c.dt / c.tau)
            v = v + current if c.kind == "if" else keep * v + (1 - keep) * current
            if v >= c.alpha * threshold:
                v -= threshold
                out[t, n] = threshold if c.kind == "if" else threshold / c.dt
    return out


def representation(currents, c, threshold):
    """The clamp of the mean current, differentiated by autograd; the output gradient reaches it
    with weights T w / sum(w).
    """
    T = len(currents)
    w = torch.tensor([math.exp(-(T - t) * c.dt / c.tau) if c.kind == "lif" else 1.0 for t in range(1, T + 1)], dtype=currents.dtype)
    w = w / w.sum()
    value = torch.einsum("t,tn->n", w, currents).detach()
    plain = currents.mean(0) / (c.tau if c.kind == "lif" else 1.0)
    mean = value + plain - plain.detach()
    bound = threshold if c.kind == "if" else threshold * c.tau / c.dt
    scale = {"if": 1.0, "lif": c.dt if c.threshold_gradient == "code" else 1 / c.dt}[c.kind]
    above, below = mean > bound, mean < 0
    slope = threshold * scale - (threshold * scale).detach()
    clamped = torch.where(above, bound.detach() + slope, torch.where(below, mean.detach() * 0, mean))
    return T * w[:, None] * clamped


@pytest.mark.parametrize("name", CONFIGS)
def test_forward_and_gradient(name):
    c = CONFIGS[name]
    generator = torch.Generator().manual_seed(5)
    currents = torch.randn(7, 300, generator=generator, dtype=torch.float64) * 3
    grad = torch.randn(7, 300, generator=generator, dtype=torch.float64)
    neuron = c.build().double()
    x = currents.clone().requires_grad_()
    out = neuron(x, 7)
    out.backward(grad)
    np.testing.assert_allclose(out.detach().numpy(), spikes_by_hand(currents.numpy(), c, neuron.threshold.item()), rtol=1e-12)

    y, threshold = currents.clone().requires_grad_(), neuron.threshold.detach().clone().requires_grad_()
    representation(y, c, threshold).backward(grad)
    torch.testing.assert_close(x.grad, y.grad, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(neuron.threshold.grad, threshold.grad)
    assert 0.1 < (x.grad != 0).double().mean() < 0.9


def test_input_gradient_has_no_time():
    x = torch.randn(6, 40, generator=torch.Generator().manual_seed(0)).mul(9).requires_grad_()
    DSRConfig(kind="lif", threshold=0.6).build()(x, 6).pow(2).sum().backward()
    assert (x.grad == x.grad[:1]).all() and x.grad.any()


def test_held_currents_are_the_same_as_repeated_ones():
    neuron = CONFIGS["lif"].build()
    held = torch.rand(1, 30, generator=torch.Generator().manual_seed(1)).mul(8).requires_grad_()
    repeated = held.detach().clone().requires_grad_()
    grad = torch.randn(5, 30, generator=torch.Generator().manual_seed(2))
    out, expected = neuron(held, 5), neuron(repeated.expand(5, 30), 5)
    out.backward(grad)
    expected.backward(grad)
    assert torch.equal(out, expected)
    torch.testing.assert_close(held.grad, repeated.grad)


def test_threshold_is_kept_at_its_bound_in_training_only():
    neuron = DSRConfig(threshold=1.0, bound=0.5).build()
    with torch.no_grad():
        neuron.threshold.fill_(-2.0)
    neuron.eval()(torch.ones(2, 3), 2)
    assert neuron.threshold.item() == -2
    neuron.train()(torch.ones(2, 3), 2)
    assert neuron.threshold.item() == 0.5


def test_a_fixed_threshold_does_not_learn():
    neuron = DSRConfig(threshold=0.8, trained_threshold=False).build()
    x = torch.rand(4, 9, generator=torch.Generator().manual_seed(0)).requires_grad_()
    neuron(x, 4).sum().backward()
    assert neuron.threshold.grad is None and x.grad.any() and neuron.lowered().neuron.reset_value == pytest.approx(0.8)


def test_a_tie_at_the_firing_threshold_fires():
    """IF with alpha 0.5: half a threshold is enough, and leaves minus half a threshold."""
    assert DSRConfig(threshold=2.0, alpha=0.5).build()(torch.tensor([[1.0], [0.5], [2.0]]), 3).tolist() == [[2.0], [0.0], [2.0]]


@pytest.mark.parametrize("name", ["dsr_if_T5", "dsr_lif_T5_lowlat"])
def test_authors_numbers(name):
    z = case(name)
    T = int(z["timesteps"])
    x, y, grad_out, grad_x = (torch.from_numpy(z[k]).unflatten(0, (T, -1)) for k in ("x", "y", "grad_out", "grad_x"))
    constants = {ours: float(z[theirs]) for ours, theirs in (("bound", "Vth_bound"), ("alpha", "alpha"), ("tau", "tau"), ("dt", "delta_t"))}
    neuron = DSRConfig(kind=str(z["kind"]), threshold=float(z["Vth_init"]), **constants).build()
    x.requires_grad_()
    out = neuron(x, T)
    out.backward(grad_out)
    torch.testing.assert_close(out, y, rtol=1e-6, atol=0)
    torch.testing.assert_close(x.grad, grad_x, rtol=1e-4, atol=1e-6)
    assert neuron.threshold.grad.item() == pytest.approx(float(z["grad_Vth"]), rel=1e-4)


@pytest.mark.parametrize("wrong", [{"kind": "alif"}, {"threshold_gradient": "guess"}, {"threshold": 0.001}, {"alpha": 1.5}, {"dt": 0.0}])
def test_impossible_neurons_are_refused(wrong):
    with pytest.raises(InputError, match="DSR"):
        DSRConfig(**wrong)
