"""Training methods by name: each brings its neuron, its loss, its readout and its usual settings, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import torch

from spikeport.export.common.errors import InputError
from spikeport.train.neurons.base import NeuronConfig
from spikeport.train.neurons.dsr import DSRConfig, representation_weights
from spikeport.train.neurons.noise import NoiseConfig
from spikeport.train.neurons.stbp import LIFConfig
from spikeport.train.neurons.tsslbp import TSSLConfig
from spikeport.train.settings import losses
from spikeport.train.settings.optimization import OptimizerConfig

LossFunction: TypeAlias = Callable[[torch.Tensor, torch.Tensor, NeuronConfig], torch.Tensor]
"""The readout's output `(T, N, classes)`, labels `(N,)` and the neurons to a scalar."""
ReadoutSignal: TypeAlias = Literal["current", "spikes"]
"""Accumulated current of neurons that never fire, or the output of neurons like all others."""


def _kernel(passes: int) -> LossFunction:
    def loss(output: torch.Tensor, labels: torch.Tensor, neuron: NeuronConfig) -> torch.Tensor:
        return losses.kernel_loss(output, labels, tau_s=neuron.input_filter, passes=passes)

    return loss


def _weighted_cross_entropy(output: torch.Tensor, labels: torch.Tensor, neuron: NeuronConfig) -> torch.Tensor:
    """Cross-entropy of DSR's weighted rate (Meng et al. 2022, section 3.2)."""
    if not isinstance(neuron, DSRConfig):
        raise InputError("loss weighted-cross-entropy weighs by DSR's neurons; choose cross-entropy for other methods")
    return losses.weighted_cross_entropy(output, labels, representation_weights(neuron, len(output)))


ALPHAS = ("0.0001", "0.001", "0.01", "0.07", "0.2")
"""TIC's settings (Kim et al. 2023, section "Robustness Perspective"). low, intermediate and high: 0.001, 0.01, 0.07 on CIFAR-10; 0.0001,
0.01, 0.07 on SVHN; 0.0001, 0.001, 0.01 on CIFAR-100. `experiments/` takes CIFAR-10's to MNIST and Fashion-MNIST, which the paper leaves open.
0.2 is ours: an alpha does nothing before the training loss has come down to it, and short trainings on Fashion-MNIST stay above 0.1."""


def _alpha(alpha: str) -> LossFunction:
    return lambda output, labels, _: losses.alpha_loss(output, labels, float(alpha))


LOSSES: dict[str, LossFunction] = {
    "cross-entropy": lambda output, labels, _: losses.accumulated_cross_entropy(output, labels),
    "weighted-cross-entropy": _weighted_cross_entropy,
    **{f"alpha-{alpha}": _alpha(alpha) for alpha in ALPHAS},
    "rate-mse": lambda output, labels, _: losses.rate_squared_error(output, labels),
    "kernel": _kernel(2),
    "kernel-once": _kernel(1),
    "count": lambda output, labels, _: losses.count_loss(output, labels),
}


@dataclass(frozen=True, kw_only=True)
class Method:
    """neuron: its usual configuration. loss, readout: by name. training_timesteps: T in training, None for the network's own.

    settings: fields of `TrainConfig` in which a method's usual run differs from a data set's.
    """

    neuron: NeuronConfig
    loss: str = "cross-entropy"
    readout: ReadoutSignal = "current"
    training_timesteps: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


METHODS = {
    "stbp": Method(neuron=LIFConfig()),
    "dsr": Method(
        neuron=DSRConfig(kind="lif", threshold=0.6, alpha=0.5, bound=0.001, dt=0.1),
        settings={"timesteps": 5, "optimizer": OptimizerConfig(kind="sgd", learning_rate=0.05, weight_decay=5e-4)},
    ),
    "tssl-bp": Method(
        neuron=TSSLConfig(),
        loss="kernel",
        readout="spikes",
        settings={
            "timesteps": 5,
            "batch_norm": False,
            "bias": False,
            "optimizer": OptimizerConfig(learning_rate=5e-4, clip_norm=1.0, clip_weights=4.0),
        },
    ),
    "noise": Method(neuron=NoiseConfig(), loss="rate-mse", training_timesteps=1, settings={"timesteps": 5}),
}
