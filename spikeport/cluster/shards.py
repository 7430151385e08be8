"""Samples shared out among workers: each shard is read, run and counted where it is, numbered as in
the whole, and put back in order.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from spikeport.cluster.files import SharedFile
from spikeport.cluster.workers import Task, Workers
from spikeport.export.common.arrays import native, open_npy
from spikeport.export.common.errors import InputError
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.backends.simulate import backend
from spikeport.hw.backends.verify import Verification, join_verifications, verify
from spikeport.hw.records.record import RecordLevel, SpikeRecord
from spikeport.hw.records.stimulus import Stimulus, encode

SHARDS = 8
"""Of every slot: one that ends early takes up more."""
SHARD_BYTES = 64 << 20
"""Of input that a worker holds at a time."""


class Source(Protocol):
    """A network and its input, which a worker finds by itself."""

    def network(self) -> QuantizedNetwork:
        """Read where it is asked for, once in a process."""
        ...

    def samples(self, start: int, stop: int) -> np.ndarray:
        """Some samples of the input, as `encode` takes them."""
        ...


@dataclass(frozen=True)
class Files:
    """A `Source` of files. read: of the network; a function of a module. input: an `.npy` file that
    the sender has read, or none where it is the network alone that is of interest.
    """

    read: Callable[[Path], QuantizedNetwork]
    place: SharedFile
    input: SharedFile | None = None

    def network(self) -> QuantizedNetwork:
        """As `Source.network`."""
        return _network(self.read, self.place)

    def samples(self, start: int, stop: int) -> np.ndarray:
        """As `Source.samples`; no others are read."""
        assert self.input is not None
        return native(_input(self.input)[start:stop])


@lru_cache(maxsize=4)
def _network(read: Callable[[Path], QuantizedNetwork], file: SharedFile) -> QuantizedNetwork:
    return read(file.checked())


@lru_cache(maxsize=2)
def _input(file: SharedFile) -> np.ndarray:
    return open_npy(file.checked())


@dataclass(frozen=True)
class Run:
    """What workers are to do. count: of samples. bytes: of the whole input as it is read. first:
    the sample to begin with.
    """

    source: Source
    timesteps: int
    count: int
    bytes: int
    first: int = 0

    def shards(self, slots: int) -> Iterator[Task]:
        """Where shards begin and end."""
        fits = max(1, SHARD_BYTES * self.count // max(1, self.bytes))
        size = max(1, min(fits, -(-(self.count - self.first) // (SHARDS * slots))))
        return ((start, min(start + size, self.count)) for start in range(self.first, self.count, size))

    def stimulus(self, start: int, stop: int) -> Stimulus:
        """Of one shard, its samples numbered as in the whole."""
        return encode(self.source.network().input, self.source.samples(start, stop), self.timesteps, first=start)


def records(workers: Workers, run: Run, name: str, level: RecordLevel, progress: Callable[[int], None]) -> Iterator[SpikeRecord]:
    """A backend's records of the shards in order, joined the one of the whole input, bit for bit.

    progress: samples finished.

    Raises:
        InputError: a worker cannot read a file, has another program, or lacks the backend.
        BackendError: a backend failed, or workers died of it.
    """
    for part in workers.each(_record, ((run, name, level, *shard) for shard in run.shards(workers.slots))):
        yield part
        progress(len(part))


def verified(workers: Workers, run: Run, names: Sequence[str], candidate: Source | None, progress: Callable[[int], None]) -> Verification:
    """Backends against the reference, as `spikeport.hw.backends.verify.verify`; otherwise as
    `records`.
    """
    parts = []
    for part in workers.each(_verify, ((run, tuple(names), candidate, *shard) for shard in run.shards(workers.slots))):
        parts.append(part)
        progress(part.samples)
    return join_verifications(parts)


def _record(run: Run, name: str, level: RecordLevel, start: int, stop: int) -> SpikeRecord:
    _check_children([name])
    return backend(name)(run.source.network(), run.stimulus(start, stop), level)


def _verify(run: Run, names: Sequence[str], candidate: Source | None, start: int, stop: int) -> Verification:
    _check_children(names)
    tested = candidate.network() if candidate else None
    return verify(run.source.network(), run.stimulus(start, stop), names, candidate=tested)


def _check_children(names: Sequence[str]) -> None:
    """InputError where Lava cannot run since a worker may have no children."""
    if "lava" in names and multiprocessing.current_process().daemon:
        raise InputError(
            "Lava's processes are children of a worker, and this cluster's workers may have none; start them with "
            "DASK_DISTRIBUTED__WORKER__DAEMON=False"
        )
