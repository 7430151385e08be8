"""Random numbers of samples: each sample has its own, whichever process works on it and whatever
else is in its batch.

One seed is drawn from torch's generator for each use, on the CPU, where all processes are at the
same place in it; the rest is a counter (`export.model.noise`): r(seed, sample, neuron), 32 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch

from spikeport.export.model.noise import MULTIPLIERS, SHIFTS, mix

PART = 1 << 15
"""Numbers at a time on a CPU: they stay in the cache."""
_first = 0


@contextmanager
def numbered(first: int) -> Iterator[None]:
    """The samples inside have the numbers from `first` on; without it, from 0."""
    global _first  # noqa: PLW0603  neurons are called through modules of every kind
    before, _first = _first, first
    try:
        yield
    finally:
        _first = before


def numbered_as_here() -> AbstractContextManager[None]:
    """`numbered` by what samples have here, for a pass that repeats this one later."""
    return numbered(_first)


def drawn(
    samples: int, count: int, convert: Callable[[torch.Tensor], torch.Tensor], dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """Numbers `(samples, count)` of a type. convert: makes them of uniform int32, all 32 bits of
    them, which it may overwrite.
    """
    seed, use = torch.randint(1 << 32, (2,)).tolist()
    keys = mix(mix(mix(np.int64(seed) ^ np.zeros(1, np.int64)) ^ np.arange(_first, _first + samples)) ^ use)
    out = torch.empty(samples, count, dtype=dtype, device=device)
    words = keys.astype(np.uint32)
    if device.type == "cpu":
        _fill(out, words, convert)
        return out
    neuron = torch.arange(count, dtype=torch.int32, device=device)
    key = torch.from_numpy(words.view(np.int32)).to(device)[:, None]
    return out.copy_(convert(_mixed(key ^ neuron)))


def _fill(out: torch.Tensor, keys: np.ndarray, convert: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """On a CPU, part after part."""
    from spikeport.train.ranks.compiled_draws import fill  # noqa: PLC0415  loads Numba

    width = min(max(out.shape[1], 1), PART)
    rows = PART // width
    for first in range(0, len(out), rows):
        for column in range(0, out.shape[1], width):
            part = out[first : first + rows, column : column + width]
            words = torch.empty(part.shape, dtype=torch.int32)
            fill(keys[first : first + len(part)], column, words.numpy().view(np.uint32))
            part.copy_(convert(words))


def _mixed(x: torch.Tensor) -> torch.Tensor:
    """`export.model.noise.mix` of int32, in place; products wrap."""
    scratch = torch.empty_like(x)
    for shift, multiplier in zip(SHIFTS, (*MULTIPLIERS, None)):
        x ^= torch.bitwise_right_shift(x, shift, out=scratch).bitwise_and_((1 << (32 - shift)) - 1)
        if multiplier:
            x *= multiplier
    return x
