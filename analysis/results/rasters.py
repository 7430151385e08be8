"""A few samples as people see them: the input image, and the spikes of every layer over time,
compact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeport.export.model.network import Input, QuantizedNetwork
from spikeport.hw.records.record import SpikeRecord, answers_over_time
from spikeport.hw.records.stimulus import Stimulus

SHOWN = 80
"""Neurons of a layer that are drawn, evenly spaced over all of them."""


@dataclass(frozen=True)
class LayerRaster:
    """Spikes of one layer. shown: neurons drawn, of `neurons`. spikes: per timestep the rows (0 ..
    shown - 1) that fire.

    counts: spikes of all neurons per timestep.
    """

    name: str
    neurons: int
    shown: int
    spikes: tuple[tuple[int, ...], ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class SampleRaster:
    """One sample. image: grey levels 0..255, rows by columns, time and channels averaged. answers:
    class after 1 .. T timesteps.
    """

    number: int
    label: int | None
    answers: tuple[int, ...]
    image: tuple[tuple[int, ...], ...]
    layers: tuple[LayerRaster, ...]


def sample_rasters(
    network: QuantizedNetwork, stimulus: Stimulus, record: SpikeRecord, labels: np.ndarray | None = None, count: int = 3
) -> tuple[SampleRaster, ...]:
    """Rasters of the first `count` samples of a record that holds spikes; labels `(samples,)` as
    far as they are known.
    """
    answers = answers_over_time(record.output, network.readout)
    return tuple(
        SampleRaster(
            number=stimulus.first + n,
            label=None if labels is None else int(labels[n]),
            answers=tuple(answers[n].tolist()),
            image=_image(network.input, stimulus[n : n + 1].over_time()[0]),
            layers=tuple(_layer(name, raster[n]) for name, raster in record.spikes.items()),
        )
        for n in range(min(count, len(record)))
    )


def _layer(name: str, raster: np.ndarray) -> LayerRaster:
    flat = raster.reshape(len(raster), -1)
    rows = np.unique(np.linspace(0, flat.shape[1] - 1, SHOWN).round().astype(int))
    return LayerRaster(
        name=name,
        neurons=flat.shape[1],
        shown=len(rows),
        spikes=tuple(tuple(np.flatnonzero(step[rows]).tolist()) for step in flat),
        counts=tuple(flat.sum(axis=1).tolist()),
    )


def _image(source: Input, values: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Grey levels from `(T, *shape)`; an input without two spatial axes becomes one row."""
    mean = values.mean(axis=0) + source.offsets
    plane = mean.mean(axis=0) if mean.ndim == 3 else mean.reshape(1, -1)
    low, high = min(plane.min(), 0 if source.low >= 0 else source.low), max(plane.max(), 1e-9)
    return tuple(map(tuple, np.rint(255 * (plane - low) / (high - low)).astype(int).tolist()))
