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
        ctx.shape, ctx.size, ctx.order = x.shape, size, memory_order(x)
        height, width = (n // size * size for n in x.shape[2:])
        shape = (*x.shape[:2], height // size, width // size)
        out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=ctx.order)
        count = max(PART // max(x[:1].numel(), 1), 1)
        for part, pooled in zip(x.split(count), out.split(count)):
            rows = _sum([part[:, :, i:height:size] for i in range(size)])
            _sum([rows[..., i:width:size] for i in range(size)], out=pooled).mul_(1 / size**2)
        return out

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        samples, channels, height, width = ctx.shape
        size, share = ctx.size, grad.contiguous(memory_format=ctx.order) / ctx.size**2
        high, wide = grad.shape[2] * size, grad.shape[3] * size
        kind = {"dtype": grad.dtype, "device": grad.device, "memory_format": ctx.order}
        rows = torch.empty((*grad.shape[:3], width), **kind)
        rows[..., wide:] = 0
        for i in range(size):
            rows[..., i:wide:size] = share
        out = torch.empty((samples, channels, height, width), **kind)
        out[:, :, high:] = 0
        for i in range(size):
            out[:, :, i:high:size] = rows
        return out, None


def memory_order(x: torch.Tensor) -> torch.memory_format:
    """Of `(N, C, H, W)`: channels last, or as any other tensor's."""
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


def _sum(parts: list[torch.Tensor], out: torch.Tensor | None = None) -> torch.Tensor:
    """In `out`, or in a tensor of its own."""
    total = torch.add(parts[0], parts[1] if len(parts) > 1 else 0, out=out)
    for part in parts[2:]:
        total += part
    return total
