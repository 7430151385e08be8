"""Noise in training with the distribution that the chip's generator has (`export.model.noise`),
from torch's generator.

"gaussian": four random bytes added up and centred, in steps of 1/512 within -1..1, standard
deviation 0.289; "uniform": on -1..1.
"""

from __future__ import annotations

from typing import Literal

import torch

NoiseKind = Literal["gaussian", "uniform"]
CENTRE = 510
"""Mean of the sum of four bytes."""
UNIT = 512
PART = 1 << 16
"""Numbers at a time on a CPU: they stay in the cache, which makes this twice as fast as a normal
distribution.
"""
EVEN_BYTES = 0x00FF00FF


def noise_like(x: torch.Tensor, kind: NoiseKind) -> torch.Tensor:
    """Independent random numbers in -1..1, of the shape and type of x, in its order in memory."""
    if kind == "uniform":
        return torch.rand_like(x).mul_(2).sub_(1)
    count = x.numel()
    out = torch.empty(count, dtype=x.dtype, device=x.device)
    bits = torch.empty((count + 1) // 2, dtype=torch.int64, device=x.device).random_(-(1 << 63), None).view(torch.int32)[:count]
    size = PART if x.device.type == "cpu" else max(count, 1)
    for part, drawn in zip(bits.split(size), out.split(size)):
        pairs = (part & EVEN_BYTES).add_((part >> 8).bitwise_and_(EVEN_BYTES))  # two sums of two bytes in each
        drawn.copy_((pairs & 0xFFFF).add_(pairs >> 16).sub_(CENTRE)).mul_(1 / UNIT)
    return out.as_strided(x.shape, torch.empty_like(x, device="meta").stride())
