"""Drive a run of many samples side by side, group after group, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain, islice

import numpy as np

from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.lava.batch.lower import lower_lanes
from spikeport.hw.lava.batch.tape import LaneTape, group_rows
from spikeport.hw.lava.runtime import LavaRuntime, RunConfigFactory
from spikeport.hw.lava.stream import SLICE_ROWS, Executor, tapped_potentials
from spikeport.hw.lava.tape import bytes_per_row
from spikeport.hw.lava.timeline import Timeline
from spikeport.hw.records.record import RecordLevel, SpikeRecord, record_from_rasters
from spikeport.hw.records.stimulus import Stimulus, join_stimuli

LANE_BYTES, TAPE_BYTES = 512 << 10, 16 << 20
"""One timestep of a group on the tape, and the whole tape; measured on the networks of
benchmarks/engine_networks.py.
"""
FEW_LANES, MAX_LANES = 16, 256
"""Fewer would leave most of the time to the switching between processes, however large a timestep
is.
"""


def lane_records(
    network: QuantizedNetwork, parts: Iterable[Stimulus], level: RecordLevel, run_config: RunConfigFactory, timeout: float
) -> Generator[tuple[Stimulus, SpikeRecord], None, None]:
    """Run samples through one runtime, as many at a time as are worth it; yields a few groups'
    stimulus and record at a time, in order.

    parts: stimuli that follow each other, each of which but the last holds a multiple of
    `MAX_LANES` samples.
    """
    remaining = iter(parts)
    first = next(remaining)
    timeline, tapped = Timeline.of(network, first.timesteps), tapped_potentials(network, level)
    row = bytes_per_row(network, tapped)
    lanes = lanes_for(min(max(FEW_LANES, LANE_BYTES // row), TAPE_BYTES // (row * timeline.period)), len(first))
    at_once = min(-(-len(first) // lanes), TAPE_BYTES // (row * lanes * timeline.period))
    at_once = max(1, -(-timeline.lag // timeline.period), at_once)  # one piece ahead must fill the pipeline
    tape = LaneTape(network, timeline, at_once, tapped, lanes)
    groups = (part[i : i + lanes] for part in chain([first], remaining) for i in range(0, len(part), lanes))
    with LavaRuntime(lower_lanes(network, tape, first.first), tape, run_config, timeout) as executor:
        yield from _records(network, level, tape, groups, at_once, executor)


def lanes_for(worthwhile: int, samples: int) -> int:
    """Samples side by side: a power of two, so that lanes divide every part; no more than are worth
    it or than there are.
    """
    limit = max(1, min(MAX_LANES, worthwhile))
    return 1 << min(limit.bit_length() - 1, (samples - 1).bit_length())


def _records(
    network: QuantizedNetwork, level: RecordLevel, tape: LaneTape, groups: Iterator[Stimulus], at_once: int, executor: Executor
) -> Iterator[tuple[Stimulus, SpikeRecord]]:
    """Groups are fed piece by piece, the next piece right behind, so that the pipeline never
    drains.
    """
    first, piece = 0, list(islice(groups, at_once))
    ahead = deque(_rows(piece, tape))
    while piece:
        last, stimulus = first + len(piece), join_stimuli(piece)
        piece = list(islice(groups, at_once))
        ahead.extend(_rows(piece, tape))
        _advance_to(tape.timeline.rows(last), ahead, tape, executor)
        tracks = {network.input.name: tape.messages, **tape.spikes}
        rasters = {name: tape.read(track, name, first, last)[: len(stimulus)] for name, track in tracks.items()}
        potentials = {name: tape.read(track, name, first, last)[: len(stimulus)] for name, track in tape.potentials.items()}
        yield stimulus, record_from_rasters(network, rasters, potentials, {}, level)
        first = last


def _rows(piece: Sequence[Stimulus], tape: LaneTape) -> Iterator[np.ndarray]:
    return chain.from_iterable(group_rows(group, tape.lanes, tape.timeline) for group in piece)


def _advance_to(stop: int, ahead: deque[np.ndarray], tape: LaneTape, executor: Executor) -> None:
    """Execute up to a row, writing the input slice by slice; silence follows the last row there is."""
    while (row := int(tape.done[0])) < stop:
        count = min(SLICE_ROWS, stop - row)
        for i in range(row, row + count):
            tape.messages[i % tape.length] = ahead.popleft() if ahead else 0
        executor.advance(count)
