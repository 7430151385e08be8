"""One at a time: what total energy and latency become if a single number moves to either end of its
range, at T timesteps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from spikeport.analysis.cost.devices import Device
from spikeport.analysis.cost.intervals import Factor, Part, mean_of
from spikeport.analysis.cost.result import Sensitivity
from spikeport.analysis.cost.timing import Clock, ends

SAMPLES = "which samples came"
ENERGY_MODEL, TIME_MODEL = "whole networks against the model, energy", "whole networks against the model, time"


def sensitivity(clock: Clock, total: Sequence[Part], latency: Sequence[Part]) -> tuple[Sensitivity, ...]:
    """The widest first, of each quantity. total, latency: parts of the estimate, `(samples, T)`."""
    energy = [*_energy(clock.device, total), _samples("total energy", total)]
    time = [*_latency(clock, latency), _samples("latency", latency)]
    return tuple(s for group in (energy, time) for s in sorted(group, key=lambda s: (s.low - s.high, s.name)) if s.low != s.high)


def _energy(device: Device, parts: Sequence[Part]) -> Iterator[Sensitivity]:
    """Each price of an event and of power, and the model's error, which multiplies all of the
    cores.
    """
    base = float(mean_of(parts)[-1])
    models = {device.dynamic.source: ENERGY_MODEL, device.latency.source: TIME_MODEL}
    shares: dict[tuple[str, Factor], float] = {}
    for part in parts:
        value = float(part.values.mean(axis=0)[-1])
        if part.unknown:
            yield Sensitivity("total energy", f"{part.name} (no price)", base, base + value)
        for factor in part.factors:
            name = models.get(factor.source, part.name)
            shares[name, factor] = shares.get((name, factor), 0.0) + (0.0 if part.unknown else value)
    for (name, factor), value in shares.items():
        yield Sensitivity("total energy", name, base + (factor.low - 1) * value, base + (factor.high - 1) * value)


def _latency(clock: Clock, parts: Sequence[Part]) -> Iterator[Sensitivity]:
    """Each price of time, through the maximum over cores; and the model's error."""
    base, chip, device = float(mean_of(parts)[-1]), float(parts[0].values.mean(axis=0)[-1]), clock.device
    yield Sensitivity("latency", TIME_MODEL, base + (device.latency.low - 1) * chip, base + (device.latency.high - 1) * chip)
    for term in device.time:
        if term in clock.network.events and clock.network.events[term].any():
            low, high = (_after(clock, end) + float(alone.mean()) for end, alone in zip(ends(device, term), clock.waits.repriced[term]))
            yield Sensitivity("latency", term, low, high)


def _after(clock: Clock, device: Device) -> float:
    """Seconds after cores, links and barrier, at a device's prices."""
    return sum((float(p.values[:, -1].mean()) for p in replace(clock, device=device).fall_through_after()), start=0.0)


def _samples(quantity, parts: Sequence[Part]) -> Sensitivity:
    """95 % of the mean of so many samples, by their spread."""
    each = np.sum([part.values[:, -1] for part in parts if not part.unknown], axis=0)
    error = 1.96 * float(each.std(ddof=1)) / len(each) ** 0.5 if len(each) > 1 else 0.0
    return Sensitivity(quantity, SAMPLES, float(each.mean()) - error, float(each.mean()) + error)
