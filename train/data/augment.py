"""Augmentation of image batches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from spikeport.train.ranks.shares import WHOLE, Share

MAP_AXES = 4


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What becomes of images in training; see `TrainConfig`. Nothing, as it stands."""

    shift: int = 0
    flip: bool = False
    cutout: int = 0

    def of(self, images: torch.Tensor, generator: torch.Generator, share: Share = WHOLE) -> torch.Tensor:
        """Images `(N, C, H, W)` or recordings `(N, T, C, H, W)`, changed. share: which part of a
        batch these are; draws are those of the whole batch.
        """
        images = random_shift(images, self.shift, generator, share)
        images = random_flip(images, generator, share) if self.flip else images
        return random_cutout(images, self.cutout, generator, share) if self.cutout else images


def random_shift(images: torch.Tensor, reach: int, generator: torch.Generator, share: Share = WHOLE) -> torch.Tensor:
    """Move each image of `(N, C, H, W)` by up to `reach` pixels along each axis, zeros moving in: a
    random crop after padding.

    Recordings `(N, T, C, H, W)` move as a whole. share: see `Augmentation.of`.
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
    """Mirror every other image, on average, left to right; recordings as a whole. share: see
    `Augmentation.of`.
    """
    whole = len(images) * share.ranks.size
    chosen = torch.rand(whole, generator=generator)[share.places(whole)] < 0.5
    return torch.where(chosen.reshape(-1, *(1,) * (images.ndim - 1)), images.flip(-1), images)


def random_cutout(images: torch.Tensor, size: int, generator: torch.Generator, share: Share = WHOLE) -> torch.Tensor:
    """Blank a square of `size` pixels in each image, its centre anywhere in the image (DeVries and
    Taylor 2017, arXiv 1708.04552): pixels become 0, as those that `random_shift` moves in.

    Recordings lose the same square at every timestep. share: see `Augmentation.of`.
    """
    whole = len(images) * share.ranks.size
    kept = []
    for extent in images.shape[-2:]:
        first = torch.randint(0, extent, (whole, 1), generator=generator)[share.places(whole)] - size // 2
        place = torch.arange(extent)
        kept.append((place < first) | (place >= first + size))
    rows, columns = kept
    mask = rows[:, :, None] | columns[:, None, :]
    return images * mask.reshape(len(images), *(1,) * (images.ndim - 3), *mask.shape[1:])
