"""Losses against the authors' numbers and by hand."""

import pytest
import torch
from support.training_cases import case

from spikeport.train.settings.losses import (
    accumulated_cross_entropy,
    alpha_loss,
    count_loss,
    desired_train,
    kernel_loss,
    rate_squared_error,
)

CLASSES = 3


def output(timesteps=4, samples=5, seed=0):
    return torch.randn(timesteps, samples, CLASSES, generator=torch.Generator().manual_seed(seed)), torch.arange(samples) % CLASSES


def test_cross_entropy_of_the_mean_by_hand():
    x, labels = output()
    mean = x.mean(0)
    by_hand = -torch.stack([torch.log(torch.exp(m[y]) / torch.exp(m).sum()) for m, y in zip(mean, labels)]).mean()
    torch.testing.assert_close(accumulated_cross_entropy(x, labels), by_hand)


def test_squared_error_of_the_rate_by_hand():
    rates = torch.tensor([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]])
    assert rate_squared_error(rates, torch.tensor([0])).item() == pytest.approx((0.25 + 0.25) / 3)


def test_desired_trains():
    assert desired_train(5).tolist() == [0, 1, 1, 1, 1]
    assert desired_train(3).tolist() == [0, 1, 1]
    assert desired_train(10).tolist() == [0, 1] * 5


@pytest.mark.parametrize("name", ["kernel", "count"])
def test_authors_tssl_losses(name):
    z = case("tssl_loss_T5")
    psc = torch.from_numpy(z["out_psc"][:, :, 0, 0]).movedim(-1, 0).clone().requires_grad_()
    labels = torch.from_numpy(z["labels"])
    loss = kernel_loss(psc, labels, tau_s=float(z["tau_s"])) if name == "kernel" else count_loss(psc, labels)
    loss.backward()
    assert loss.item() == pytest.approx(float(z[f"{name}_loss"]), rel=1e-5)
    torch.testing.assert_close(psc.grad, torch.from_numpy(z[f"{name}_grad"][:, :, 0, 0]).movedim(-1, 0), rtol=1e-4, atol=1e-6)


def test_paper_time_kernel_loss_filters_once():
    """T = 2, tau_s = 2: the desired train [0, 1] becomes [0, 1/2]."""
    loss = kernel_loss(torch.zeros(2, 1, CLASSES), torch.tensor([1]), tau_s=2.0, passes=1)
    assert loss.item() == pytest.approx(0.5 * 0.25)


def test_papers_alpha_loss():
    z = case("paper_tic_alpha_loss")
    x = torch.from_numpy(z["outputs"]).requires_grad_()
    loss = alpha_loss(x, torch.from_numpy(z["labels"]), float(z["alpha"]))
    loss.backward()
    assert loss.item() == pytest.approx(float(z["loss"]), rel=1e-6)
    torch.testing.assert_close(x.grad, torch.from_numpy(z["grad_outputs"]), rtol=1e-4, atol=1e-6)
