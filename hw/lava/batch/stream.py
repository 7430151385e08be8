"""Drive a run of many samples side by side, group after group, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.lava.batch.lower import lower_lanes
from spikeport.hw.lava.batch.tape import LaneTape, in_lanes
from spikeport.hw.lava.runtime import LavaRuntime, RunConfigFactory
from spikeport.hw.lava.stream import TAPE_BYTES, advance_to, tapped_potentials
from spikeport.hw.lava.tape import bytes_per_row
from spikeport.hw.lava.timeline import Timeline
from spikeport.hw.records.record import RecordLevel, SpikeRecord, join_records, record_from_rasters
from spikeport.hw.records.stimulus import Stimulus

LANE_BYTES = 256 << 10
"""One timestep of a group on the tape; its potentials and sums then about fit a second-level cache."""
MAX_LANES = 256


def stream_lanes(
    network: QuantizedNetwork,
    stimulus: Stimulus,
    level: RecordLevel,
    run_config: RunConfigFactory,
    timeout: float,
    progress: Callable[[int], None] | None,
) -> SpikeRecord:
    """Run every sample through one runtime, as many at a time as are worth it."""
    timeline, tapped = Timeline.of(network, stimulus.timesteps), tapped_potentials(network, level)
    row = bytes_per_row(network, tapped)
    lanes = max(1, min(MAX_LANES, LANE_BYTES // row, len(stimulus)))
    groups = -(-len(stimulus) // lanes)
    at_once = max(1, min(groups, TAPE_BYTES // (row * lanes * timeline.period)))
    tape = LaneTape(network, timeline, at_once, tapped, lanes)
    with LavaRuntime(lower_lanes(network, tape, stimulus.first), tape, run_config, timeout) as executor:
        return join_records(_records(network, stimulus, level, tape, at_once, executor, progress), len(stimulus))


def _records(network, stimulus, level, tape, at_once, executor, progress) -> Iterator[SpikeRecord]:
    lanes, grouped, samples = tape.lanes, in_lanes(stimulus, tape.lanes), len(stimulus)
    for first in range(0, len(grouped), at_once):
        last = min(first + at_once, len(grouped))
        part = stimulus[first * lanes : min(last * lanes, samples)]
        advance_to(grouped, tape, tape.timeline.rows(last), executor, None)
        rasters = {network.input.name: part.over_time()}
        rasters |= {name: tape.read(track, name, first, last)[: len(part)] for name, track in tape.spikes.items()}
        potentials = {name: tape.read(track, name, first, last)[: len(part)] for name, track in tape.potentials.items()}
        if progress:
            progress(len(part))
        yield record_from_rasters(network, rasters, potentials, {}, level)
