"""Perturbed images as in Kim et al. (AAAI 2023, "Robustness against Noise / Adversarial sample"):
noise, blur, FGSM and PGD.

Images lie in [0, 1] and so do the results: every perturbation is clipped to the valid range as its
last step. What the paper leaves open
and how it is read here: the norm of the noise is that before clipping; blur halves the resolution
(32 x 32 to 16 x 16 there); PGD starts at a random point of the ball, as in Madry et al. 2017, or at
the image itself; both attacks climb the cross-entropy of the time-mean of the outputs, whatever
loss the network was trained with (climbing |L - alpha| would go down where L < alpha).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikeport.analysis.information.fisher import in_evaluation
from spikeport.export.common.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Strengths:
    """How strong each perturbation is; the defaults are the paper's.

    noise: l2 norm of the noise over that of the image. blur: factor of down-sampling. epsilon: of
    FGSM and PGD, largest change of a
    pixel. step, iterations: of PGD. random_start: PGD starts at a random point of the ball.
    """

    noise: float = 0.5
    blur: float = 2.0
    epsilon: float = 8 / 255
    step: float = 4 / 255
    iterations: int = 10
    random_start: bool = True

    def __post_init__(self) -> None:
        for name in ("noise", "epsilon", "step"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name} is {getattr(self, name):g}; it must be a number of 0 or more")
        if not 1 <= self.blur < float("inf"):
            raise InputError(f"blur is {self.blur:g}; it must be 1 (none) or more")
        if self.iterations < 1:
            raise InputError(f"iterations is {self.iterations}; PGD takes at least 1")


def gaussian_noise(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Images `(N, C, H, W)` plus white noise, whose l2 norm is `strength` times that of each image
    before clipping.
    """
    noise = torch.randn(x.shape, generator=generator)
    scale = strength * x.flatten(1).norm(dim=1) / noise.flatten(1).norm(dim=1)
    return (x + scale[:, None, None, None] * noise).clamp(0, 1)


def blur(x: Tensor, factor: float) -> Tensor:
    """Images `(N, C, H, W)` scaled down by a factor and up again, bilinear both times."""
    height, width = x.shape[2:]
    small = (max(round(height / factor), 1), max(round(width / factor), 1))
    shrunk = F.interpolate(x, size=small, mode="bilinear", align_corners=False)
    return F.interpolate(shrunk, size=(height, width), mode="bilinear", align_corners=False).clamp(0, 1)


def fgsm(model: nn.Module, x: Tensor, labels: Tensor, timesteps: int, strengths: Strengths, seed: int) -> Tensor:
    """One step of epsilon along the sign of the loss's gradient (Goodfellow et al. 2014); arguments
    as in `pgd`.
    """
    with in_evaluation(model):
        return (x + strengths.epsilon * _gradient(model, x, labels, timesteps, seed).sign()).clamp(0, 1)


def pgd(model: nn.Module, x: Tensor, labels: Tensor, timesteps: int, strengths: Strengths, seed: int) -> Tensor:
    """Signed gradient steps, each brought back into the ball of epsilon around the image and into
    [0, 1] (Madry et al. 2017).

    model: called as `model(x, timesteps)` with x `(N, C, H, W)` held over time, gives outputs per
    step `(T, N, classes)`. It runs in evaluation mode; the gradient is its own, through all
    timesteps. seed: of the start, and of neurons that draw noise: they draw the same in every
    iteration.
    """
    low, high = (x - strengths.epsilon).clamp(min=0), (x + strengths.epsilon).clamp(max=1)
    at = x
    if strengths.random_start:
        start = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed))
        at = (x + strengths.epsilon * (2 * start - 1)).clamp(low, high)
    with in_evaluation(model):
        for _ in range(strengths.iterations):
            at = (at + strengths.step * _gradient(model, at, labels, timesteps, seed).sign()).clamp(low, high)
    return at


def _gradient(model: nn.Module, x: Tensor, labels: Tensor, timesteps: int, seed: int) -> Tensor:
    x = x.detach().requires_grad_(True)
    with torch.random.fork_rng(), _constant(model):
        torch.manual_seed(seed)
        loss = F.cross_entropy(model(x, timesteps).mean(0), labels, reduction="sum")
        return torch.autograd.grad(loss, x)[0]


@contextmanager
def _constant(model: nn.Module) -> Iterator[None]:
    """The parameters need no gradient inside; weights' gradients would cost as much as those of the
    images.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    for p in trained:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in trained:
            p.requires_grad_(True)


Perturbation = Callable[[nn.Module, Tensor, Tensor, int, Strengths, int], Tensor]
"""Model, images `(N, C, H, W)`, labels, timesteps, strengths and seed to perturbed images."""


def _noisy(model: nn.Module, x: Tensor, labels: Tensor, timesteps: int, strengths: Strengths, seed: int) -> Tensor:
    return gaussian_noise(x, strengths.noise, torch.Generator().manual_seed(seed))


def _blurred(model: nn.Module, x: Tensor, labels: Tensor, timesteps: int, strengths: Strengths, seed: int) -> Tensor:
    return blur(x, strengths.blur)


PERTURBATIONS: dict[str, Perturbation] = {"noise": _noisy, "blur": _blurred, "fgsm": fgsm, "pgd": pgd}
"""By name, in the order of the paper's table 1."""
