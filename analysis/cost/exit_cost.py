"""Energy and latency where every sample stops at its own timestep, summed exactly per sample from
one record.

The answer to timestep t leaves the chip at hardware step t + D (D: depth of the network,
`spikeport.analysis.cost.estimate`). Whether it is safe is known only then, and by then a layer of
depth d has worked on timesteps up to t + D - d. That work is paid for, and so are the neurons that
are visited before a sample's first step arrives: samples run one after the other, unlike those of a
fixed T', which stream. Deciding (host or microcode) and clearing the state before the next sample
have no price here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeport.analysis.cost.counts import LayerCounts, network_counts
from spikeport.analysis.cost.devices import ACCESS, INJECTION, MANAGEMENT, Device
from spikeport.analysis.cost.estimate import energy_parts, powered
from spikeport.analysis.cost.intervals import Band, Draws
from spikeport.analysis.cost.timing import Clock, on_hardware_clock, until
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.mapping.loads import NetworkLoads
from spikeport.hw.records.record import SpikeRecord


@dataclass(frozen=True)
class ExitCost:
    """Per sample; each band holds one value. dynamic, total: joules. latency: seconds, also the
    time until the next sample starts.
    """

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
    """Price a record whose samples stop after `steps` timesteps, int `(samples,)`, each 1 .. T.
    loads, seed: as in `estimate_cost`.
    """
    counts = network_counts(network, record, device, loads)
    depth, last = counts.depth, steps + counts.depth - 1  # hardware step, 0-based, at which the answer leaves
    events = {
        term: on_hardware_clock(n, 0, depth, 0.0) if term == INJECTION else _events(counts.layers, term, depth)
        for term, n in counts.events.items()
        if term != MANAGEMENT
    }
    events[MANAGEMENT] = np.full_like(events[ACCESS], counts.chips)
    latency, draws = Clock(counts, device).until(last), Draws(len(record), seed)
    dynamic = energy_parts({term: until(n, last) for term, n in events.items()}, device)
    return ExitCost(
        dynamic=draws.band(dynamic),
        total=draws.band([*dynamic, *powered(latency, device, counts.chips)]),
        latency=draws.band(latency),
    )


def _events(layers: tuple[LayerCounts, ...], term: str, depth: int) -> np.ndarray:
    """Events of a kind over all layers per hardware step; a layer without a timestep still visits
    its neurons.
    """
    with_term = [layer for layer in layers if term in layer.events]
    idle = [layer.neurons if term == ACCESS else 0 for layer in with_term]
    return np.sum([on_hardware_clock(layer.events[term], layer.depth, depth, rest) for layer, rest in zip(with_term, idle)], axis=0)
