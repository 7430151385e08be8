"""Any backend over more samples than memory holds: some after the other, each part's record as it
comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from math import prod

import numpy as np

from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.backends.simulate import Backend, backend
from spikeport.hw.records.record import RecordLevel, SpikeRecord
from spikeport.hw.records.stimulus import Stimulus, encode_parts

PART_BYTES = 1 << 28
"""What the input and the record of a part take at most, 256 MB; one sample may take more."""
PART_SAMPLES = 1 << 14
"""Samples of a part at most: a killed run loses no more."""
VALUE_BYTES = 16
"""Of an input value while it is encoded: itself, what is sent, and results between."""


def part_size(network: QuantizedNetwork, timesteps: int, held: bool, level: RecordLevel) -> int:
    """Samples that are run at a time: a power of two, so that lanes of Lava divide it
    (`hw.lava.batch`).
    """
    neurons = sum(p.size for p in network.populations)
    kept = {"counts": 0, "spikes": neurons, "potentials": 5 * neurons}[level] + 8 * prod(network.shape(network.output))
    counted = 8 * (1 + len(network.populations) + len(network.connections))
    whole = VALUE_BYTES * prod(network.input.shape) * (1 if held else timesteps) + timesteps * (kept + counted)
    return 1 << max(0, min(PART_SAMPLES, PART_BYTES // whole).bit_length() - 1)


def parts_of(network: QuantizedNetwork, array: np.ndarray, timesteps: int, level: RecordLevel, *, first: int = 0) -> Iterator[Stimulus]:
    """What `encode_parts` makes of an input from sample `first` on, in parts of `part_size`; errors
    as there, at once.
    """
    size = part_size(network, timesteps, array.shape[1:] == network.input.shape, level)
    return encode_parts(network.input, array, timesteps, size, first=first)


def run_parts(
    name: str,
    network: QuantizedNetwork,
    parts: Iterable[Stimulus],
    level: RecordLevel = "counts",
    *,
    run: Backend | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[SpikeRecord]:
    """Records of stimuli that follow each other, in order; Lava, which is slow to start, runs once
    for all of them.

    name: of the backend (`BACKENDS`). parts: from `parts_of`. run: the backend of this
    name with options of its own.
    """
    run = run or backend(name)
    remaining = iter(parts)
    first = next(remaining, None)
    if first is None:
        return
    following = chain([first], remaining)
    if name != "lava":
        for part in following:
            yield run(network, part, level, progress=progress)
        return
    from spikeport.hw.lava.batch.backend import records  # noqa: PLC0415  needs Lava

    for _, record in records(network, following, level):
        yield record
        if progress:
            progress(len(record))
