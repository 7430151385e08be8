"""A tape whose rows hold one timestep of many samples, samples last. Imports numpy only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

import numpy as np

from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.lava.tape import Tape, shared_array
from spikeport.hw.lava.timeline import Timeline
from spikeport.hw.records.stimulus import Stimulus


class LaneTape(Tape):
    """As `Tape`, rows `(neurons, lanes)`: a group of `lanes` samples takes the place of one sample."""

    def __init__(self, network: QuantizedNetwork, timeline: Timeline, groups: int, tapped: Iterable[str], lanes: int) -> None:
        self.timeline, self.lanes, self._depths = timeline, lanes, network.depths
        self.length = timeline.rows(groups)
        self.messages = shared_array((self.length, prod(network.input.shape), lanes), np.int32)
        self.spikes = {p.name: shared_array((self.length, p.size, lanes), np.bool_) for p in network.populations}
        self.potentials = {name: shared_array((self.length, network[name].size, lanes), np.int32) for name in tapped}
        self.done = shared_array((1,), np.int64)
        self._shapes = {name: network.shape(name) for name in (network.input.name, *self.spikes)}

    def keep(self, name: str, row: int, spikes: np.ndarray, v: np.ndarray) -> None:
        """What a population did at an absolute row."""
        self.spikes[name][row % self.length] = spikes
        if name in self.potentials:
            self.potentials[name][row % self.length] = v

    def read(self, track: np.ndarray, name: str, first: int, last: int) -> np.ndarray:
        """A population's track for groups first..last: `(samples, timesteps, *shape)`, a copy."""
        groups = super().read(track, name, first, last)  # (groups, timesteps, neurons, lanes)
        samples = np.ascontiguousarray(groups.transpose(0, 3, 1, 2))
        return samples.reshape(-1, groups.shape[1], *self._shapes[name])


def group_rows(group: Stimulus, lanes: int, line: Timeline) -> Iterator[np.ndarray]:
    """What a group sends in its period, row by row: int32 `(size, lanes)`; lanes without a sample
    and gaps are silent.
    """
    silence = np.zeros((prod(group.at(0).shape[1:]), lanes), np.int32)
    rows = [silence]
    for step in range(1 if group.held else line.timesteps):
        rows.append(silence.copy())
        rows[-1][:, : len(group)] = group.at(step).reshape(len(group), -1).T
    for step in range(line.period):
        yield rows[0 if step >= line.timesteps else 1 if group.held else 1 + step]
