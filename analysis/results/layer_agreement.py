"""Float against integers, layer by layer on the same samples: where accuracy goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikeport.analysis.results.paired_runs import Run, SpikeOverlap, overlap, run_float, run_integers, sample_chunks
from spikeport.export.floating.simulate import physical_input
from spikeport.export.model.network import FloatNetwork, QuantizedNetwork


@dataclass(frozen=True)
class LayerAgreement:
    """One population in float and in integers.

    neuron_steps: samples x timesteps x neurons compared. spikes: counts in float (first), in
    integers (second) and in both (shared); None where the population does not spike.
    potential_error: root mean square difference of v after reset, as a share of the threshold (the
    largest of the population), or of the float potential's own root mean square where it does not
    spike.
    """

    name: str
    neuron_steps: int
    spikes: SpikeOverlap | None
    potential_error: float

    @property
    def agreement(self) -> float | None:
        """Share of the spikes of either run that both have, 0 to 1."""
        return self.spikes.agreement if self.spikes else None


@dataclass(frozen=True)
class Agreement:
    """Layers in the network's order. answers_changed: share of samples that the integers classify
    otherwise.
    """

    samples: int
    timesteps: int
    answers_changed: float
    layers: tuple[LayerAgreement, ...]


class _Tally:
    """Sums over chunks of samples for one population."""

    def __init__(self, name: str, spiking: bool, unit: float) -> None:
        self.name, self.spiking, self.unit = name, spiking, unit
        self.spikes = SpikeOverlap(0, 0, 0)
        self.count, self.error, self.power = 0, 0.0, 0.0

    def add(self, first: Run, second: Run) -> None:
        before, after = first.potentials[self.name], second.potentials[self.name]
        self.count += before.size
        self.error += float(np.square(before - after).sum())
        self.power += float(np.square(before).sum())
        if self.spiking:
            self.spikes += overlap(first.spikes[self.name], second.spikes[self.name])

    def result(self) -> LayerAgreement:
        unit = self.unit or (self.power / self.count) ** 0.5 or 1.0
        return LayerAgreement(self.name, self.count, self.spikes if self.spiking else None, (self.error / self.count) ** 0.5 / unit)


def layer_agreement(
    network: FloatNetwork, quantized: QuantizedNetwork, data: np.ndarray, *, progress: Callable[[int], None] | None = None
) -> Agreement:
    """Run both networks over the same samples and compare every population that both have.

    Args:
        network: what was quantized, T timesteps or more.
        data: `(samples, *shape)` held over time or `(samples, timesteps or more, *shape)`, as for
            `quantize`.

    Raises:
        InputError: the data do not fit the network.
    """
    network = network.with_timesteps(quantized.timesteps)
    values, _ = physical_input(network.input, data, network.timesteps)
    both = {p.name for p in quantized.populations}
    tallies = [
        _Tally(p.name, p.neuron.spiking, float(p.neuron.threshold.max()) if p.neuron.spiking else 0.0)
        for p in network.populations
        if p.name in both
    ]
    changed = 0
    for part in sample_chunks(network, len(values)):
        first, second = run_float(network, values, part), run_integers(quantized, values, part)
        for tally in tallies:
            tally.add(first, second)
        changed += int((first.answers != second.answers).sum())
        if progress:
            progress(len(first.answers))
    return Agreement(len(values), network.timesteps, changed / len(values), tuple(t.result() for t in tallies))
