"""Time of every step: cores and links side by side, then what comes after them, on the clock of the
hardware.

A step lasts as long as its busiest core or its heaviest link, then come the barrier, management,
and the messages that are put in from outside. Layer l works on input step t at hardware step t +
depth of l; messages between cores are taken to travel one step after their input.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

import numpy as np

from spikeport.analysis.cost.counts import LayerCounts, NetworkCounts
from spikeport.analysis.cost.devices import (
    ACCESS,
    AXON_IN,
    AXON_OUT,
    CONVOLUTION,
    DENSE,
    GRADED,
    HOPS,
    INJECTION,
    MANAGEMENT,
    SPARSE,
    SPIKE,
    UPDATE,
    Device,
)
from spikeport.analysis.cost.intervals import Factor, Part

NANO = 1e-9
RESOURCES = {
    "memory": (DENSE, CONVOLUTION, SPARSE, GRADED),
    "neurons": (ACCESS, UPDATE, SPIKE),
    "messages": (AXON_IN, AXON_OUT),
}
"""What a core is busy with: reading synapses, updating neurons, taking and sending messages."""
CORES, LINKS, BARRIER = "busiest core", "heaviest link", "barrier"


def busy_time(layer: LayerCounts, device: Device, terms: tuple[str, ...] | None = None) -> np.ndarray:
    """Seconds that the layer's busiest core works, on these terms or on all, `(samples, T)`."""
    timed = [n * device.time[t].value for t, n in layer.events.items() if t in device.time and (terms is None or t in terms)]
    total = np.sum(timed, axis=0) if timed else np.zeros_like(layer.events[ACCESS])
    return NANO * np.asarray(total, np.float64) / layer.cores * layer.peak


def barrier_time(device: Device, cores: int) -> float:
    """Seconds of synchronisation at the end of a timestep."""
    tiles = ceil(cores / device.chip.tile_cores)
    return NANO * float(np.interp(tiles, device.barrier.tiles, device.barrier.nanoseconds))


def on_hardware_clock(values: np.ndarray, lag: int, depth: int, idle: float) -> np.ndarray:
    """A layer's `(samples, T)` moved to the hardware steps it works at, `(samples, T + depth)`;
    `idle` where it has no timestep.
    """
    samples, steps = values.shape
    course = np.full((samples, steps + depth), idle, np.float64)
    course[:, lag : lag + steps] = values
    return course


