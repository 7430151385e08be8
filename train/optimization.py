"""Optimizers and the course of the learning rate."""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, pi

import torch

from spikeport.train.config import OptimizerConfig


def make_optimizer(config: OptimizerConfig, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW or SGD with momentum."""
    if config.kind == "adamw":
        return torch.optim.AdamW(parameters, config.learning_rate, weight_decay=config.weight_decay)
    return torch.optim.SGD(parameters, config.learning_rate, config.momentum, weight_decay=config.weight_decay)


def rate_factor(epoch: float, warmup: float, epochs: int) -> float:
    """Learning rate at a (fractional) epoch over its peak: linear over the warm-up, then a cosine to zero."""
    if epoch < warmup:
        return epoch / warmup
    return 0.5 * (1 + cos(pi * (epoch - warmup) / max(epochs - warmup, 1e-9)))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate
