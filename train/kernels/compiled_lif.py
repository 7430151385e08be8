"""STBP's LIF neurons (`train.neurons.stbp`, whose docstring has the equations) on a CPU, with the
average pooling behind them.

Kept for the backward pass are the currents: to compute potentials again is faster than to write and
read them. In bfloat16 the potential is float32 throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from math import pi
from typing import Any

import numpy as np
import torch

from spikeport.train.kernels import lif_loops as loops
from spikeport.train.neurons.stbp import LIFConfig

FORMULAS: dict[str, Callable[[float], tuple[int, float, float]]] = {
    "arctan": lambda width: (loops.ARCTAN, (pi / width) ** 2, 1),
    "rectangle": lambda width: (loops.RECTANGLE, width, 1),
    "scaled_rectangle": lambda width: (loops.RECTANGLE, width, 0.5 / width),
    "triangle": lambda width: (loops.TRIANGLE, 1 / width, 1),
    "fast_sigmoid": lambda width: (loops.FAST_SIGMOID, 1 / width, 1),
}
"""Surrogates without an exponential: number, scale and height in the loops, of a width."""
THREADS_WORTH = 1 << 16
"""Neurons times timesteps that are worth a thread."""


def lif(currents: torch.Tensor, timesteps: int, decay: float, gain: float, config: LIFConfig, pool: int) -> torch.Tensor:
    """Spikes `(timesteps, N, *features)` of currents `(timesteps or 1, N, *features)`; with `pool`
    above 1 their means over windows of maps, as `train.network.pooling` takes them.
    """
    return _LIF.apply(currents, timesteps, _dynamics(decay, gain, config), pool)


class _LIF(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, currents: torch.Tensor, timesteps: int, dynamics: loops.Dynamics, pool: int) -> torch.Tensor:
        last = _channels_last(currents)
        currents = _stored(currents, last)
        ctx.save_for_backward(currents)
        ctx.last, ctx.pool, ctx.dynamics = last, pool, dynamics
        planes = _planes(currents, last, pool)
        out = currents.new_empty(timesteps, *_averaged(currents.shape[1:], last, pool))
        _over_blocks(loops.forward, [currents, out], planes, dynamics)
        return _seen(out, last)

    @staticmethod
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (currents,) = ctx.saved_tensors
        planes = _planes(currents, ctx.last, ctx.pool)
        complete = planes.height % ctx.pool == 0
        grad = (torch.empty_like if complete else torch.zeros_like)(currents)
        _over_blocks(loops.backward, [currents, _stored(grad_out, ctx.last), grad], planes, ctx.dynamics)
        return _seen(grad, ctx.last), None, None, None


def _dynamics(decay: float, gain: float, config: LIFConfig) -> loops.Dynamics:
    threshold, to_zero = np.float32(config.threshold), config.reset == "zero"
    number, scale, height = FORMULAS[config.surrogate.kind](config.surrogate.width)
    f = np.float32
    return loops.Dynamics(
        decay=f(decay),
        gain=f(gain),
        threshold=threshold,
        limit=threshold if config.strict else np.nextafter(threshold, f(-np.inf)),
        kept=f(not to_zero),
        taken=f(0 if to_zero else threshold),
        through_h=f(to_zero and not config.detach_reset),
        through=f(0 if to_zero or config.detach_reset else threshold),
        surrogate=number,
        scale=f(scale),
        height=f(height),
    )


def _over_blocks(loop: Callable[..., None], tensors: list[torch.Tensor], planes: loops.Planes, dynamics: loops.Dynamics) -> None:
    """Run a loop over all blocks, on as many threads as torch's operators have."""
    numbers = planes.height * planes.width * planes.channels
    count = tensors[0][0].numel() // max(numbers, 1)
    arrays = [_array(x, count) for x in tensors]
    blocks = count * loops.blocks(planes)
    threads = min(torch.get_num_threads(), max(tensors[1].numel() // THREADS_WORTH, 1), blocks)
    if threads <= 1:
        loop(*arrays, 0, blocks, planes, dynamics)
        return
    bounds = [blocks * i // threads for i in range(threads + 1)]
    list(_executor(threads).map(lambda begin, end: loop(*arrays, begin, end, planes, dynamics), bounds[:-1], bounds[1:]))


@cache
def _executor(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "lif")


def _channels_last(x: torch.Tensor) -> bool:
    """Whether each timestep's maps lie so in memory."""
    return x.ndim == 5 and not x[0].is_contiguous() and x[0].is_contiguous(memory_format=torch.channels_last)


def _stored(x: torch.Tensor, last: bool) -> torch.Tensor:
    """In the order of memory, without gaps."""
    return (x.permute(0, 1, 3, 4, 2) if last else x).contiguous()


def _seen(x: torch.Tensor, last: bool) -> torch.Tensor:
    """`(timesteps, N, *features)` of what is stored."""
    return x.permute(0, 1, 4, 2, 3) if last else x


def _averaged(shape: torch.Size, last: bool, pool: int) -> tuple[int, ...]:
    """Shape of a stored timestep behind pooling."""
    if pool == 1:
        return shape
    first = 1 if last else 2
    return *shape[:first], *(n // pool for n in shape[first : first + 2]), *shape[first + 2 :]


def _planes(stored: torch.Tensor, last: bool, pool: int) -> loops.Planes:
    """All neurons are one plane where none are pooled."""
    if pool == 1:
        return loops.Planes(stored[0].numel(), 1, 1, 1)
    height, width, channels = stored.shape[2:] if last else (*stored.shape[3:], 1)
    return loops.Planes(height, width, channels, pool)


def _array(x: torch.Tensor, planes: int) -> np.ndarray:
    x = x.detach()
    numbers = x.view(torch.int16).numpy().view(np.uint16) if x.dtype == torch.bfloat16 else x.numpy()
    return numbers.reshape(len(x), planes, -1)
