"""What a run gives back: outputs, spikes and exact event counts, aligned in time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from math import prod
from typing import Literal, TypeAlias

import numpy as np

from spikeport.export.common.memory import check_memory
from spikeport.export.common.tabular import Table, Tabular
from spikeport.export.model.network import QuantizedNetwork, ReadoutKind
from spikeport.hw.records.fanout import fan_out
from spikeport.hw.records.stimulus import Stimulus

RecordLevel: TypeAlias = Literal["counts", "spikes", "potentials"]
"""How much is kept: counts only; every spike too; every spike and membrane potential too."""
FLOAT32_EXACT = 1 << 24
"""Sums of whole numbers below this are exact in float32, in any order."""
MAPPINGS = ("spike_counts", "synaptic_events", "spikes", "potentials")
"""Fields of a record that hold arrays by name."""
Place: TypeAlias = tuple[str, str]
"""Of an array in a record: its field, and the name of its population or connection ("" for the
output).
"""
NARROW = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32)
"""Types that integers travel in."""


@dataclass(frozen=True, eq=False, repr=False)
class SpikeRecord(Tabular):
    """One run of a network.

    Index t of every array is the response to input step t, whatever the backend's own delays.

    output: int32 `(samples, timesteps, *output_shape)`; see `Network.readout`.
    spike_counts: per population (input included: nonzero messages), int64 `(samples, timesteps)`.
    synaptic_events: per connection, int64 `(samples, timesteps)`: nonzero weights reached by each
    spike at the step it was sent, counted by fan-out (borders, stride, zero weights). From a graded
    input each event is a multiply-accumulate.
    overflows: per population, number of (sample, step, neuron) where u wrapped, v saturated, a
    connection's sum left 24 bits, or a non-spiking readout reached its threshold. Zero means the
    integers are the arithmetic that was meant. Empty where the backend cannot see it.
    spikes: bool `(samples, timesteps, *shape)` per spiking population, at level "spikes" and above.
    potentials: int32, v after reset, per population, at level "potentials".
    notes: per connection, one line where the backend computed it in another way than it would have
    liked, with equal integers.
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

    def __getitem__(self, part: slice) -> SpikeRecord:
        """Some of the samples; overflows and notes, which no sample owns, are of all."""
        mappings = {name: {key: array[part] for key, array in getattr(self, name).items()} for name in MAPPINGS}
        return replace(self, output=self.output[part], **mappings)

    def __reduce__(self) -> tuple:
        """As it travels between processes: integers in the narrowest type that holds them."""
        arrays = _arrays(self)
        kinds = {place: array.dtype for place, array in arrays.items()}
        return _unpacked, ({place: _narrowed(a) for place, a in arrays.items()}, kinds, dict(self.overflows), dict(self.notes))

    def table(self) -> Table:
        """Spikes per sample of every population, a row per timestep."""
        steps, names = range(1, self.timesteps + 1), tuple(self.spike_counts)
        spikes = sum(int(counts.sum()) for counts in self.spike_counts.values())
        title = f"{len(self):,} samples x {self.timesteps} timesteps, output {self.output.shape[2:]}, {spikes:,} spikes and messages"
        columns = {"timestep": steps, **{name: self.spike_counts[name].mean(axis=0).tolist() for name in names}}
        return Table(title, columns, "timestep", names, "spikes per sample")


def check_fits(network: QuantizedNetwork, stimulus: Stimulus, level: RecordLevel) -> None:
    """Refuse a run whose record this machine cannot hold.

    Raises:
        InputError: says how much it would take.
    """
    output = 4 * prod(network.shape(network.output))
    counts = 8 * (1 + len(network.populations) + len(network.connections))
    neurons = sum(p.size for p in network.populations)
    kept = {"counts": 0, "spikes": neurons, "potentials": 5 * neurons}[level]
    what = f"a run of {len(stimulus):,} samples over {stimulus.timesteps:,} timesteps"
    needed = len(stimulus) * stimulus.timesteps * (output + counts + kept)
    check_memory(needed, f"the record of {what}", "take fewer of either, or record less")


def join_records(records: Iterable[SpikeRecord], samples: int) -> SpikeRecord:
    """One record of runs over disjoint samples, in order.

    records: at least one; a generator's are copied as they come, so that the whole and one part are
    in memory, never all parts.
    samples: how many they hold together.
    """
    parts = iter(records)
    first = next(parts)
    if len(first) == samples:
        assert next(parts, None) is None, "samples beyond the last"  # a generator comes to its end, too
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
    return _of_arrays(whole, overflows, notes)


