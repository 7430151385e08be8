"""Surrogate derivatives of the spike s = 1[x > 0], x = membrane potential minus threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

import torch

from spikeport.export.common.errors import InputError, unknown


def arctan(x: torch.Tensor, width: float) -> torch.Tensor:
    """1 / (1 + (pi x / width)^2), in place.

    Source: Fang et al. 2021; width 1 is TIC's (text below equation 2).
    """
    return x.mul_(x).mul_((pi / width) ** 2).add_(1).reciprocal_()


def rectangle(x: torch.Tensor, width: float) -> torch.Tensor:
    """1[|x| < width]: height 1 whatever the width, as Wu et al. coded it; in place."""
    return x.abs_().lt_(width)


def scaled_rectangle(x: torch.Tensor, width: float) -> torch.Tensor:
    """1[|x| < width] / (2 width): unit area, as Wu et al. 2018 wrote it (equation 24, a = 2 width);
    in place.
    """
    return rectangle(x, width).mul_(0.5 / width)


def triangle(x: torch.Tensor, width: float) -> torch.Tensor:
    """max(0, 1 - |x| / width), in place. Source: Bellec et al. 2018."""
    return x.abs_().mul_(-1 / width).add_(1).clamp_(min=0)


def fast_sigmoid(x: torch.Tensor, width: float) -> torch.Tensor:
    """1 / (1 + |x| / width)^2, in place. Source: Zenke and Ganguli 2018 (SuperSpike)."""
    return x.abs_().mul_(1 / width).add_(1).square_().reciprocal_()


def sigmoid(x: torch.Tensor, width: float) -> torch.Tensor:
    """sigmoid'(x / width) / width, unit area, in place.

    Source: Wu et al. 2018, h3 with a_3 = width.
    """
    y = x.mul_(1 / width).sigmoid_()
    return y.addcmul_(y, y, value=-1).mul_(1 / width)


def gaussian(x: torch.Tensor, width: float) -> torch.Tensor:
    """Normal density with standard deviation `width`, in place.

    Source: Wu et al. 2018, h4 with a_4 = width^2.
    """
    return x.square_().mul_(-0.5 / width**2).exp_().mul_(1 / (width * sqrt(2 * pi)))


def exponential(x: torch.Tensor, width: float) -> torch.Tensor:
    """exp(-|x| / width) / width, in place.

    Source: Shrestha and Orchard 2018 (SLAYER), with alpha = beta = 1 / width.
    """
    return x.abs_().mul_(-1 / width).exp_().mul_(1 / width)


SURROGATES: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "arctan": arctan,
    "rectangle": rectangle,
    "scaled_rectangle": scaled_rectangle,
    "triangle": triangle,
    "fast_sigmoid": fast_sigmoid,
    "sigmoid": sigmoid,
    "gaussian": gaussian,
    "exponential": exponential,
}


@dataclass(frozen=True, kw_only=True)
class Surrogate:
    """A surrogate derivative by name. width: in units of the membrane potential; larger reaches
    further from the threshold.
    """

    kind: str = "arctan"
    width: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in SURROGATES:
            raise unknown("surrogate", self.kind, SURROGATES, "or load the file that adds it with --plugin")
        if not self.width > 0:
            raise InputError(f"surrogate width {self.width} must be positive")

    def derivative_(self, x: torch.Tensor) -> torch.Tensor:
        """Overwrite x with ds/dx."""
        return SURROGATES[self.kind](x, self.width)

    def spike(self, x: torch.Tensor, *, strict: bool = True) -> torch.Tensor:
        """1[x > 0] with this derivative, at 0 too where not strict; one timestep at a time
        (`export.floating.run.SpikeFunction`).
        """
        return _Spike.apply(x, self, strict)


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, surrogate: Surrogate, strict: bool) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate
        return (x > 0 if strict else x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return grad * ctx.surrogate.derivative_(x.clone()), None, None
