"""The same samples through a float network and through integers, kept in one form so that they can
be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from spikeport.export.floating.layers import Step
from spikeport.export.floating.run import FloatModule
from spikeport.export.model import registers as reg
from spikeport.export.model.network import FloatNetwork, Network, QuantizedNetwork
from spikeport.hw.backends.simulate import backend
from spikeport.hw.records.stimulus import encode

CHUNK_STATES = 1 << 23
"""Potentials (samples x timesteps x neurons) that one run may hold at a time: 64 MB of float64."""


@dataclass(frozen=True, eq=False)
class Run:
    """What a network did on some samples.

    spikes: bool `(samples, timesteps, *shape)` per spiking population. potentials: v after reset in
    physical units, float64, same
    shape, per population. answers: class after the last timestep, int64 `(samples,)`; ties go to
    the lowest class.
    """

    spikes: Mapping[str, np.ndarray]
    potentials: Mapping[str, np.ndarray]
    answers: np.ndarray


@dataclass(frozen=True)
class SpikeOverlap:
    """Spikes of two runs over the same neurons, timesteps and samples. shared: those both runs
    have.
    """

    first: int
    second: int
    shared: int

    @property
    def agreement(self) -> float:
        """Share of the spikes of either run that both have; 1 where neither has any (Jaccard 1901,
        the coefficient of community).
        """
        either = self.first + self.second - self.shared
        return self.shared / either if either else 1.0

    def __add__(self, other: SpikeOverlap) -> SpikeOverlap:
        return SpikeOverlap(self.first + other.first, self.second + other.second, self.shared + other.shared)


def overlap(first: np.ndarray, second: np.ndarray) -> SpikeOverlap:
    """Counts over two rasters of equal shape, bool."""
    return SpikeOverlap(int(first.sum()), int(second.sum()), int((first & second).sum()))


def sample_chunks(network: Network, samples: int) -> Iterator[slice]:
    """Slices of samples whose states fit into memory."""
    size = max(1, CHUNK_STATES // (network.timesteps * sum(p.size for p in network.populations)))
    for start in range(0, samples, size):
        yield slice(start, min(start + size, samples))


def run_float(network: FloatNetwork, values: np.ndarray, part: slice) -> Run:
    """Samples `part` of physical values `(samples, *shape)` or `(samples, timesteps or more,
    *shape)`, in float64.
    """
    spikes: dict[str, np.ndarray] = {}
    potentials: dict[str, np.ndarray] = {}
    spiking = {p.name: p.neuron.spiking for p in network.populations}

    def keep(name: str, course: Step) -> None:
        if name not in spiking:
            return
        potentials[name] = course.potential.transpose(0, 1).numpy()
        if spiking[name]:
            spikes[name] = course.spikes.transpose(0, 1).numpy().astype(bool)

    x = torch.as_tensor(np.ascontiguousarray(values[part]), dtype=torch.float64)
    held = x.shape[1:] == network.input.shape
    with torch.no_grad():
        module = FloatModule(network, dtype=torch.float64)
        output = module(x if held else x.transpose(0, 1), network.timesteps, first=part.start, observe=keep)
    return Run(spikes, potentials, _answers(network, output.transpose(0, 1).numpy()))


def run_integers(network: QuantizedNetwork, values: np.ndarray, part: slice) -> Run:
    """The same samples on the engine, potentials in physical units."""
    stimulus = encode(network.input, values[part], network.timesteps, first=part.start)
    record = backend("engine")(network, stimulus, "potentials")
    potentials = {p.name: record.potentials[p.name] * (p.scale * reg.STATE_UNIT) for p in network.populations}
    return Run(record.spikes, potentials, _answers(network, record.output))


def _answers(network: Network, output: np.ndarray) -> np.ndarray:
    scores = output[:, -1] if network.readout == "membrane_potential" else output.sum(axis=1)
    return scores.reshape(len(scores), -1).argmax(axis=1)
