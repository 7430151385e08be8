"""What a case of the matrix is, and inputs for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from spikeport.export.model.network import FloatNetwork

SAMPLES, T, INPUTS, HIDDEN, CLASSES = 8, 40, 12, 24, 8
SIDE = 8


@dataclass(frozen=True)
class Case:
    """One network. recorded: input `(samples, T, *shape)` and the framework's own spikes `(samples,
    T, classes)`.

    imported: it as a float network, live; or write: the `.nir` that the framework makes of it, with
    `options` beside `--from`.
    """

    name: str
    recorded: Callable[[], tuple[np.ndarray, np.ndarray]]
    imported: Callable[[], FloatNetwork] | None = None
    write: Callable[[Path], None] | None = None
    options: tuple[str, ...] = ()

    @property
    def way(self) -> str:
        """How it comes in."""
        return "live" if self.imported else ".nir"


def spikes(*shape: int, density: float = 0.4) -> Tensor:
    """Random spikes, the same every time, `(T, samples, *shape)`."""
    return (torch.rand(T, SAMPLES, *(shape or (INPUTS,)), generator=torch.Generator().manual_seed(1)) < density).float()


def louder(module: nn.Module, factor: float = 3.0) -> nn.Module:
    """With weights so large that it fires."""
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
                layer.weight *= factor
    return module.eval()


def first(x: Tensor) -> np.ndarray:
    """Samples before time, as our files have them."""
    return x.transpose(0, 1).numpy()