def _arrays(record: SpikeRecord) -> dict[Place, np.ndarray]:
    """Every array of a record."""
    return {("output", ""): record.output} | {(name, key): array for name in MAPPINGS for key, array in getattr(record, name).items()}


def _of_arrays(arrays: Mapping[Place, np.ndarray], overflows: Mapping[str, int], notes: Mapping[str, str]) -> SpikeRecord:
    """The opposite of `_arrays`."""
    mappings = {name: {key: array for (owner, key), array in arrays.items() if owner == name} for name in MAPPINGS}
    return SpikeRecord(output=arrays["output", ""], overflows=overflows, notes=notes, **mappings)


def _narrowed(array: np.ndarray) -> np.ndarray:
    """The same integers in the narrowest type that holds them; anything else as it is."""
    if array.dtype.kind not in "iu" or not array.size:
        return array
    low, high = array.min(), array.max()
    fitting = (kind for kind in NARROW if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
    return array.astype(next(fitting, array.dtype), copy=False)


def _unpacked(
    arrays: Mapping[Place, np.ndarray], kinds: Mapping[Place, np.dtype], overflows: Mapping[str, int], notes: Mapping[str, str]
) -> SpikeRecord:
    """The opposite of `SpikeRecord.__reduce__`."""
    return _of_arrays({place: array.astype(kinds[place], copy=False) for place, array in arrays.items()}, overflows, notes)


def class_scores(output: np.ndarray, readout: ReadoutKind) -> np.ndarray:
    """Scores after every number of timesteps, `(samples, timesteps, classes)`, index t using steps
    0..t only; output `(samples, timesteps, *shape)`.

    int64 of integers, float64 of a float network's outputs.
    """
    kind = np.float64 if output.dtype.kind == "f" else np.int64
    output = output.reshape(*output.shape[:2], -1)
    return output.astype(kind) if readout == "membrane_potential" else output.cumsum(axis=1, dtype=kind)


def answers_over_time(output: np.ndarray, readout: ReadoutKind) -> np.ndarray:
    """Class after 1..T timesteps, int64 `(samples, timesteps)`; ties go to the lowest class."""
    return class_scores(output, readout).argmax(axis=2)


def correct_over_time(output: np.ndarray, labels: np.ndarray, readout: ReadoutKind) -> np.ndarray:
    """Whether each sample is classified correctly after 1..T timesteps, bool `(samples,
    timesteps)`.
    """
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

    rasters: `(samples, timesteps, *shape)` of the input's messages and of every population's
    spikes. potentials: v after reset, int32, same shape; a non-spiking readout's potential is
    always needed, the others only at level "potentials".
    """
    counts: dict[str, np.ndarray] = {}
    events: dict[str, np.ndarray] = {}
    for name, raster in rasters.items():
        outgoing = network.outgoing(name)
        counts[name], *reached = _weighted_counts(raster, [fan_out(c, network.shape(name)).ravel() for c in outgoing])
        events |= {c.name: total for c, total in zip(outgoing, reached)}
    spiking = {p.name: rasters[p.name].astype(bool, copy=False) for p in network.populations if p.neuron.spiking}
    return SpikeRecord(
        output=_output(network, rasters[network.output], potentials.get(network.output)),
        spike_counts=counts,
        synaptic_events=events,
        overflows=overflows,
        spikes=spiking if level != "counts" else {},
        potentials=potentials if level == "potentials" else {},
    )


def _weighted_counts(raster: np.ndarray, weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """How many messages are nonzero, and the sums of each of these weights over them, all int64
    `(samples, timesteps)`.

    By products in floating point, in float32 where that is exact, of blocks that stay in the cache:
    several times faster than integers.
    """
    columns = [np.ones(prod(raster.shape[2:]), np.int64), *weights]
    dtype = np.float32 if max(int(column.sum()) for column in columns) < FLOAT32_EXACT else np.float64
    columns = [column.astype(dtype) for column in columns]
    counted = [np.empty(raster.shape[:2], np.int64) for _ in columns]
    for sample, messages in enumerate(raster):
        sent = (messages if messages.dtype == bool else messages != 0).reshape(len(messages), -1).astype(dtype)
        for total, column in zip(counted, columns):
            total[sample] = sent @ column
    return counted


def _output(network: QuantizedNetwork, spikes: np.ndarray, potentials: np.ndarray | None) -> np.ndarray:
    """The network's output, int32; see `Network.readout`."""
    if network.readout == "spike_count":
        return spikes.astype(np.int32)
    assert potentials is not None, "a non-spiking readout needs its potentials"
    if network.readout == "membrane_potential":
        return potentials.astype(np.int32)
    return np.diff(potentials, axis=1, prepend=0).astype(np.int32)
