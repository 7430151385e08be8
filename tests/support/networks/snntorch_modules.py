"""snnTorch networks to import, and snnTorch itself as the oracle of what they fire.

Skips where snnTorch is missing.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

snn = pytest.importorskip("snntorch", reason="snnTorch is an extra: pip install 'spikeport[snntorch]'")

T, N, IN, HIDDEN, OUT = 40, 4, 12, 24, 8


def spikes_in(seed: int, *shape: int, density: float = 0.4) -> Tensor:
    """Random binary input `(T, N, *shape)`."""
    return (torch.rand(T, N, *shape, generator=torch.Generator().manual_seed(seed)) < density).float()


def louder(module: nn.Module, factor: float = 3.0) -> nn.Module:
    """With weights so large that it fires."""
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d)):
                layer.weight *= factor
    return module.eval()


def forget(module: nn.Module) -> None:
    """Bring every neuron to rest."""
    for part in module.modules():
        for key in ("mem", "syn", "spk"):
            if isinstance(getattr(part, key, None), Tensor):
                setattr(part, key, torch.zeros(0))


def stepped(module: nn.Module, x: Tensor) -> np.ndarray:
    """What a module that takes one timestep fires by itself, from rest: `(N, T, *shape)`."""
    forget(module)
    with torch.no_grad():
        out = [module(step) for step in x]
    return torch.stack([o[0] if isinstance(o, tuple) else o for o in out]).transpose(0, 1).numpy()


class Loop(nn.Module):
    """snnTorch's own tutorial style: a loop over time with explicit states."""

    def __init__(self, make=lambda n: snn.Leaky(beta=0.8), time: int | None = 0) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(IN, HIDDEN), make(HIDDEN)
        self.fc2, self.lif2 = nn.Linear(HIDDEN, OUT), make(OUT)
        self.time = time

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = self.lif1.reset_mem(), self.lif2.reset_mem()
        first, second = ((s,) if isinstance(s, Tensor) else tuple(s) for s in (first, second))
        recurrent = type(self.lif1).__name__.startswith("R")
        spikes, potentials = [], []
        for t in range(T):
            step = x if self.time is None else x.select(self.time, t)
            spk, *state = self.lif1(self.fc1(step.flatten(1)), *first)
            first = (spk, *state) if recurrent else tuple(state)
            spk, *state = self.lif2(self.fc2(spk), *second)
            second = (spk, *state) if recurrent else tuple(state)
            spikes.append(spk)
            potentials.append(state[-1])
        return torch.stack(spikes), torch.stack(potentials)
