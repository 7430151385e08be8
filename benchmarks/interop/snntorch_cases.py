"""snnTorch: its neurons live, with each reset, a convolutional network, and a file of its own
exporter.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cases import CLASSES, HIDDEN, INPUTS, SIDE, Case, first, louder, spikes
from support.oracles import nir_clients
from torch import nn

import spikeport as sp

DT = nir_clients.SNNTORCH_DT
read_back = nir_clients.snntorch


def cases() -> Iterator[Case]:
    """Every neuron with each reset mechanism that it has."""
    import snntorch as snn  # noqa: PLC0415

    neurons = {
        "Leaky": lambda n, **o: snn.Leaky(beta=0.8, **o),
        "Synaptic": lambda n, **o: snn.Synaptic(alpha=0.7, beta=0.8, **o),
        "RLeaky": lambda n, **o: snn.RLeaky(beta=0.8, linear_features=n, **o),
        "RSynaptic": lambda n, **o: snn.RSynaptic(alpha=0.7, beta=0.8, linear_features=n, **o),
        "Lapicque": lambda n, **o: snn.Lapicque(beta=0.8, threshold=0.1, **o),
        "Alpha": lambda n, **o: snn.Alpha(alpha=0.9, beta=0.8, **o),
    }
    for (name, make), reset in itertools.product(neurons.items(), ("subtract", "zero", "none")):
        if name == "Alpha" and reset != "subtract":
            continue  # refused whatever its reset
        yield _live(f"{name}, reset {reset}", _pair(make, reset), spikes())
    yield _live("Leaky, reset_delay=False, subtract", _pair(neurons["Leaky"], "subtract", reset_delay=False), spikes())
    for name in ("Leaky", "Synaptic", "RLeaky"):
        yield _live(f"{name}, reset_delay=False, zero", _pair(neurons[name], "zero", reset_delay=False), spikes())
    torch.manual_seed(0)
    leaky = lambda: snn.Leaky(beta=0.8, init_hidden=True)  # noqa: E731
    layers = (
        nn.Conv2d(1, 6, 3, padding=1),
        leaky(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3),
        nn.BatchNorm2d(8),
        leaky(),
        nn.AvgPool2d(2),
        nn.Flatten(),
    )
    yield _live(
        "Conv2d, MaxPool2d, BatchNorm2d, AvgPool2d", louder(nn.Sequential(*layers, nn.Linear(8, CLASSES), leaky())), spikes(1, SIDE, SIDE)
    )
    yield _exported(snn)


def _pair(make: Any, reset: str, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    neuron = lambda n: make(n, reset_mechanism=reset, init_hidden=True, **options)  # noqa: E731
    return louder(nn.Sequential(nn.Linear(INPUTS, HIDDEN), neuron(HIDDEN), nn.Linear(HIDDEN, CLASSES), neuron(CLASSES)))


def _stepped(module: nn.Module, x: torch.Tensor) -> np.ndarray:
    """From rest, which snnTorch's neurons keep in tensors of theirs."""
    for part in module.modules():
        for key in ("mem", "syn", "spk", "syn_exc", "syn_inh"):
            if isinstance(getattr(part, key, None), torch.Tensor):
                setattr(part, key, torch.zeros(0))
    with torch.no_grad():
        out = [module(step) for step in x]
    return first(torch.stack([o[0] if isinstance(o, tuple) else o for o in out])).astype(np.int32)


def _live(name: str, module: nn.Module, x: torch.Tensor) -> Case:
    return Case(name, lambda: (first(x), _stepped(module, x)), imported=lambda: sp.from_snntorch(module, x, time_axis=0))


def _exported(snn: Any) -> Case:
    """With a parameter per neuron, which its exporter needs."""
    from snntorch.export_nir import export_to_nir  # noqa: PLC0415

    torch.manual_seed(0)
    leaky = lambda n: snn.Leaky(beta=torch.full((n,), 0.8), threshold=torch.ones(n), init_hidden=True)  # noqa: E731
    module = louder(nn.Sequential(nn.Linear(INPUTS, HIDDEN), leaky(HIDDEN), nn.Linear(HIDDEN, CLASSES), leaky(CLASSES)))

    def write(path: Path) -> None:
        import nir  # noqa: PLC0415

        nir.write(path, export_to_nir(module, torch.zeros(INPUTS)))

    return Case("Leaky, its own file", lambda: (first(spikes()), _stepped(module, spikes())), write=write)
