"""What a run gives back: outputs, spikes and exact event counts, aligned in time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, TypeAlias

import numpy as np

from spikeport.export.common.tabular import Table, Tabular
from spikeport.export.model.network import QuantizedNetwork, ReadoutKind
from spikeport.hw.records.fanout import fan_out

RecordLevel: TypeAlias = Literal["counts", "spikes", "potentials"]
"""How much is kept: counts only; every spike too; every spike and membrane potential too."""
MAPPINGS = ("spike_counts", "synaptic_events", "spikes", "potentials")
"""Fields of a record that hold arrays by name."""


@dataclass(frozen=True, eq=False, repr=False)
class SpikeRecord(Tabular):
    """One run of a network. Index t of every array is the response to input step t, whatever the backend's own delays.

    output: int32 `(samples, timesteps, *output_shape)`; see `Network.readout`.
    spike_counts: per population (input included: nonzero messages), int64 `(samples, timesteps)`.
    synaptic_events: per connection, int64 `(samples, timesteps)`: nonzero weights reached by each spike at the step it was
    sent, counted by fan-out (borders, stride, zero weights). From a graded input each event is a multiply-accumulate.
    overflows: per population, number of (sample, step, neuron) where u wrapped, v saturated, a connection's sum left 24 bits, or a
    non-spiking readout reached its threshold. Zero means the integers are the arithmetic that was meant. Empty where the
    backend cannot see it.
    spikes: bool `(samples, timesteps, *shape)` per spiking population, at level "spikes" and above.
    potentials: int32, v after reset, per population, at level "potentials".
    notes: per connection, one line where the backend computed it in another way than it would have liked, with equal integers.
    """

    output: np.ndarray
    spike_counts: Mapping[str, np.ndarray]
    synaptic_events: Mapping[str, np.ndarray]
    overflows: Mapping[str, int]
    spikes: Mapping[str, np.ndarray] = field(default_factory=dict)
    potentials: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def timesteps(self) -> int:
        """Number of timesteps T."""
        return self.output.shape[1]

    def __len__(self) -> int:
        return len(self.output)

    def table(self) -> Table:
        """Spikes per sample of every population, a row per timestep."""
        steps, names = range(1, self.timesteps + 1), tuple(self.spike_counts)
        spikes = sum(int(counts.sum()) for counts in self.spike_counts.values())
        title = f"{len(self):,} samples x {self.timesteps} timesteps, output {self.output.shape[2:]}, {spikes:,} spikes and messages"
        columns = {"timestep": steps, **{name: self.spike_counts[name].mean(axis=0).tolist() for name in names}}
        return Table(title, columns, "timestep", names, "spikes per sample")


def join_records(records: Iterable[SpikeRecord], samples: int) -> SpikeRecord:
    """One record of runs over disjoint samples, in order.

    records: at least one; a generator's are copied as they come, so that the whole and one part are in memory, never all parts.
    samples: how many they hold together.
    """
    parts = iter(records)
    first = next(parts)
    if len(first) == samples:
        return first
    whole = {place: np.empty((samples, *array.shape[1:]), array.dtype) for place, array in _arrays(first).items()}
    overflows, notes = dict.fromkeys(first.overflows, 0), dict(first.notes)
    done = 0
    for part in chain([first], parts):
        for place, array in _arrays(part).items():
            whole[place][done : done + len(part)] = array
        overflows = {name: count + part.overflows[name] for name, count in overflows.items()}
        notes |= part.notes
        done += len(part)
    assert done == samples, f"{done} of {samples} samples came"
    mappings = {field_name: {key: a for (owner, key), a in whole.items() if owner == field_name} for field_name in MAPPINGS}
    return SpikeRecord(output=whole["output", ""], overflows=overflows, notes=notes, **mappings)


def _arrays(record: SpikeRecord) -> dict[tuple[str, str], np.ndarray]:
    """Every array of a record, under its field's name and that of its population or connection ("" for the output)."""
    return {("output", ""): record.output} | {(name, key): array for name in MAPPINGS for key, array in getattr(record, name).items()}


def class_scores(output: np.ndarray, readout: ReadoutKind) -> np.ndarray:
    """Scores after every number of timesteps: `(samples, timesteps, classes)`, index t using steps 0..t only; exact for integers.

    output: a record's integers, or the floats of `simulate_float`.
    """
    wide = output.astype(np.float64 if output.dtype.kind == "f" else np.int64)
    return wide if readout == "membrane_potential" else wide.cumsum(axis=1)


def answers_over_time(output: np.ndarray, readout: ReadoutKind) -> np.ndarray:
    """Class after 1..T timesteps, int64 `(samples, timesteps)`; ties go to the lowest class."""
    return class_scores(output.reshape(*output.shape[:2], -1), readout).argmax(axis=2)


def correct_over_time(output: np.ndarray, labels: np.ndarray, readout: ReadoutKind) -> np.ndarray:
    """Whether each sample is classified correctly after 1..T timesteps, bool `(samples, timesteps)`."""
    return answers_over_time(output, readout) == np.asarray(labels)[:, None]


def accuracy_over_time(output: np.ndarray, labels: np.ndarray, readout: ReadoutKind) -> np.ndarray:
    """Fraction of correct samples after 1..T timesteps, float64 `(timesteps,)`."""
    return correct_over_time(output, labels, readout).mean(axis=0)


def record_from_rasters(
    network: QuantizedNetwork,
    rasters: Mapping[str, np.ndarray],
    potentials: Mapping[str, np.ndarray],
    overflows: Mapping[str, int],
    level: RecordLevel,
) -> SpikeRecord:
    """Make a record from complete rasters, as the slow backends have them.

    rasters: `(samples, timesteps, *shape)` of the input's messages and of every population's spikes. potentials: v after reset,
    int32, same shape; a non-spiking readout's potential is always needed, the others only at level "potentials".
    """
    counts = {name: np.count_nonzero(r, axis=tuple(range(2, r.ndim))).astype(np.int64) for name, r in rasters.items()}
    events = {
        c.name: (rasters[c.source] != 0).reshape(*rasters[c.source].shape[:2], -1) @ fan_out(c, network.shape(c.source)).ravel()
        for c in network.connections
    }
    spiking = {p.name: rasters[p.name].astype(bool) for p in network.populations if p.neuron.spiking}
    return SpikeRecord(
        output=_output(network, rasters[network.output], potentials.get(network.output)),
        spike_counts=counts,
        synaptic_events=events,
        overflows=overflows,
        spikes=spiking if level != "counts" else {},
        potentials=potentials if level == "potentials" else {},
    )


def _output(network: QuantizedNetwork, spikes: np.ndarray, potentials: np.ndarray | None) -> np.ndarray:
    """The network's output, int32; see `Network.readout`."""
    if network.readout == "spike_count":
        return spikes.astype(np.int32)
    assert potentials is not None, "a non-spiking readout needs its potentials"
    if network.readout == "membrane_potential":
        return potentials.astype(np.int32)
    return np.diff(potentials, axis=1, prepend=0).astype(np.int32)
