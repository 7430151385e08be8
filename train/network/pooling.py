"""Average pooling over windows that do not overlap, as sums of strided views: three to five times
PyTorch's speed on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from spikeport.train.network.batch_norm import PART


def average_pool(x: torch.Tensor, size: int) -> torch.Tensor:
    """`(N, C, H, W)` to `(N, C, H // size, W // size)`; equals `avg_pool2d(x, size)`, which drops
    what is left at the borders too.
    """
    return _AveragePool.apply(x, size) if x.device.type == "cpu" else F.avg_pool2d(x, size)


class _AveragePool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, size: int) -> torch.Tensor:
        ctx.shape, ctx.size = x.shape, size
        height, width = (n // size * size for n in x.shape[2:])
        out = x.new_empty(*x.shape[:2], height // size, width // size)
        count = max(PART // max(x[:1].numel(), 1), 1)
        for part, pooled in zip(x.split(count), out.split(count)):
            rows = _sum([part[:, :, i:height:size] for i in range(size)])
            _sum([rows[..., i:width:size] for i in range(size)], out=pooled).mul_(1 / size**2)
        return out

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        samples, channels, height, width = ctx.shape
        size, share = ctx.size, grad / ctx.size**2
        high, wide = grad.shape[2] * size, grad.shape[3] * size
        rows = grad.new_zeros(*grad.shape[:3], width) if wide < width else grad.new_empty(*grad.shape[:3], width)
        for i in range(size):
            rows[..., i:wide:size] = share
        out = grad.new_zeros(ctx.shape) if high < height else grad.new_empty(samples, channels, height, width)
        for i in range(size):
            out[:, :, i:high:size] = rows
        return out, None


def _sum(parts: list[torch.Tensor], out: torch.Tensor | None = None) -> torch.Tensor:
    """In `out`, or in a tensor of its own."""
    total = torch.add(parts[0], parts[1] if len(parts) > 1 else 0, out=out)
    for part in parts[2:]:
        total += part
    return total
