"""SpikingJelly: its neurons live, with each reset, in a convolutional network."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from cases import CLASSES, SIDE, Case, first, louder, spikes
from torch import nn

import spikeport as sp


def cases() -> Iterator[Case]:
    """Every neuron with a hard, a raised and a soft reset."""
    from spikingjelly.activation_based import functional, layer, neuron  # noqa: PLC0415

    neurons = {
        "IFNode": lambda reset: neuron.IFNode(v_threshold=0.8, v_reset=reset),
        "LIFNode": lambda reset: neuron.LIFNode(tau=2.5, v_reset=reset, decay_input=False, v_threshold=0.6),
        "LIFNode, decay_input": lambda reset: neuron.LIFNode(tau=2.5, v_reset=reset, decay_input=True, v_threshold=0.6),
        "ParametricLIFNode": lambda reset: neuron.ParametricLIFNode(init_tau=3.0, v_reset=reset, v_threshold=0.6),
    }
    for (name, make), reset in itertools.product(neurons.items(), (None, 0.0, -0.25)):
        torch.manual_seed(5)
        convolution = (layer.Conv2d(1, 4, 3, padding=1), layer.BatchNorm2d(4), make(reset), layer.MaxPool2d(2), layer.Flatten())
        module = louder(nn.Sequential(*convolution, layer.Linear(4 * (SIDE // 2) ** 2, CLASSES), make(reset)))
        functional.set_step_mode(module, "m")
        yield _live(f"{name}, v_reset={reset}, Conv2d, BatchNorm2d, MaxPool2d", module, functional.reset_net)


def _live(name: str, module: nn.Module, reset: Any) -> Case:
    x = spikes(1, SIDE, SIDE)

    def recorded() -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            theirs = module(x)
        reset(module)
        return first(x), first(theirs).astype(np.int32)

    return Case(name, recorded, imported=lambda: sp.from_spikingjelly(module, x, time_axis=0))
