"""Optimizers and the course of the learning rate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import cos, pi
from typing import Literal

import torch

from spikeport.export.errors import InputError


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Optimizer and its course. The learning rate rises over `warmup_epochs`, then falls along a cosine to zero.

    momentum: SGD only. clip_norm: largest norm of the gradient, clip_weights: largest size of a weight; 0 for no clipping.
    """

    kind: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    momentum: float = 0.9
    warmup_epochs: float = 0.0
    clip_norm: float = 0.0
    clip_weights: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("adamw", "sgd"):
            raise InputError(f"optimizer {self.kind!r} is unknown; choose adamw or sgd")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate {self.learning_rate} must be positive")

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """AdamW, or SGD with momentum."""
        if self.kind == "adamw":
            return torch.optim.AdamW(parameters, self.learning_rate, weight_decay=self.weight_decay)
        return torch.optim.SGD(parameters, self.learning_rate, self.momentum, weight_decay=self.weight_decay)


def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor, config: OptimizerConfig) -> None:
    """One step down the gradient of a loss."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if config.clip_norm:
        torch.nn.utils.clip_grad_norm_(parameters, config.clip_norm)
    optimizer.step()
    if config.clip_weights:
        with torch.no_grad():
            for p in parameters:
                p.clamp_(-config.clip_weights, config.clip_weights)


def rate_factor(epoch: float, warmup: float, epochs: int) -> float:
    """Learning rate at a (fractional) epoch over its peak: linear over the warm-up, then a cosine to zero."""
    if epoch < warmup:
        return epoch / warmup
    return 0.5 * (1 + cos(pi * (epoch - warmup) / max(epochs - warmup, 1e-9)))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate
