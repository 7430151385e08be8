"""How images enter a network that is trained: as they are, normalised per channel, or as Bernoulli
spikes.

Normalised means (x - mean) / deviation, as the papers do. So that this is exact on a chip, the mean
is rounded to a whole number of levels (of 255, so by 0.002 at most): pixels are sent as signed
integers, level - rounded mean, and 1 / deviation goes into the first weights.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from spikeport.export.common.errors import InputError
from spikeport.export.floating.input import InputLayer
from spikeport.export.model.input import RATE_STEPS, Input, InputCode
from spikeport.export.model.registers import RATE_BITS
from spikeport.train.data.registry import Task
from spikeport.train.network.topology import INPUT
from spikeport.train.ranks.draws import drawn

CIFAR_10 = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
STATISTICS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "digits": ((0.3053,), (0.3760,)),
    "mnist": ((0.1307,), (0.3081,)),
    "fashion-mnist": ((0.2860,), (0.3530,)),
    "cifar-10": CIFAR_10,
    "cifar-10-jpeg": CIFAR_10,
    "cifar-100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "svhn": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
}
"""Mean and deviation of each channel by data set, pixels in 0..1, as published code has them
(CIFAR-10's deviations are means of those of single images; that of all pixels is 0.25). Digits: all
1797 images.
"""
RATE_SEED = 0x52415445
"""Of the spikes that a rate code draws outside training; no neuron's noise has this one."""


class Encoder(InputLayer):
    """The first step of a network: an input layer, then 1 / deviation.

    In training a rate code draws anew for every batch, each sample its own (`train.ranks.draws`).

    deviation: per channel, empty for 1.
    """

    deviation: Tensor

    def __init__(self, source: Input, deviation: tuple[float, ...] = ()) -> None:
        super().__init__(source)
        by_channel = torch.tensor(deviation or (1.0,), dtype=torch.float64).reshape(-1, *(1,) * (len(source.shape) - 1))
        self.register_buffer("deviation", by_channel, persistent=False)
        self.scales = bool(deviation)

    @property
    def height(self) -> np.ndarray:
        """What a message of each channel is multiplied by, `(C,)` or `()`."""
        return 1 / self.deviation.cpu().numpy().reshape(-1) if self.scales else np.ones(())

    def forward(self, x: Tensor, timesteps: int, first: int) -> Tensor:
        """As in `InputLayer`, over the deviation."""
        x = super().forward(x, timesteps, first)
        return x / self.deviation.to(x.dtype) if self.scales else x

    def draws(self, x: Tensor, timesteps: int, first: int) -> Tensor:
        """As in `InputLayer`; new ones for every batch in training."""
        if not self.training:
            return super().draws(x, timesteps, first)
        samples, shape = x.shape[1], x.shape[2:]
        steps = drawn(samples, timesteps * shape.numel(), lambda words: (words >> RATE_BITS) & (RATE_STEPS - 1), x.dtype, x.device)
        return steps.view(samples, timesteps, *shape).transpose(0, 1)


def encoder(task: Task, *, normalise: bool, code: InputCode) -> Encoder:
    """The encoder of a task. code: "direct" or "rate", of images; recordings of events are sent as
    they are.

    Raises:
        InputError: recordings that should be normalised or rate-coded, or a data set whose
            statistics are not known.
    """
    if task.code == "events" and (normalise or code == "rate"):
        raise InputError(f"{task.name} holds recordings of events; only images are normalised or rate-coded")
    if code == "rate":
        return Encoder(Input(INPUT, task.shape, code="rate", seed=RATE_SEED))
    source = Input(INPUT, task.shape, task.scale, 0, task.levels, task.code)
    if not normalise:
        return Encoder(source)
    if task.name not in STATISTICS:
        raise InputError(f"{task.name} has no mean and deviation to normalise with; leave normalise out, or choose {', '.join(STATISTICS)}")
    means, deviation = STATISTICS[task.name]
    offset = tuple(round(task.levels * mean) for mean in means)
    return Encoder(Input(INPUT, task.shape, task.scale, 0, task.levels, task.code, offset=offset), deviation)
