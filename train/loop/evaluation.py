"""Running a network over a whole data set, without gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from spikeport.train.data.batches import network_input
from spikeport.train.data.on_demand import Images, in_batches
from spikeport.train.network.spiking import SpikingNetwork

BATCH = 256
STATES = 1 << 28
"""Numbers at a time: about a gigabyte.

A stage over all timesteps stands beside its currents and what it sends.
"""


def readout_currents(
    module: nn.Module, images: Images, timesteps: int, *, accelerator: torch.device | str = "cpu"
) -> Iterator[torch.Tensor]:
    """The readout's output `(T, n, classes)`, batch after batch, in evaluation mode; the module's
    mode is put back.

    Neurons that draw noise draw the same every time: torch's generator is seeded inside, and left
    as it was.

    module: `SpikingNetwork`, `export.floating.run.FloatModule`, or anything else called as
    `module(x, timesteps, first=number of the first sample)`.
    """
    training = module.training
    module.eval()
    try:
        with torch.inference_mode(), torch.random.fork_rng():
            torch.manual_seed(0)
            size = _samples_at_once(module, timesteps)
            starts = range(0, len(images), size)
            for start, part in zip(starts, in_batches(images, (slice(start, start + size) for start in starts))):
                yield module(network_input(torch.from_numpy(part)).to(accelerator), timesteps, first=start).cpu()
    finally:
        module.train(training)


def _samples_at_once(module: nn.Module, timesteps: int) -> int:
    widest = module.widest if isinstance(module, SpikingNetwork) else 1
    return max(1, min(BATCH, STATES // (3 * widest * timesteps)))


def right_over_time(
    module: nn.Module, images: Images, labels: np.ndarray, timesteps: int, *, accelerator: torch.device | str = "cpu"
) -> Iterator[np.ndarray]:
    """Whether samples are right after 1..T timesteps, bool `(n, T)`, batch after batch: the largest
    accumulated current wins.

    images: `(samples, *shape)` or `(samples, timesteps, *shape)`, see `train.data.dataset.Split`;
    labels: int64 `(samples,)`.
    """
    start = 0
    for currents in readout_currents(module, images, timesteps, accelerator=accelerator):
        answers = currents.cumsum(0).argmax(-1).numpy().T
        yield answers == labels[start : start + len(answers), None]
        start += len(answers)


def evaluate(
    module: nn.Module, images: Images, labels: np.ndarray, timesteps: int, *, accelerator: torch.device | str = "cpu"
) -> np.ndarray:
    """Fraction of correct samples after 1..T timesteps, float64 `(T,)`; arguments as in
    `right_over_time`.
    """
    correct = np.zeros(timesteps)
    for right in right_over_time(module, images, labels, timesteps, accelerator=accelerator):
        correct += right.sum(axis=0)
    return correct / len(labels)
