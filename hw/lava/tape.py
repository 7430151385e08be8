"""What goes into a run and comes out of it, row by row, in memory that Lava's processes share.

Imports numpy only.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable

import numpy as np

from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.lava.timeline import Timeline


def shared_array(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Zeros in anonymous memory that forked processes share; it has no name, so nothing can be left
    behind in /dev/shm.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(mmap.mmap(-1, max(1, size)), dtype, count=int(np.prod(shape))).reshape(shape)


class Tape:
    """A ring of rows, long enough for `samples` samples of a timeline at once.

    messages: what the input sends. spikes: per population, bool. potentials: per tapped population,
    v after reset, int32. All are `(length, *shape)`. done: number of rows finished so far, which
    also shows that a run is alive.
    """

    def __init__(self, network: QuantizedNetwork, timeline: Timeline, samples: int, tapped: Iterable[str]) -> None:
        self.timeline = timeline
        self.length = timeline.rows(samples)
        self.messages = shared_array((self.length, *network.input.shape), np.int32)
        self.spikes = {p.name: shared_array((self.length, *p.shape), np.bool_) for p in network.populations}
        self.potentials = {name: shared_array((self.length, *network.shape(name)), np.int32) for name in tapped}
        self.done = shared_array((1,), np.int64)
        self._depths = network.depths

    def write(self, start: int, rows: np.ndarray) -> None:
        """Lay input rows ready from an absolute row on."""
        self.messages[np.arange(start, start + len(rows)) % self.length] = rows

    def read(self, track: np.ndarray, name: str, first: int, last: int) -> np.ndarray:
        """A population's track for samples first..last, realigned: `(samples, timesteps, *shape)`,
        a copy.
        """
        line = self.timeline
        rows = np.arange(first * line.period, last * line.period) + self._depths[name]
        return track[rows % self.length].reshape(last - first, line.period, *track.shape[1:])[:, : line.timesteps]


def bytes_per_row(network: QuantizedNetwork, tapped: Iterable[str]) -> int:
    """Memory that one row of a tape takes."""
    neurons = sum(p.size for p in network.populations)
    return 4 * int(np.prod(network.input.shape)) + neurons + 4 * sum(network[name].size for name in tapped)
