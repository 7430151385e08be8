"""Losses against the authors' numbers and by hand."""

import pytest
import torch
from support.training_cases import case

from spikeport.export.common.errors import InputError
from spikeport.train.settings.config import TrainConfig, defaults_for
from spikeport.train.settings.losses import (
    accumulated_cross_entropy,
    alpha_loss,
    count_loss,
    desired_train,
    divergence_from_full,
    kernel_loss,
    rate_squared_error,
)
from spikeport.train.settings.named_losses import loss_named

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
    assert desired_train(10).tolist() == desired_train(10, of_the_paper=True).tolist() == [0, 1] * 5
    assert desired_train(5, of_the_paper=True).tolist() == [0, 1, 0, 1, 1]


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
    loss = kernel_loss(torch.zeros(2, 1, CLASSES), torch.tensor([1]), tau_s=2.0, of_the_paper=True)
    assert loss.item() == pytest.approx(0.5 * 0.25)


def test_papers_alpha_loss():
    z = case("paper_tic_alpha_loss")
    x = torch.from_numpy(z["outputs"]).requires_grad_()
    loss = alpha_loss(x, torch.from_numpy(z["labels"]), float(z["alpha"]))
    loss.backward()
    assert loss.item() == pytest.approx(float(z["loss"]), rel=1e-6)
    torch.testing.assert_close(x.grad, torch.from_numpy(z["grad_outputs"]), rtol=1e-4, atol=1e-6)


def test_prefix_cross_entropy_is_alpha_loss_at_zero():
    x, labels = output()
    torch.testing.assert_close(loss_named("prefix-cross-entropy")(x, labels, None), alpha_loss(x, labels, 0.0))


def test_prefix_loss_by_hand():
    """T = 2: rates 1, 0 for class 0 at step 1, 0, 1 at step 2; the label is 0."""
    rates = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert loss_named("prefix-rate-mse")(rates, torch.tensor([0]), None).item() == pytest.approx((0 + 0.25) / 2)


def test_the_full_answer_teaches_and_does_not_learn():
    x, labels = output()
    x = x.requires_grad_()
    means = [x[:t].mean(0) for t in range(1, 5)]
    teacher = means[-1].detach().softmax(1)
    by_hand = sum((teacher * (teacher.log() - m.log_softmax(1))).sum(1).mean() for m in means[:-1]) / 3
    torch.testing.assert_close(divergence_from_full(x), by_hand)
    (grad,), (expected,) = torch.autograd.grad(divergence_from_full(x), x), torch.autograd.grad(by_hand, x)
    torch.testing.assert_close(grad, expected)
    assert not grad[-1].any()
    both = loss_named("distilled-cross-entropy-0.5")(x, labels, None)
    torch.testing.assert_close(both, loss_named("prefix-cross-entropy")(x, labels, None) + 0.5 * by_hand)
    assert divergence_from_full(x[:1]).item() == 0


def test_numbers_in_names():
    x, labels = output()
    torch.testing.assert_close(loss_named("count-2.5-0.5")(x, labels, None), count_loss(x, labels, desired=2.5, undesired=0.5))
    torch.testing.assert_close(loss_named("count")(x, labels, None), loss_named("count-4-1")(x, labels, None))
    torch.testing.assert_close(loss_named("alpha-0.3")(x, labels, None), alpha_loss(x, labels, 0.3))
    assert TrainConfig(loss="alpha-1e-4").loss == "alpha-1e-4"


@pytest.mark.parametrize("name", ["alpha", "alpha--1", "alpha-0.1-2", "count-4", "prefix-kernel", "prefix-cross-entropy-2", "magic"])
def test_unknown_names_are_refused(name):
    with pytest.raises(InputError, match=r"is unknown; .*choose one of cross-entropy, .*alpha-A, count-D-U"):
        TrainConfig(loss=name)


def test_losses_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="wants no more of the right class"):
        loss_named("count-1-4")
    with pytest.raises(InputError, match="method noise trains with one, so take rate-mse"):
        defaults_for("digits", method="noise", loss="prefix-rate-mse")
