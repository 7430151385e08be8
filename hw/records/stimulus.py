"""What is sent into a network: integers per sample and timestep, made from arrays or files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from spikeport.export.common.arrays import native, open_npy
from spikeport.export.common.errors import InputError
from spikeport.export.common.memory import check_memory
from spikeport.export.model.input_array import extent, shape_input
from spikeport.export.model.network import Input
from spikeport.export.model.noise import rate_draws

DRAWN_AT_ONCE = 256
"""Samples whose random numbers stay in the cache."""


@dataclass(frozen=True, eq=False)
class Stimulus:
    """Integers sent into the input.

    values: uint8 or int32, `(samples, *shape)` if held over time, else `(samples, timesteps,
    *shape)`; what computes with them takes `at` or `over_time`, which are int32. first: absolute
    number of the first sample, which random generators count from.
    """

    values: np.ndarray
    timesteps: int
    held: bool
    first: int = 0

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, part: slice) -> Stimulus:
        start = part.indices(len(self))[0]
        return Stimulus(self.values[part], self.timesteps, self.held, self.first + start)

    @property
    def samples(self) -> np.ndarray:
        """Absolute sample numbers, int64."""
        return np.arange(self.first, self.first + len(self), dtype=np.int64)

    def at(self, step: int) -> np.ndarray:
        """int32 `(samples, *shape)` at one timestep (0-based); silence before the start."""
        now = self.values if self.held else self.values[:, max(step, 0)]
        return np.zeros_like(now, np.int32) if step < 0 else now.astype(np.int32)

    def over_time(self) -> np.ndarray:
        """int32 `(samples, timesteps, *shape)`; held input is not repeated in memory."""
        values = self.values.astype(np.int32, copy=False)
        return np.broadcast_to(values[:, None], (len(self), self.timesteps, *values.shape[1:])) if self.held else values


def join_stimuli(parts: Sequence[Stimulus]) -> Stimulus:
    """One stimulus of parts that follow each other."""
    first = parts[0]
    return Stimulus(np.concatenate([part.values for part in parts]), first.timesteps, first.held, first.first)


def encode(target: Input, array: np.ndarray, timesteps: int, *, first: int = 0) -> Stimulus:
    """Check an array and turn it into the integers that the network's input expects.

    array: `(samples, *shape)` (held over time) or `(samples, timesteps or more, *shape)`. Integers
    and booleans are levels (pixels, event counts, spikes) as they are; floats become levels as
    `Input` says, or intensities that a rate code draws spikes for. What is sent is the level less
    the channel's offset. first: absolute number of the first sample.

    Raises:
        InputError: wrong shape or type, NaN, integers out of range, fewer than `timesteps` steps,
            or timesteps < 1.
    """
    array, held = _checked(target, array, timesteps)
    array = native(array)
    if array.dtype.kind == "f":
        if target.code == "rate":
            return Stimulus(_drawn(target, target.levels(array), timesteps, held, first), timesteps, held=False, first=first)
        levels = target.levels(array)
    else:
        levels = array
    values = levels.astype(np.int32) - target.offsets if target.offset else levels
    return Stimulus(np.array(values, sent_type(target), order="C"), timesteps, held, first)


def encode_parts(target: Input, array: np.ndarray, timesteps: int, size: int, *, first: int = 0) -> Iterator[Stimulus]:
    """What `encode` makes of an array, `size` samples after the other, so that the array may be
    larger than memory; all of it is checked before anything is encoded.

    first: the sample to begin with.

    Raises:
        InputError: as `encode`, at once.
    """
    _checked(target, array, timesteps)
    return (encode(target, array[start : start + size], timesteps, first=start) for start in range(first, len(array), size))


def _checked(target: Input, array: np.ndarray, timesteps: int) -> tuple[np.ndarray, bool]:
    """As `shape_input`; integers must be levels of this input, too."""
    array, held = shape_input(target, array, timesteps)
    if array.dtype.kind != "f":
        low, high = extent(array)
        if low < target.low or high > target.high:
            raise InputError(
                f"input holds integers {low}..{high}, the network takes {target.low}..{target.high}; send floats to have them scaled by {target.scale:g}"
            )
    return array, held


def sent_type(target: Input) -> type[np.uint8] | type[np.int32]:
    """The narrower of two types that holds whatever a network's input may send."""
    low, high = target.sent
    return np.uint8 if low >= 0 and high < 1 << 8 else np.int32


def _drawn(target: Input, intensities: np.ndarray, timesteps: int, held: bool, first: int) -> np.ndarray:
    """Spikes of a rate code `(samples, timesteps, *shape)`, 0 or 1; see `Input`."""
    what = f"the rate code of {len(intensities):,} samples over {timesteps:,} timesteps"
    check_memory(len(intensities) * timesteps * prod(target.shape), what, "take fewer of either")
    spikes = np.empty((len(intensities), timesteps, *target.shape), np.uint8)
    for start in range(0, len(intensities), DRAWN_AT_ONCE):
        part = slice(start, start + DRAWN_AT_ONCE)
        chances = intensities[part]
        samples = first + start + np.arange(len(chances))
        for t in range(timesteps):
            draws = rate_draws(target.seed, samples, t, prod(target.shape)).reshape(-1, *target.shape)
            spikes[part, t] = draws < (chances if held else chances[:, t])
    return spikes


def load_input(path: Path) -> np.ndarray:
    """An `.npy` array, samples first, without ever unpickling; a large one stays in its file, as
    `spikeport.export.common.arrays.open_npy` says.

    Raises:
        InputError: as `open_npy`, or a single number.
    """
    array = open_npy(path)
    if not array.ndim:
        raise InputError(f"{path} holds a single number; expected an array whose first axis counts samples")
    return array
