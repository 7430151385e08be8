"""Where each sample lies on the hardware's clock: many samples back to back in one run.

Imports numpy only.

Hardware step k (Lava counts from 1) is row h = k - 1. A population of depth d is at timestep `(h -
d) % period` of sample `(h - d) // period`. The period is T, plus a gap of as many steps as the
longest delay where spikes reach across timesteps, so that none arrives in the next sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.records.stimulus import Stimulus


@dataclass(frozen=True)
class Timeline:
    """timesteps: T of each sample. period: rows from one sample to the next. lag: depth of the
    deepest population.
    """

    timesteps: int
    period: int
    lag: int

    @staticmethod
    def of(network: QuantizedNetwork, timesteps: int) -> Timeline:
        """The shortest schedule that keeps samples apart."""
        gap = max((c.delay for c in network.connections), default=0)
        return Timeline(timesteps, timesteps + gap, max(network.depths.values()))

    def rows(self, samples: int) -> int:
        """Rows after which every population has finished that many samples."""
        return samples * self.period + self.lag

    def finished(self, row: int) -> int:
        """Samples that every population has finished before this row."""
        return max(0, (row - self.lag) // self.period)

    def input_rows(self, stimulus: Stimulus, start: int, stop: int) -> np.ndarray:
        """What the input sends in rows start..stop, int32 `(stop - start, *shape)`: silence in gaps
        and after the last sample.
        """
        sample, step = np.divmod(np.arange(start, stop), self.period)
        active = (sample < len(stimulus)) & (step < self.timesteps)
        index = sample[active] if stimulus.held else (sample[active], step[active])
        rows = np.zeros((stop - start, *stimulus.values.shape[1 if stimulus.held else 2 :]), np.int32)
        rows[active] = stimulus.values[index]
        return rows
