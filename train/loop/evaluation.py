"""Running a network over a whole data set, without gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from spikeport.export.floating.run import FloatModule
from spikeport.train.data.batches import network_input
from spikeport.train.data.on_demand import Images, in_batches
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.ranks.group import ALONE, Ranks, summed

BATCH = 256
STATES = 1 << 28
"""Numbers at a time: about a gigabyte.

A stage over all timesteps stands beside its currents and what it sends.
"""


def readout_currents(
    module: nn.Module, images: Images, timesteps: int, *, accelerator: torch.device | str = "cpu", ranks: Ranks = ALONE
) -> Iterator[torch.Tensor]:
    """The readout's output `(T, n, classes)`, batch after batch, in evaluation mode; the module's
    mode is put back.

    Neurons that draw noise draw the same every time: torch's generator is seeded inside, and left
    as it was. ranks: processes that have a part of each batch; this one reads and answers only its
    own.

    module: `SpikingNetwork`, `export.floating.run.FloatModule`, or anything else called as
    `module(x, timesteps, first=number of the first sample)`.
    """
    training = module.training
    module.eval()
    try:
        with torch.inference_mode(), torch.random.fork_rng():
            torch.manual_seed(0)
            parts = _parts(module, len(images), timesteps, ranks)
            for part, loaded in zip(parts, in_batches(images, parts)):
                yield module(network_input(torch.from_numpy(loaded)).to(accelerator), timesteps, first=part.start).cpu()
    finally:
        module.train(training)


def _parts(module: nn.Module, count: int, timesteps: int, ranks: Ranks) -> list[slice]:
    """This process's samples of each batch."""
    size = max(_samples_at_once(module, timesteps), ranks.size)
    own = ((start, ranks.own(min(size, count - start))) for start in range(0, count, size))
    return [slice(start + part.start, start + part.stop) for start, part in own if part.start < part.stop]


def _samples_at_once(module: nn.Module, timesteps: int) -> int:
    widest = module.widest if isinstance(module, (SpikingNetwork, FloatModule)) else 1
    return max(1, min(BATCH, STATES // (3 * widest * timesteps)))


def right_over_time(
    module: nn.Module, images: Images, labels: np.ndarray, timesteps: int, *, accelerator: torch.device | str = "cpu", ranks: Ranks = ALONE
) -> Iterator[np.ndarray]:
    """Whether samples are right after 1..T timesteps, bool `(n, T)`, batch after batch: the largest
    accumulated current wins. ranks: as in `readout_currents`.

    images: `(samples, *shape)` or `(samples, timesteps, *shape)`, see `train.data.dataset.Split`;
    labels: int64 `(samples,)`.
    """
    parts = _parts(module, len(images), timesteps, ranks)
    for part, currents in zip(parts, readout_currents(module, images, timesteps, accelerator=accelerator, ranks=ranks)):
        yield currents.cumsum(0).argmax(-1).numpy().T == labels[part, None]


def evaluate(
    module: nn.Module, images: Images, labels: np.ndarray, timesteps: int, *, accelerator: torch.device | str = "cpu", ranks: Ranks = ALONE
) -> np.ndarray:
    """Fraction of correct samples after 1..T timesteps, float64 `(T,)`, of all processes' samples;
    arguments as in `right_over_time`.
    """
    correct = np.zeros(timesteps)
    for right in right_over_time(module, images, labels, timesteps, accelerator=accelerator, ranks=ranks):
        correct += right.sum(axis=0)
    return summed(torch.from_numpy(correct), ranks).numpy() / len(labels)