@dataclass(frozen=True, eq=False)
class Waits:
    """What of a step's time is a maximum, no sum of events, so that it is found for each sample.

    chip: seconds of cores, links and barrier while samples stream, `(samples, T)`. alone: of one
    sample alone, for T' = 1 .. T, `(samples, T)`. core: of the busiest core, `(samples, T)`.
    longest: share of timesteps in which each of core, links and barrier takes longest, `(samples,
    3)`. busiest: in which each layer has the busiest core, `(samples, layers)`.
    repriced: `alone` at T, `(samples, 1)`, where a price of time is at the low or the high end of
    its range, by term.
    """

    chip: np.ndarray
    alone: np.ndarray
    core: np.ndarray
    longest: np.ndarray
    busiest: np.ndarray
    repriced: dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Clock:
    """Times of a network's steps on a device. known: found before, of the samples behind the mean
    counts in `network`.
    """

    network: NetworkCounts
    device: Device
    known: Waits | None = None

    @cached_property
    def waits(self) -> Waits:
        """Of the samples."""
        return self.known or Waits(
            chip=np.maximum(self.busy.max(axis=2), self.link) + self.barrier,
            alone=np.stack([self.course(t).sum(axis=1) for t in range(1, self.busy.shape[1] + 1)], axis=1),
            core=self.busy.max(axis=2),
            longest=_shares(np.stack(list(self._step(self.busy.max(axis=2)).values()), axis=2)),
            busiest=_shares(self.busy),
            repriced={term: self._repriced(term) for term in self.device.time},
        )

    def _repriced(self, term: str) -> tuple[np.ndarray, np.ndarray]:
        clocks = [Clock(self.network, device) for device in ends(self.device, term)]
        low, high = (clock.course(clock.busy.shape[1]).sum(axis=1, keepdims=True) for clock in clocks)
        return low, high

    @cached_property
    def busy(self) -> np.ndarray:
        """Seconds of each layer's busiest core, `(samples, T, layers)`."""
        return np.stack([busy_time(layer, self.device) for layer in self.network.layers], axis=2)

    @cached_property
    def link(self) -> np.ndarray:
        """Seconds of the heaviest link, `(samples, T)`: a message holds a link for one hop; 0
        without a price.
        """
        price = max((self.device.time[hop].value for hop in HOPS if hop in self.device.time), default=0.0)
        return NANO * price * self.network.heaviest_link

    @cached_property
    def barrier(self) -> float:
        """Seconds."""
        return barrier_time(self.device, self.network.cores)

    def pipelined(self) -> list[Part]:
        """Time that T' steps take while samples stream, `(samples, T)` over T'."""
        return [
            self._chip(self.waits.chip.cumsum(axis=1)),
            *self._after(*(self._term(term).cumsum(axis=1) for term in (MANAGEMENT, INJECTION))),
        ]

    def fall_through(self) -> list[Part]:
        """Time from input to answer of one sample alone, T' + depth steps, `(samples, T)` over T'."""
        return [self._chip(self.waits.alone), *self.fall_through_after()]

    def fall_through_after(self) -> list[Part]:
        """Of that, what comes after cores, links and barrier."""
        management = self._term(MANAGEMENT)
        return self._after(management.cumsum(axis=1) + self.network.depth * management[:, :1], self._term(INJECTION).cumsum(axis=1))

    def until(self, last: np.ndarray) -> list[Part]:
        """Time up to and with each sample's last hardware step, `(samples, 1)`."""
        management, injection = (on_hardware_clock(self._term(t), 0, self.network.depth, 0.0) for t in (MANAGEMENT, INJECTION))
        management[:] = management[:, :1]
        return [self._chip(until(self.course(self.busy.shape[1]), last)), *self._after(until(management, last), until(injection, last))]

    def course(self, steps: int) -> np.ndarray:
        """Seconds of every hardware step of so many timesteps, `(samples, steps + depth)`; a layer
        without data still visits its neurons.
        """
        depth, idle = self.network.depth, NANO * self.device.time[ACCESS].value if ACCESS in self.device.time else 0.0
        longest = on_hardware_clock(self.link[:, :steps], min(1, depth), depth, 0.0)
        for i, layer in enumerate(self.network.layers):
            rest = idle * layer.neurons / layer.cores
            longest = np.maximum(longest, on_hardware_clock(self.busy[:, :steps, i], layer.depth, depth, rest))
        return longest + self.barrier

    def step(self) -> dict[str, np.ndarray]:
        """Seconds of what a timestep waits for, `(samples, T)` each."""
        return self._step(self.waits.core)

    def _step(self, core: np.ndarray) -> dict[str, np.ndarray]:
        return {CORES: core, LINKS: self.link, BARRIER: np.full_like(core, self.barrier)}

    def shares(self) -> dict[str, float]:
        """Share of timesteps in which each of these takes longest."""
        return dict(zip(self.step(), self.waits.longest.mean(axis=0).tolist()))

    def _term(self, term: str) -> np.ndarray:
        """Seconds a step of what comes after the cores, `(samples, T)`."""
        return NANO * self.network.events[term] * (self.device.time[term].value if term in self.device.time else 0.0)

    def _chip(self, seconds: np.ndarray) -> Part:
        return Part("cores, links and barrier", seconds, (Factor.of_model(self.device.latency),))

    def _after(self, management: np.ndarray, injection: np.ndarray) -> list[Part]:
        """Those that the device has a price for."""
        return [
            Part(term, values, (Factor.of_price(self.device.time[term]),))
            for term, values in ((MANAGEMENT, management), (INJECTION, injection))
            if term in self.device.time
        ]


def ends(device: Device, term: str) -> tuple[Device, Device]:
    """The device with a price of time at the low and at the high end of its range."""
    price = device.time[term]
    values = (price.value / (1 + price.spread), price.value * (1 + price.spread))
    low, high = (replace(device, time={**device.time, term: replace(price, value=value)}) for value in values)
    return low, high


def _shares(values: np.ndarray) -> np.ndarray:
    """Of `(samples, T, kinds)`, the share of timesteps in which each kind is the largest,
    `(samples, kinds)`.
    """
    return (values.argmax(axis=2)[..., None] == np.arange(values.shape[2])).mean(axis=1)


def until(course: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Each sample's sum up to and with its last hardware step, `(samples, 1)`."""
    return np.take_along_axis(course.cumsum(axis=1), last[:, None], axis=1)
