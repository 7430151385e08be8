"""Optimizers and the course of the learning rate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import cos, pi
from typing import Literal

import torch

from spikeport.export.common.errors import InputError


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Optimizer and its course.

    The learning rate rises over `warmup_epochs`, then falls along a cosine to zero, or stays
    ("constant").

    restart_epochs: the cosine falls within so many epochs and starts anew (Loshchilov and Hutter
    2017), 0 for once over the run.
    momentum: SGD only. clip_norm: largest norm of the gradient, clip_weights: largest size of a
    weight between neurons (biases, BatchNorm, thresholds, leaks and delays stay as they are); 0 for
    no clipping.
    """

    kind: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    momentum: float = 0.9
    warmup_epochs: float = 0.0
    course: Literal["cosine", "constant"] = "cosine"
    restart_epochs: float = 0.0
    clip_norm: float = 0.0
    clip_weights: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("adamw", "adam", "sgd"):
            raise InputError(f"optimizer {self.kind!r} is unknown; choose adamw, adam or sgd")
        if self.course not in ("cosine", "constant"):
            raise InputError(f"course {self.course!r} is unknown; choose cosine or constant")
        if self.course == "constant" and self.restart_epochs:
            raise InputError(f"restart_epochs is {self.restart_epochs:g}, but a constant rate has no cosine to start anew")
        for name in ("weight_decay", "momentum", "warmup_epochs", "restart_epochs", "clip_norm", "clip_weights"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate {self.learning_rate} must be positive")

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """AdamW, Adam, or SGD with momentum."""
        if self.kind != "sgd":
            adam = torch.optim.AdamW if self.kind == "adamw" else torch.optim.Adam
            return adam(parameters, self.learning_rate, weight_decay=self.weight_decay)
        return torch.optim.SGD(parameters, self.learning_rate, self.momentum, weight_decay=self.weight_decay)


def descend(optimizer: torch.optim.Optimizer, losses: Iterable[torch.Tensor], config: OptimizerConfig) -> torch.Tensor:
    """One step down the gradient of a sum of losses, each of which is made once the one before it
    is done with; returns the sum.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    optimizer.zero_grad(set_to_none=True)
    total = torch.zeros((), dtype=torch.float64, device=parameters[0].device)
    for loss in losses:
        loss.backward()
        total += loss.detach()
    if config.clip_norm:
        torch.nn.utils.clip_grad_norm_(parameters, config.clip_norm)
    optimizer.step()
    if config.clip_weights:
        with torch.no_grad():
            for p in parameters:
                if p.ndim > 1:  # all else is a number for each neuron, channel or layer
                    p.clamp_(-config.clip_weights, config.clip_weights)
    return total


def rate_factor(config: OptimizerConfig, epoch: float, epochs: float) -> float:
    """Learning rate at a (fractional) epoch of so many over its peak: linear over the warm-up, then
    as the course says.
    """
    if epoch < config.warmup_epochs:
        return epoch / config.warmup_epochs
    if config.course == "constant":
        return 1.0
    done, restart = epoch - config.warmup_epochs, config.restart_epochs
    period = restart or max(epochs - config.warmup_epochs, 1e-9)
    return 0.5 * (1 + cos(pi * (done % restart if restart else done) / period))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate
