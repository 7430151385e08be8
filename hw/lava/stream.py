"""Drive a run from stimulus to record, sample after sample in bounded memory, whoever executes the
timesteps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.lava.tape import Tape, bytes_per_row
from spikeport.hw.lava.timeline import Timeline
from spikeport.hw.records.record import RecordLevel, SpikeRecord, join_records, record_from_rasters
from spikeport.hw.records.stimulus import Stimulus

TAPE_BYTES = 64 << 20
SLICE_ROWS = 64
"""Rows executed between two reports of progress; a pause costs Lava about a quarter of a
millisecond.
"""


class Executor(Protocol):
    """Runs the network that a tape is connected to."""

    def advance(self, steps: int) -> None:
        """Execute so many timesteps and write their rows."""


def tapped_potentials(network: QuantizedNetwork, level: RecordLevel) -> list[str]:
    """Populations whose potential is recorded: the readout that needs it, or all."""
    if level == "potentials":
        return [p.name for p in network.populations]
    return [] if network.readout == "spike_count" else [network.output]


def stream(
    network: QuantizedNetwork,
    stimulus: Stimulus,
    level: RecordLevel,
    start: Callable[[Tape], AbstractContextManager[Executor]],
    progress: Callable[[int], None] | None,
) -> SpikeRecord:
    """Run every sample through one executor, which `start` makes and its context ends."""
    timeline = Timeline.of(network, stimulus.timesteps)
    tapped = tapped_potentials(network, level)
    at_once = TAPE_BYTES // (bytes_per_row(network, tapped) * timeline.period)
    batch = max(1, min(len(stimulus), at_once))
    tape = Tape(network, timeline, batch, tapped)
    with start(tape) as executor:
        return join_records(_records(network, stimulus, level, tape, batch, executor, progress), len(stimulus))


def _records(network, stimulus, level, tape, batch, executor, progress) -> Iterator[SpikeRecord]:
    for first in range(0, len(stimulus), batch):
        last = min(first + batch, len(stimulus))
        advance_to(stimulus, tape, tape.timeline.rows(last), executor, progress)
        rasters = {network.input.name: stimulus[first:last].over_time()}
        rasters |= {name: tape.read(track, name, first, last) for name, track in tape.spikes.items()}
        potentials = {name: tape.read(track, name, first, last) for name, track in tape.potentials.items()}
        yield record_from_rasters(network, rasters, potentials, {}, level)


def advance_to(stimulus: Stimulus, tape: Tape, stop: int, executor: Executor, progress: Callable[[int], None] | None) -> None:
    """Execute up to a row, writing the input slice by slice."""
    while (row := int(tape.done[0])) < stop:
        end = min(row + SLICE_ROWS, stop)
        tape.write(row, tape.timeline.input_rows(stimulus, row, end))
        executor.advance(end - row)
        if progress:
            progress(tape.timeline.finished(end) - tape.timeline.finished(row))
