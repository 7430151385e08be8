"""Counts and times of more samples than memory holds, some samples after the other.

Up to `UNITS` samples are kept as they are. Of more, the means of 2, 4, 8 ... consecutive samples
are kept, taken after everything that is no sum was found for each sample: so means over all samples
stay exact, and intervals come from resampling these units in place of samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from typing import TypeAlias

import numpy as np

from spikeport.analysis.cost.counts import NetworkCounts, network_counts
from spikeport.analysis.cost.devices import Device
from spikeport.analysis.cost.timing import Clock, Waits
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.mapping.loads import NetworkLoads
from spikeport.hw.records.record import SpikeRecord

Key: TypeAlias = "tuple[str, ...]"
PLAIN = tuple(f.name for f in fields(Waits) if f.name != "repriced")
UNITS = 1 << 14
"""Most units that are kept: the bootstrap's 500 weights for each take 64 MB."""


def in_parts(record: SpikeRecord) -> Iterator[SpikeRecord]:
    """A record in parts of `UNITS` samples."""
    return (record[start : start + UNITS] for start in range(0, len(record), UNITS))


def averages(
    network: QuantizedNetwork, records: Iterable[SpikeRecord], samples: int, device: Device, loads: NetworkLoads | None
) -> tuple[Clock, SpikeRecord]:
    """The clock over counts of units, and a record of their synaptic events, which has no outputs.

    records: parts that follow each other, of `samples` together.
    """
    size = 1 << (-(-samples // UNITS) - 1).bit_length()
    first: NetworkCounts | None = None
    kept: dict[Key, list[np.ndarray]] = {}
    done = 0
    for record in records:
        counts = network_counts(network, record, device, loads)
        for key, array in _taken(counts, Clock(counts, device).waits, record).items():
            kept.setdefault(key, []).append(_sums(array, size))
        first, done = first or counts, done + len(record)
    assert first is not None and done == samples, f"{done} of {samples} samples came"
    found = {key: np.concatenate(parts) for key, parts in kept.items()}
    if size > 1:  # so that the mean over units, the last of which may be smaller, is that over samples
        found = {key: array * (len(array) / samples) for key, array in found.items()}
    counts, waits = _built(first, found)
    record = SpikeRecord(np.empty((*waits.chip.shape, 0), np.int32), {}, _under(found, "synaptic"), {})
    return Clock(counts, device, waits), record


def _sums(array: np.ndarray, size: int) -> np.ndarray:
    """Over so many consecutive samples."""
    return array if size == 1 else np.add.reduceat(array, np.arange(0, len(array), size), axis=0)


def _taken(counts: NetworkCounts, waits: Waits, record: SpikeRecord) -> dict[Key, np.ndarray]:
    """Every array whose first axis counts samples."""
    layers: dict[Key, np.ndarray] = {("layer", layer.name, term): n for layer in counts.layers for term, n in layer.events.items()}
    repriced: dict[Key, np.ndarray] = {
        ("repriced", term, str(end)): each for term, pair in waits.repriced.items() for end, each in enumerate(pair)
    }
    return {
        **layers,
        **repriced,
        **{("events", term): n for term, n in counts.events.items()},
        **{("synaptic", name): n for name, n in record.synaptic_events.items()},
        **{("waits", name): getattr(waits, name) for name in PLAIN},
        ("link",): counts.heaviest_link,
    }


def _built(like: NetworkCounts, found: dict[Key, np.ndarray]) -> tuple[NetworkCounts, Waits]:
    """The reverse; what no sample owns is that of any part."""
    layers = tuple(replace(layer, events=_under(found, "layer", layer.name)) for layer in like.layers)
    terms = {term for kind, term, *_ in (key for key in found if key[0] == "repriced")}
    repriced = {term: (found["repriced", term, "0"], found["repriced", term, "1"]) for term in terms}
    counts = replace(like, layers=layers, events=_under(found, "events"), heaviest_link=found["link",])
    return counts, Waits(repriced=repriced, **_under(found, "waits"))


def _under(found: dict[Key, np.ndarray], *start: str) -> dict[str, np.ndarray]:
    """Those whose key begins so, by the last part of it."""
    return {key[-1]: array for key, array in found.items() if key[:-1] == start}
