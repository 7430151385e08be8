"""STBP's and DSR's neurons (`train.neurons`, whose docstrings have the equations) on a CPU, with
the average pooling behind them.

For STBP's backward pass the currents are kept: to compute potentials again is faster than to write
and read them. In bfloat16 the potential is float32 throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from math import pi
from typing import Any

import numpy as np
import torch

from spikeport.train.kernels import loops
from spikeport.train.neurons.dsr import DSRConfig, representation_weights
from spikeport.train.neurons.rated import weighted_sum
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
NO_WEIGHTS = np.empty(0, np.float32)


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
        _over_blocks(loops.forward, [currents, out, currents], planes, dynamics, NO_WEIGHTS)
        return _seen(out, last)

    @staticmethod
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (currents,) = ctx.saved_tensors
        planes = _planes(currents, ctx.last, ctx.pool)
        complete = planes.height % ctx.pool == 0
        grad = (torch.empty_like if complete else torch.zeros_like)(currents)
        _over_blocks(loops.backward, [currents, _stored(grad_out, ctx.last), grad], planes, ctx.dynamics)
        return _seen(grad, ctx.last), None, None, None


def dsr(
    currents: torch.Tensor, timesteps: int, threshold: float, config: DSRConfig, pool: int, *, overwrite: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `train.neurons.dsr.dsr_forward`."""
    last, held = _channels_last(currents), len(currents) != timesteps
    stored = _stored(currents, last)
    planes, weights = _planes(stored, last, pool), representation_weights(config, timesteps)
    by_loop = not held and planes.height % pool == 0
    if by_loop:
        mean = torch.empty_like(stored[:1])
    else:  # loops pass over neurons that no window has
        mean = stored if held else weighted_sum(weights, stored)[None]
    own = overwrite and not held and pool == 1
    out = stored if own else stored.new_empty(timesteps, *_averaged(stored.shape[1:], last, pool))
    dynamics = _membrane(config.decay, config.gain, config.alpha * threshold, strict=False)._replace(taken=np.float32(threshold))
    _over_blocks(loops.forward, [stored, out, mean], planes, dynamics, np.array(weights if by_loop else [], np.float32))
    return _seen(out.mul_(threshold * config.height), last), _seen(mean, last)


def _dynamics(decay: float, gain: float, config: LIFConfig) -> loops.Dynamics:
    number, scale, height = FORMULAS[config.surrogate.kind](config.surrogate.width)
    membrane = _membrane(decay, gain, config.threshold, strict=config.strict)
    if config.reset == "zero":
        reset = {"kept": 0.0, "through_h": 0.0 if config.detach_reset else 1.0}
    else:
        reset = {"taken": config.threshold, "through": 0.0 if config.detach_reset else config.threshold}
    more = {name: np.float32(value) for name, value in {**reset, "scale": scale, "height": height}.items()}
    return membrane._replace(surrogate=number, **more)


def _membrane(decay: float, gain: float, threshold: float, *, strict: bool) -> loops.Dynamics:
    """Of neurons that a spike takes nothing from and sends no gradient through."""
    limit = np.float32(threshold) if strict else np.nextafter(np.float32(threshold), np.float32(-np.inf))
    zero, one = np.float32(0), np.float32(1)
    return loops.Dynamics(
        decay=np.float32(decay),
        gain=np.float32(gain),
        threshold=np.float32(threshold),
        limit=limit,
        kept=one,
        taken=zero,
        through_h=zero,
        through=zero,
        surrogate=0,
        scale=zero,
        height=zero,
    )


def _over_blocks(
    loop: Callable[..., None], tensors: list[torch.Tensor], planes: loops.Planes, dynamics: loops.Dynamics, *more: np.ndarray
) -> None:
    """Run a loop over all blocks, on as many threads as torch's operators have."""
    numbers = planes.height * planes.width * planes.channels
    count = tensors[0][0].numel() // max(numbers, 1)
    arrays = [_array(x, count) for x in tensors]
    blocks = count * loops.blocks(planes)
    threads = min(torch.get_num_threads(), max(tensors[1].numel() // THREADS_WORTH, 1), blocks)
    if threads <= 1:
        loop(*arrays, 0, blocks, planes, dynamics, *more)
        return
    bounds = [blocks * i // threads for i in range(threads + 1)]
    list(_executor(threads).map(lambda begin, end: loop(*arrays, begin, end, planes, dynamics, *more), bounds[:-1], bounds[1:]))


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
