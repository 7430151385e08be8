"""A tape whose rows hold one timestep of many samples. Imports numpy only."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.lava.tape import Tape, shared_array
from spikeport.hw.lava.timeline import Timeline
from spikeport.hw.records.stimulus import Stimulus


class LaneTape(Tape):
    """As `Tape`, with a lane axis ahead of each shape: a group of `lanes` samples takes the place of one sample."""

    def __init__(self, network: QuantizedNetwork, timeline: Timeline, groups: int, tapped: Iterable[str], lanes: int) -> None:
        self.timeline, self.lanes, self._depths = timeline, lanes, network.depths
        self.length = timeline.rows(groups)
        self.messages = shared_array((self.length, lanes, *network.input.shape), np.int32)
        self.spikes = {p.name: shared_array((self.length, lanes, *p.shape), np.bool_) for p in network.populations}
        self.potentials = {name: shared_array((self.length, lanes, *network.shape(name)), np.int32) for name in tapped}
        self.done = shared_array((1,), np.int64)

    def read(self, track: np.ndarray, name: str, first: int, last: int) -> np.ndarray:
        """A population's track for groups first..last: `(samples, timesteps, *shape)`, a copy."""
        groups = np.swapaxes(super().read(track, name, first, last), 1, 2)
        return groups.reshape(-1, *groups.shape[2:])


def in_lanes(stimulus: Stimulus, lanes: int) -> Stimulus:
    """Groups of samples side by side, `(groups, lanes, *shape)` or with the timesteps between; silence fills the last group."""
    values, missing = stimulus.values, -len(stimulus) % lanes
    if missing:
        values = np.concatenate([values, np.zeros((missing, *values.shape[1:]), values.dtype)])
    groups = values.reshape(-1, lanes, *values.shape[1:])
    return Stimulus(groups if stimulus.held else np.swapaxes(groups, 1, 2), stimulus.timesteps, stimulus.held, stimulus.first)
