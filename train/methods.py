"""Training methods by name: each brings its neuron and its loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from spikeport.train.losses import accumulated_cross_entropy
from spikeport.train.neurons.base import NeuronConfig
from spikeport.train.neurons.stbp import LIFConfig

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Readout currents `(T, N, classes)` and labels `(N,)` to a scalar."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """neuron: class of its configuration. loss: what is minimised."""

    neuron: type[NeuronConfig]
    loss: Loss


METHODS = {"stbp": Method(neuron=LIFConfig, loss=accumulated_cross_entropy)}
