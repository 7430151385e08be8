"""Augmentation of image batches."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def random_shift(images: torch.Tensor, reach: int, generator: torch.Generator) -> torch.Tensor:
    """Move each image of `(N, C, H, W)` by up to `reach` pixels along each axis, zeros moving in."""
    if not reach:
        return images
    n, _, height, width = images.shape
    padded = F.pad(images, (reach,) * 4)
    offset = torch.randint(0, 2 * reach + 1, (2, n, 1), generator=generator)
    rows, columns = torch.arange(height) + offset[0], torch.arange(width) + offset[1]
    sample = torch.arange(n)[:, None, None]
    return padded[sample, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
