"""TSSL-BP's neuron against scalar loops and dense matrices written from the formulas, and against
the authors' numbers.
"""

import numpy as np
import pytest
import torch
from support.training_cases import case

from spikeport.export.common.errors import InputError
from spikeport.train.neurons.tsslbp import TSSLConfig

T, NEURONS = 7, 200


def forward_by_hand(currents, c):
    """`(T,)` of one neuron: delta, u before reset, s, q."""
    u = q = 0.0
    course = []
    for current in currents:
        delta = -u / c.tau_m + current
        u += delta
        s = float(u > c.threshold)
        q += (s - q) / c.tau_s
        course.append((delta, u, s, q))
        u *= 1 - s
    return np.array(course).T


def sigma(u, c):
    z = np.exp(np.clip((c.threshold - u) / 0.2, -8, 8))
    return z / ((1 + z) ** 2 * 0.2)


def synaptic_matrix(c, steps):
    """A[m, k]: effect of a spike at m on the post-synaptic current at k."""
    return np.array([[(1 - 1 / c.tau_s) ** (k - m) / c.tau_s if k >= m else 0.0 for k in range(steps)] for m in range(steps)])


def released_by_hand(grad, course, c):
    """Sum over chains of cause and effect: from each step t onward, c holds what G has become by
    the time it acts on t.
    """
    delta, u, s, q = course
    effect = synaptic_matrix(c, len(grad)) @ grad
    out, carried = np.zeros_like(grad), 0.0
    for t in range(len(grad) - 1, -1, -1):
        p = s[t] * np.clip(1 / delta[t], 0, 8)
        gradient = p * effect[t]
        if t < len(grad) - 1:
            gradient += carried * u[t] * p / c.tau_m + carried * (1 - 1 / c.tau_m) * (1 - s[t])
        carried = gradient * s[t] + carried * (1 - s[t]) * (1 - 1 / c.tau_m)
        out[t] = gradient
        if c.warm_up == "inactive" and q[t] < 1 / (4 * c.tau_s):
            out[t] = effect[t] * sigma(u[t], c)
    return out


def paper_by_hand(grad, course, c, warm_up=False):
    """With the matrices A and R in full. warm_up: sigma' in the place of 1 / delta; the reset path
    R stays, as in the authors' code.
    """
    delta, u, s, _ = course
    reset = np.zeros((len(grad), len(grad)))
    for j in range(len(grad)):
        for k in range(j + 1, len(grad)):
            if not s[j + 1 : k].any():
                reset[j, k] = s[k] * s[j] * u[j] / c.tau_m * (1 - 1 / c.tau_m) ** (k - 1 - j)
    slope = sigma(u, c) if warm_up else np.clip(1 / delta, -10, 10) * s
    return synaptic_matrix(c, len(grad)) @ (grad + reset @ grad) * slope


BY_HAND = {"released": released_by_hand, "paper": paper_by_hand}


@pytest.mark.parametrize("rule", BY_HAND)
@pytest.mark.parametrize("warm_up", ["inactive", "off"])
def test_forward_and_gradient(rule, warm_up):
    rng = np.random.default_rng(3)
    c = TSSLConfig(tau_m=5, tau_s=3, threshold=0.8, rule=rule, warm_up=warm_up)
    currents, grad = rng.normal(0.4, 0.6, (T, NEURONS)), rng.normal(size=(T, NEURONS))
    x = torch.from_numpy(currents).requires_grad_()
    out = c.build()(x, T)
    out.backward(torch.from_numpy(grad))
    courses = [forward_by_hand(currents[:, n], c) for n in range(NEURONS)]
    assert 0.15 < np.mean([course[2] for course in courses]) < 0.6
    np.testing.assert_allclose(out.detach().numpy(), np.stack([course[3] for course in courses], axis=1), rtol=1e-12)
    expected = np.stack([BY_HAND[rule](grad[:, n], courses[n], c) for n in range(NEURONS)], axis=1)
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("warm_up", ["inactive", "all"])
def test_a_quiet_layer_warms_up_with_the_papers_rule_and_keeps_its_reset_path(warm_up):
    """The leak is slow enough for some neurons of a quiet layer to fire twice, else R is empty."""
    rng = np.random.default_rng(4)
    c = TSSLConfig(rule="paper", warm_up=warm_up, tau_m=8)
    currents, grad = rng.normal(0.12, 0.45, (2 * T, NEURONS)), rng.normal(size=(2 * T, NEURONS))
    courses = [forward_by_hand(currents[:, n], c) for n in range(NEURONS)]
    fired = np.array([course[2] for course in courses])
    assert 0 < fired.mean() <= 0.1 and (fired.sum(axis=1) > 1).sum() > 5
    x = torch.from_numpy(currents).requires_grad_()
    c.build()(x, 2 * T).backward(torch.from_numpy(grad))
    expected = np.stack([paper_by_hand(grad[:, n], courses[n], c, warm_up=True) for n in range(NEURONS)], axis=1)
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-9, atol=1e-12)
    without = np.stack([synaptic_matrix(c, 2 * T) @ grad[:, n] * sigma(courses[n][1], c) for n in range(NEURONS)], axis=1)
    assert np.abs(expected - without).max() > 0.01


def test_held_currents_are_the_same_as_repeated_ones():
    neuron = TSSLConfig().build()
    held = torch.rand(1, 30, generator=torch.Generator().manual_seed(1)).requires_grad_()
    repeated = held.detach().expand(5, 30).clone().requires_grad_()
    out, expected = neuron(held, 5), neuron(repeated, 5)
    out.square().sum().backward()
    expected.square().sum().backward()
    assert torch.equal(out, expected)
    torch.testing.assert_close(held.grad[0], repeated.grad.sum(0))


@pytest.mark.parametrize(
    ("name", "config", "key"),
    [
        ("tssl_neuron_T5", TSSLConfig(), "grad_x"),
        ("tssl_neuron_T5", TSSLConfig(warm_up="off"), "grad_x_warmup_off"),
        ("tssl_neuron_T5", TSSLConfig(warm_up="all"), "grad_x_warmup_all"),
        ("tsslpaper_neuron_T5_active", TSSLConfig(rule="paper"), "grad_x"),
    ],
)
def test_authors_numbers(name, config, key):
    z = case(name)
    assert (config.tau_m, config.tau_s, config.threshold) == (z["tau_m"], z["tau_s"], z["threshold"])
    x, psc, grad_out, expected = (torch.from_numpy(z[k]).movedim(-1, 0) for k in ("x", "psc", "grad_out", key))
    x = x.clone().requires_grad_()
    out = config.build()(x, int(z["T"]))
    out.backward(grad_out)
    torch.testing.assert_close(out, psc, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(x.grad, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("wrong", [{"tau_m": 0.5}, {"threshold": 0.0}, {"rule": "new"}, {"warm_up": "yes"}])
def test_impossible_neurons_are_refused(wrong):
    with pytest.raises(InputError, match="TSSL-BP"):
        TSSLConfig(**wrong)
