"""What a run gives back: outputs, spikes and exact event counts, aligned in time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, TypeAlias

import numpy as np

from spikeport.export.model.network import QuantizedNetwork, ReadoutKind
from spikeport.hw.records.fanout import fan_out

RecordLevel: TypeAlias = Literal["counts", "spikes", "potentials"]
"""How much is kept: counts only; every spike too; every spike and membrane potential too."""


@dataclass(frozen=True, eq=False)
class SpikeRecord:
    """One run of a network. Index t of every array is the response to input step t, whatever the backend's own delays.

    output: int32 `(samples, timesteps, *output_shape)`; see `Network.readout`.
    spike_counts: per population (input included: nonzero messages), int64 `(samples, timesteps)`.
    synaptic_events: per connection, int64 `(samples, timesteps)`: nonzero weights reached by each spike at the step it was
    sent, counted by fan-out (borders, stride, zero weights). From a graded input each event is a multiply-accumulate.
    overflows: per population, number of (sample, step, neuron) where u wrapped, v saturated, a channel left 24 bits, or a
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


def join_records(records: Iterable[SpikeRecord]) -> SpikeRecord:
    """Concatenate runs over disjoint samples, in order."""
    parts = list(records)

    def joined(name: str) -> Mapping[str, np.ndarray]:
        return {key: np.concatenate([getattr(p, name)[key] for p in parts]) for key in getattr(parts[0], name)}

    mappings = {f.name: joined(f.name) for f in fields(SpikeRecord) if f.name not in ("output", "overflows", "notes")}
    overflows = {key: sum(p.overflows[key] for p in parts) for key in parts[0].overflows}
    notes = {key: note for p in parts for key, note in p.notes.items()}
    return SpikeRecord(output=np.concatenate([p.output for p in parts]), overflows=overflows, notes=notes, **mappings)


def class_scores(output: np.ndarray, readout: ReadoutKind) -> np.ndarray:
    """Scores after every number of timesteps: `(samples, timesteps, classes)`, index t using steps 0..t only."""
    return output.astype(np.int64) if readout == "membrane_potential" else output.cumsum(axis=1, dtype=np.int64)


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
