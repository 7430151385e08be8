"""Energy and latency where every sample stops at its own timestep, summed exactly per sample from one record.

The answer to timestep t leaves the chip at hardware step t + D (D: depth of the network, `spikeport.analysis.cost.estimate`). Whether it is safe
is known only then, and by then a layer of depth d has worked on timesteps up to t + D - d. That work is paid for, and so are the
neurons that are visited before a sample's first step arrives: samples run one after the other, unlike those of a fixed T', which stream.
Deciding (host or microcode) and clearing the state before the next sample have no price here.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from spikeport.analysis.cost.counts import LayerCounts, layer_counts
from spikeport.analysis.cost.devices import ACCESS, Device
from spikeport.analysis.cost.estimate import (
    Band,
    Factor,
    Part,
    band,
    barrier_time,
    busy_time,
    dynamic_factors,
    on_hardware_clock,
    time_factor,
)
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.mapping.loads import NetworkLoads
from spikeport.hw.records.record import SpikeRecord


@dataclass(frozen=True)
class ExitCost:
    """Per sample; each band holds one value. dynamic, total: joules. latency: seconds, also the time until the next sample starts."""

    dynamic: Band
    total: Band
    latency: Band


def exit_cost(
    network: QuantizedNetwork,
    record: SpikeRecord,
    device: Device,
    steps: np.ndarray,
    *,
    loads: NetworkLoads | None = None,
    seed: int = 0,
) -> ExitCost:
    """Price a record whose samples stop after `steps` timesteps, int `(samples,)`, each 1 .. T. loads, seed: as in `estimate_cost`."""
    layers = layer_counts(network, record, device, loads)
    cores, depth = sum(layer.cores for layer in layers), max(layer.depth for layer in layers)
    last = steps + depth - 1  # hardware step, 0-based, at which the answer leaves
    idle = 1e-9 * device.time[ACCESS].value
    busy = [on_hardware_clock(busy_time(layer, device), layer.depth, depth, idle * layer.neurons / layer.cores) for layer in layers]
    latency = _until(np.max(busy, axis=0) + barrier_time(device, cores), last)
    dynamic = [
        Part(_until(_events(layers, term, depth), last) * price.value * 1e-12, dynamic_factors(device, price))
        for term, price in device.energy.items()
        if any(term in layer.events for layer in layers)
    ]
    static = Part(latency * device.static.value * ceil(cores / device.cores), (Factor.of_price(device.static), time_factor(device)))
    return ExitCost(
        dynamic=band(dynamic, seed),
        total=band([*dynamic, static], seed),
        latency=band([Part(latency, (time_factor(device),))], seed),
    )


def _events(layers: tuple[LayerCounts, ...], term: str, depth: int) -> np.ndarray:
    """Events of a kind over all layers per hardware step; a layer without a timestep still visits its neurons."""
    with_term = [layer for layer in layers if term in layer.events]
    idle = [layer.neurons if term == ACCESS else 0 for layer in with_term]
    return np.sum([on_hardware_clock(layer.events[term], layer.depth, depth, rest) for layer, rest in zip(with_term, idle)], axis=0)


def _until(course: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Each sample's sum up to and with its last hardware step, `(samples, 1)`."""
    return np.take_along_axis(course.cumsum(axis=1), last[:, None], axis=1)
