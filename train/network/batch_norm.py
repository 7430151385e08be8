"""BatchNorm of float32 maps in training, its statistics as vectorised sums: several times PyTorch's
speed on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from spikeport.train.data.augment import MAP_AXES
from spikeport.train.ranks.group import of_each_partner, partners

PART = 1 << 17
"""Numbers that are worked on at a time: half a megabyte."""


def pays(x: torch.Tensor) -> bool:
    """Whether this beats PyTorch's own, which is slow on float32 maps on a CPU only."""
    return x.ndim == MAP_AXES and x.dtype == torch.float32 and x.device.type == "cpu"


def channel_sums(x: torch.Tensor) -> torch.Tensor:
    """Sums `(C,)` of `(N, C)` or `(N, C, H, W)`; first over the maps, which lie in memory without
    gaps.
    """
    return (x.flatten(2).sum(2) if x.ndim == MAP_AXES else x).sum(0)


def over_maps(channels: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """`(C,)` in a shape that broadcasts over x, `(N, C, ...)`."""
    return channels.reshape(-1, *(1,) * (x.ndim - 2))


def statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and (biased) variance `(C,)` over all processes that train together, which have as many
    numbers each.
    """
    own = _own_statistics(x if x.dtype in (torch.float32, torch.float64) else x.float())
    if partners() == 1:
        return own
    means, variances = of_each_partner(torch.stack(own)).unbind(1)
    mean = means.mean(0)
    return mean, variances.mean(0) + (means - mean).square().mean(0)


def _own_statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Those of this process.

    Two passes, so that a large mean costs no digits; the second in parts that stay in the cache.
    """
    if x.device.type != "cpu":
        variance, mean = torch.var_mean(x, [dim for dim in range(x.ndim) if dim != 1], correction=0)
        return mean, variance
    count = x.numel() // x.shape[1]
    mean = channel_sums(x) / count
    parts = x.split(max(PART // x[0].numel(), 1))
    return mean, sum((channel_sums((part - over_maps(mean, x)).square_()) for part in parts), torch.zeros_like(mean)) / count


def normalised(
    x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor, eps: float
) -> torch.Tensor:
    """scale (x - mean) / sqrt(variance + eps) + shift; the gradient knows that mean and variance
    are those of x, over all processes that train together.
    """
    return _Normalised.apply(x, scale, shift, mean, variance, eps)


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor, eps: float
    ) -> torch.Tensor:
        ctx.save_for_backward(x, scale, mean, (variance + eps).rsqrt())
        ctx.eps, ctx.partners = eps, partners()
        return F.batch_norm(x, mean, variance, scale, shift, False, 0.0, eps)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, scale, mean, inverse = ctx.saved_tensors
        needed = list(ctx.needs_input_grad[:3])
        if ctx.partners > 1:
            return *_shared_gradient(grad, x, scale, mean, inverse), None, None, None
        grads = torch.ops.aten.native_batch_norm_backward(grad, x, scale, None, None, mean, inverse, True, ctx.eps, needed)
        return *grads, None, None, None


def _shared_gradient(
    grad: torch.Tensor, x: torch.Tensor, scale: torch.Tensor, mean: torch.Tensor, inverse: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of x, whose mean and variance are those of all processes, and of scale and shift,
    of which each process gives its part: slope (grad - mean(grad) - x^ mean(grad x^)).
    """
    g = grad.to(mean.dtype)
    centred = (x.to(mean.dtype) - over_maps(mean, x)).mul_(over_maps(inverse, x))
    parts = torch.stack([channel_sums(g), channel_sums(g * centred)])
    shift_mean, scale_mean = of_each_partner(parts).sum(0) / (partners() * x.numel() // x.shape[1])
    grad_x = (g - over_maps(shift_mean, x) - centred.mul_(over_maps(scale_mean, x))).mul_(over_maps(scale * inverse, x))
    return grad_x.to(x.dtype), parts[1], parts[0]
