"""Noise in training with the distribution that the chip's generator has (`export.model.noise`),
each sample with its own (`train.ranks.draws`).

"gaussian": four random bytes added up and centred, in steps of 1/512 within -1..1, standard
deviation 0.289; "uniform": on -1..1.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from spikeport.export.model.noise import BELL_CENTRE
from spikeport.train.ranks.draws import drawn

NoiseKind = Literal["gaussian", "uniform"]
UNIT = 512
EVEN_BYTES = 0x00FF00FF


def noise_like(x: torch.Tensor, kind: NoiseKind) -> torch.Tensor:
    """Independent random numbers in -1..1, of the shape and type of x, `(N, *features)`."""
    convert = _bell if kind == "gaussian" else torch.Tensor.float
    unit = UNIT if kind == "gaussian" else 1 << 31
    return drawn(len(x), x[:1].numel(), convert, x.dtype, x.device).mul_(1 / unit).view(x.shape)


def _bell(words: torch.Tensor) -> torch.Tensor:
    """The centred sums of their four bytes, which on a CPU overwrite them."""
    if words.device.type == "cpu":
        from spikeport.train.ranks.compiled_draws import to_bell  # noqa: PLC0415  loads Numba

        to_bell(words.numpy().view(np.uint32))
        return words
    return _bell_by_operators(words)


def _bell_by_operators(words: torch.Tensor) -> torch.Tensor:
    pairs = (words & EVEN_BYTES).add_((words >> 8).bitwise_and_(EVEN_BYTES))  # two sums of two bytes in each
    return (pairs & 0xFFFF).add_(pairs >> 16).sub_(BELL_CENTRE)
