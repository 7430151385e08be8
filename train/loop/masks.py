"""Magnitude pruning: weights of least size become exactly zero, and zeros stay.

Which weights are pruned is not kept anywhere: it is those that are zero. Only weights of
convolutions and dense layers are, not biases, BatchNorm or the neurons' own parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from spikeport.export.common.errors import InputError
from spikeport.train.neurons.noise import forget_calibration

Scope = Literal["global", "layer"]
"""Weights compete within the network (Frankle and Carbin 2019, section 4, deep networks) or within
their layer (Han et al. 2015).
"""


@dataclass(frozen=True, eq=False)
class Retraining:
    """How a pruned network goes on: from its own weights (Han et al. 2015, no rewinding), zeros
    kept, trained with so many timesteps.
    """

    weights: Mapping[str, torch.Tensor]
    timesteps: int

    def begin(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Give a new module the weights; the optimizer keeps their zeros."""
        module.load_state_dict(self.weights)
        forget_calibration(module)
        keep_zeros(optimizer, prunable(module).values())


def prunable(module: nn.Module) -> dict[str, torch.Tensor]:
    """Weights that may be pruned, by name in the module."""
    return {
        f"{name}.weight": layer.weight for name, layer in module.named_modules() if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Linear))
    }


def check_fraction(fraction: float) -> None:
    """Refuse what `prune` would, before anything is done.

    Raises:
        InputError: a fraction outside 0..1.
    """
    if not 0 < fraction < 1:
        raise InputError(f"fraction is {fraction:g}; it lies above 0 and below 1")


@torch.no_grad()
def prune(module: nn.Module, fraction: float, scope: Scope = "global") -> None:
    """Set the smallest weights to zero: a fraction of those that are left, rounded, of the network
    or of every layer.

    Of weights of equal size the first go.

    Raises:
        InputError: a fraction outside 0..1.
    """
    check_fraction(fraction)
    weights = list(prunable(module).values())
    for group in [weights] if scope == "global" else [[w] for w in weights]:
        size = torch.cat([w.flatten() for w in group]).abs()
        left = int(torch.count_nonzero(size))
        zeros = len(size) - left + round(fraction * left)
        keep = torch.ones_like(size, dtype=torch.bool)
        keep[size.argsort(stable=True)[:zeros]] = False
        for weight, kept in zip(group, keep.split([w.numel() for w in group])):
            weight.masked_fill_(~kept.view_as(weight), 0.0)


@torch.no_grad()
def keep_zeros(optimizer: torch.optim.Optimizer, weights: Iterable[torch.Tensor]) -> None:
    """What is zero now stays zero: made so again after every step of the optimizer, whatever its
    momentum. weights: that train.

    Its gradient is zero too, so that it takes no part in the norm that gradients are clipped by.
    """
    pruned = [(weight, weight == 0) for weight in weights]
    for weight, zero in pruned:
        weight.register_hook(lambda gradient, zero=zero: gradient.masked_fill(zero, 0.0))

    def restore(*_: object) -> None:
        with torch.no_grad():
            for weight, zero in pruned:
                weight.masked_fill_(zero, 0.0)

    optimizer.register_step_post_hook(restore)


def remaining(module: nn.Module) -> dict[str, int]:
    """Nonzero weights by layer."""
    return {name: int(torch.count_nonzero(weight)) for name, weight in prunable(module).items()}
