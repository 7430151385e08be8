"""Batches for one pass over the training data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from spikeport.train.data.augment import MAP_AXES, Augmentation
from spikeport.train.data.on_demand import in_batches
from spikeport.train.data.registry import Split
from spikeport.train.ranks.shares import WHOLE, Share


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed for everything random in one epoch, so that a run can be taken up at any epoch without
    a generator's state.
    """
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])


def network_input(images: torch.Tensor) -> torch.Tensor:
    """Images `(N, C, H, W)` as they are; recordings `(N, T, C, H, W)` time first, as numbers that
    gradients know.
    """
    return images if images.ndim <= MAP_AXES else images.transpose(0, 1).float()


def batch_count(split: Split, size: int) -> int:
    """Number of batches in an epoch."""
    return max(len(split) // size, 1)


def parts_of(x: torch.Tensor, count: int) -> Sequence[torch.Tensor]:
    """A network's input, in parts of as many samples each."""
    return x.chunk(count, 0 if x.ndim <= MAP_AXES else 1)


def shuffled_batches(
    split: Split, size: int, augmentation: Augmentation, *, seed: int, share: Share = WHOLE
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Images as a network takes them, changed at random, and labels in random order; the remainder
    of less than a batch waits for another epoch.

    share: which of each batch; batches are the same however many processes share them, and only
    the process's own samples are read.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(split), generator=generator)
    size = min(size, len(split))
    parts = order[: len(split) // size * size].numpy().reshape(-1, size)[:, share.places(size)]
    for part, loaded in zip(parts, in_batches(split.images, parts, seed)):
        images = augmentation.of(torch.from_numpy(loaded), generator, share)
        yield network_input(images), torch.from_numpy(split.labels[part])
