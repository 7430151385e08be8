"""Proof by comparison: every spike of every neuron at every step, and the readout, on each backend
against the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from spikeport.export.common.tabular import Table, Tabular
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.backends.simulate import Backend, backend
from spikeport.hw.records.record import SpikeRecord
from spikeport.hw.records.stimulus import Stimulus
from spikeport.hw.semantics import reference

RASTER_BUDGET = 1 << 26
"""Spikes of a backend held in memory at a time, as bytes; longer runs are compared in slices of
samples.
"""


@dataclass(frozen=True)
class Difference:
    """The first place where a backend left what was expected; 0-based sample, timestep and neuron
    index. Earliest in sample, then timestep, then order of update, then order of backends.

    Spikes and potentials (after reset, state units) are those of `against` and the backend's; for a
    readout the spike fields hold its output value.
    """

    backend: str
    population: str
    sample: int
    timestep: int
    neuron: tuple[int, ...]
    expected: int
    found: int
    expected_potential: int
    found_potential: int
    against: str = "reference"

    def __str__(self) -> str:
        return (
            f"{self.backend} differs first in {self.population}, neuron {self.neuron}, timestep {self.timestep}, sample {self.sample}: "
            f"{self.against} {self.expected} (v {self.expected_potential}), {self.backend} {self.found} (v {self.found_potential})"
        )


@dataclass(frozen=True, repr=False)
class Verification(Tabular):
    """What was compared and what came out. compared: neuron-steps per backend; spikes: how many of
    them were spikes.

    against: whose spikes were expected.
    """

    backends: tuple[str, ...]
    samples: int
    timesteps: int
    populations: tuple[str, ...]
    compared: int
    spikes: int
    outputs: int
    differences: Mapping[str, int]
    first: Difference | None
    silent: tuple[str, ...] = ()
    """Populations that spike but never did."""
    against: str = "reference"

    @property
    def equal(self) -> bool:
        """Whether every backend agreed everywhere."""
        return not any(self.differences.values())

    @property
    def warning(self) -> str | None:
        """Why that backends are equal says little, where it does."""
        if self.spikes and self.silent:
            return f"never fires in {self.samples:,} samples: {', '.join(self.silent)}; that backends are equal says little of it"
        if self.spikes or not self.populations:
            return None
        return f"no neuron fires in {self.samples:,} samples: that backends are equal says little here"

    def table(self) -> Table:
        """Differences by backend."""
        verdict = "equal" if self.equal else f"DIFFERENT: {self.first}"
        title = f"{', '.join(self.backends)} against the reference: {verdict}; {self.compared:,} neuron-steps, {self.spikes:,} spikes"
        return Table(title, {"backend": list(self.differences), "differences": list(self.differences.values())})

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "equal": self.equal}


def verify(
    network: QuantizedNetwork,
    stimulus: Stimulus | Iterable[Stimulus],
    backends: Mapping[str, Backend] | Sequence[str] = ("engine",),
    *,
    candidate: QuantizedNetwork | None = None,
    progress: Callable[[int], None] | None = None,
) -> Verification:
    """Run the reference and every backend on the same stimulus and compare.

    stimulus: one, or several that follow each other (`encode_parts`), which together may be larger
    than memory. backends: names (`BACKENDS`), or backends of your own by name.
    candidate: the network the backends run, if it is to differ from the reference's (to compare two
    files, or to show that verification can fail). It must have the same populations. progress:
    samples finished.
    """
    named = backends if isinstance(backends, Mapping) else {name: backend(name) for name in backends}
    tested = candidate or network
    tally = Tally(network, tested, named, reference.run, "reference")
    neurons, timesteps = sum(p.size for p in network.populations), network.timesteps
    for whole in [stimulus] if isinstance(stimulus, Stimulus) else stimulus:
        timesteps = whole.timesteps
        chunk = max(1, RASTER_BUDGET // (neurons * timesteps))
        for start in range(0, len(whole), chunk):
            part = whole[start : start + chunk]
            tally.add(part, (run(tested, part, "spikes") for run in named.values()))
            if progress:
                progress(len(part))
    return tally.verification(timesteps)


def join_verifications(parts: Sequence[Verification]) -> Verification:
    """One of the same comparison on samples that follow each other, part after part."""
    first = parts[0]
    assert all((p.backends, p.populations, p.timesteps) == (first.backends, first.populations, first.timesteps) for p in parts)
    return replace(
        first,
        **{name: sum(getattr(part, name) for part in parts) for name in ("samples", "compared", "spikes", "outputs")},
        differences={name: sum(part.differences[name] for part in parts) for name in first.differences},
        first=next((part.first for part in parts if part.first), None),
        silent=tuple(name for name in first.silent if all(name in part.silent for part in parts)),
    )


class Tally:
    """Counts differences, part after part.

    tested: the network that the backends run. expected: the backend whose spikes are right, named
    `against`.
    """

    def __init__(
        self, network: QuantizedNetwork, tested: QuantizedNetwork, backends: Mapping[str, Backend], expected: Backend, against: str
    ) -> None:
        self.network, self.tested, self.backends, self.expected, self.against = network, tested, backends, expected, against
        self.samples = 0
        self.first: Difference | None = None
        self.differences = dict.fromkeys(backends, 0)
        self.spikes = {p.name: 0 for p in network.populations if p.neuron.spiking}

    def add(self, part: Stimulus, found: Iterable[SpikeRecord]) -> None:
        """Compare what every backend made of a part, at level "spikes" and in the backends' order."""
        expected = self.expected(self.network, part, "spikes")
        self.samples += len(part)
        for name, raster in expected.spikes.items():
            self.spikes[name] += int(np.count_nonzero(raster))
        differing = {}
        for name, record in zip(self.backends, found):
            if places := _different(self.network, expected, record):
                self.differences[name] += sum(len(where) for where in places.values())
                differing[name] = self._earliest(places)
        if differing and self.first is None:
            name = min(differing, key=differing.__getitem__)
            self.first = self._first_difference(part, name, *differing[name])

    def verification(self, timesteps: int) -> Verification:
        """What came out so far."""
        steps, network = self.samples * timesteps, self.network
        return Verification(
            backends=tuple(self.backends),
            samples=self.samples,
            timesteps=timesteps,
            populations=tuple(self.spikes),
            compared=steps * sum(network[name].size for name in self.spikes),
            spikes=sum(self.spikes.values()),
            outputs=steps * network[network.output].size,
            differences=dict(self.differences),
            first=self.first,
            silent=tuple(name for name, count in self.spikes.items() if not count),
            against=self.against,
        )

    def _earliest(self, places: dict[str, np.ndarray]) -> tuple[int, int, int, tuple[int, ...]]:
        """Sample, timestep, number of the population in order of update, and index of the neuron:
        the smallest of these.
        """
        order = {p.name: i for i, p in enumerate(self.network.populations)}
        firsts = {name: tuple(map(int, where[0])) for name, where in places.items()}
        return min((sample, step, order[name], tuple(neuron)) for name, (sample, step, *neuron) in firsts.items())

    def _first_difference(self, part: Stimulus, name: str, sample: int, step: int, number: int, neuron: tuple[int, ...]) -> Difference:
        """The sample is run again for the potentials."""
        population, run = self.network.populations[number].name, self.backends[name]
        one = part[sample : sample + 1]
        expected, actual = self.expected(self.network, one, "potentials"), run(self.tested, one, "potentials")
        at = (0, step, *neuron)

        def value(record: SpikeRecord) -> int:
            return int(record.spikes[population][at] if population in record.spikes else record.output[at])

        return Difference(
            backend=name,
            against=self.against,
            population=population,
            sample=part.first + sample,
            timestep=step,
            neuron=neuron,
            expected=value(expected),
            found=value(actual),
            expected_potential=int(expected.potentials[population][at]),
            found_potential=int(actual.potentials[population][at]),
        )


def _different(network: QuantizedNetwork, expected: SpikeRecord, actual: SpikeRecord) -> dict[str, np.ndarray]:
    """Indices `(count, axes)` of unequal spikes per population, and of the output under the output
    population's name.
    """
    places = {name: np.argwhere(raster != actual.spikes[name]) for name, raster in expected.spikes.items()}
    if network.output not in places:
        places[network.output] = np.argwhere(expected.output != actual.output)
    return {name: where for name, where in places.items() if len(where)}
