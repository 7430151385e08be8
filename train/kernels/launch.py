"""What all Triton kernels here share: how they see tensors, and how they are launched.

A tensor `(T, *shape)` is T timesteps of n numbers, one after the other in memory. Every program
owns a block of neurons and goes through all timesteps with their state in registers, in float32.
Positions are 64-bit: a layer over time may pass 2^31 numbers.
"""

from __future__ import annotations

from typing import Any

import torch
import triton

BLOCK, WARPS, STAGES = 128, 1, 4
"""Neurons and warps of a program; timesteps loaded ahead.

Small programs, so that even a layer of 16,000 neurons reaches every multiprocessor, 16 bytes a
thread and access in float32, and loads in flight while the state, a chain through time, is
advanced. By reasoning, not yet measured.
"""


def launch(kernel: Any, like: torch.Tensor, *arguments: Any, **constants: Any) -> None:
    """Run a kernel over the neurons of one timestep of a tensor."""
    with torch.cuda.device_of(like):
        kernel[(programs(like),)](*arguments, **constants, BLOCK=BLOCK, STAGES=STAGES, num_warps=WARPS)


def programs(like: torch.Tensor) -> int:
    """How many programs a launch has."""
    return triton.cdiv(like[0].numel(), BLOCK)


def time_major(x: torch.Tensor) -> torch.Tensor:
    """The tensor, copied if need be, so that timesteps are dense and follow each other; the order
    within a timestep (channels last) is kept.
    """
    dense = torch.empty_like(x, device="meta").stride() == x.stride()
    return x if dense and (len(x) == 1 or x.stride(0) == x[0].numel()) else x.contiguous()


def over_time(like: torch.Tensor, timesteps: int, dtype: torch.dtype | None = None) -> torch.Tensor:
    """An empty tensor of so many timesteps, each laid out as those of a time-major tensor."""
    strides = (like[0].numel(), *like.stride()[1:])
    return torch.empty_strided((timesteps, *like.shape[1:]), strides, dtype=dtype or like.dtype, device=like.device)


def laid_out_as(like: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The tensor, copied if need be, with timesteps laid out as those of a time-major tensor."""
    return x if x.stride() == (like[0].numel(), *like.stride()[1:]) else over_time(like, len(x), x.dtype).copy_(x)
