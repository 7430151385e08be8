"""Augmentation of image batches."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from spikeport.train.ranks.shares import WHOLE, Share

MAP_AXES = 4


def random_shift(images: torch.Tensor, reach: int, generator: torch.Generator, share: Share = WHOLE) -> torch.Tensor:
    """Move each image of `(N, C, H, W)` by up to `reach` pixels along each axis, zeros moving in: a
    random crop after padding.

    Recordings `(N, T, C, H, W)` move as a whole. share: which part of a batch these are; draws are
    those of the whole batch.
    """
    if not reach:
        return images
    if images.ndim > MAP_AXES:
        return random_shift(images.flatten(1, -3), reach, generator, share).unflatten(1, images.shape[1:-2])
    n, _, height, width = images.shape
    padded = F.pad(images, (reach,) * 4)
    whole = n * share.ranks.size
    offset = torch.randint(0, 2 * reach + 1, (2, whole, 1), generator=generator)[:, share.places(whole)]
    rows, columns = torch.arange(height) + offset[0], torch.arange(width) + offset[1]
    sample = torch.arange(n)[:, None, None]
    return padded[sample, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def random_flip(images: torch.Tensor, generator: torch.Generator, share: Share = WHOLE) -> torch.Tensor:
    """Mirror every other image, on average, left to right; recordings as a whole. share: as in
    `random_shift`.
    """
    whole = len(images) * share.ranks.size
    chosen = torch.rand(whole, generator=generator)[share.places(whole)] < 0.5
    return torch.where(chosen.reshape(-1, *(1,) * (images.ndim - 1)), images.flip(-1), images)
