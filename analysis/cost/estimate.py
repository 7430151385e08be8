"""Energy and latency per sample at every number of timesteps, from exact counts and a device's prices.

Energy is that of samples streamed back to back: T' timesteps each. Dynamic energy is counts times prices; total energy adds
static power over the same time. Latency is that of one sample, T' + depth timesteps, each as long as its busiest core plus the
barrier; layer l works on input step t at hardware step t + depth of l. Units are SI: joules, seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from spikeport.analysis.common.numbers import si
from spikeport.analysis.cost.counts import LayerCounts, ann_multiplications, layer_counts
from spikeport.analysis.cost.devices import ACCESS, ANN_MAC, AXON_IN, SPIKE, Device, Price
from spikeport.export.common.tabular import Table, Tabular
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.mapping.loads import NetworkLoads
from spikeport.hw.records.record import SpikeRecord

DRAWS = 500
EVEN = (
    "no core was looked at: events are spread evenly over the cores of a layer (the busiest may take more), and every spike is a message "
    "to all cores of its targets (fewer in truth)"
)
NEVER_PRICED = (
    "hops between cores: no placement on the mesh yet",
    "host and input/output",
)


@dataclass(frozen=True)
class Band:
    """A mean over samples and its 95 % interval (`band`), for T' = 1 .. T."""

    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class TermCost:
    """One kind of event: mean count per sample and its energy in joules, for T' = 1 .. T; energy None without a price."""

    name: str
    count: tuple[float, ...]
    energy: tuple[float, ...] | None


@dataclass(frozen=True)
class LayerCost:
    """One layer; tuples are means per sample for T' = 1 .. T. operations: synaptic events and graded multiply-accumulates.

    energy: dynamic, joules. bottleneck: share of timesteps that this layer's cores are the busiest.
    """

    name: str
    neurons: int
    cores: int
    depth: int
    synapses: int
    spikes: tuple[float, ...]
    operations: tuple[float, ...]
    energy: tuple[float, ...]
    bottleneck: float

    def rate(self, timesteps: int) -> float:
        """Spikes per neuron and timestep over the first T'."""
        return self.spikes[timesteps - 1] / (self.neurons * timesteps)


@dataclass(frozen=True, repr=False)
class Cost(Tabular):
    """Energy and latency per sample for T' = 1 .. T on one device.

    dynamic, total: joules. latency: seconds, one sample alone. period: seconds between samples that are streamed.
    unpriced: what is not in the figures. ann_multiplications: of the same network without spikes, per inference.
    """

    device: Device
    samples: int
    timesteps: int
    depth: int
    cores: int
    dynamic: Band
    total: Band
    latency: Band
    period: tuple[float, ...]
    terms: tuple[TermCost, ...]
    layers: tuple[LayerCost, ...]
    unpriced: tuple[str, ...]
    ann_multiplications: int
    warnings: tuple[str, ...]

    def table(self) -> Table:
        """Means per sample for every T'."""
        dynamic, total, latency = (si(band.mean[-1], unit) for band, unit in ((self.dynamic, "J"), (self.total, "J"), (self.latency, "s")))
        doubt = "" if self.device.calibrated else ", prices uncalibrated"
        title = f"{self.device.title}{doubt}: {dynamic} dynamic, {total} total, {latency} per sample at T = {self.timesteps}"
        energies = {"dynamic energy (J)": self.dynamic.mean, "total energy (J)": self.total.mean}
        columns = {"timesteps": range(1, self.timesteps + 1), **energies, "latency (s)": self.latency.mean}
        return Table(title, columns, "timesteps", tuple(energies), "energy per sample (J)")

    @property
    def operations(self) -> tuple[float, ...]:
        """Synaptic operations of all layers, mean per sample for T' = 1 .. T."""
        return tuple(float(sum(column)) for column in zip(*(layer.operations for layer in self.layers)))

    @property
    def ann_energy(self) -> float:
        """Arithmetic of the 8-bit network without spikes, joules per inference; memory not included."""
        return self.ann_multiplications * ANN_MAC.value * 1e-12


def estimate_cost(
    network: QuantizedNetwork, record: SpikeRecord, device: Device, *, loads: NetworkLoads | None = None, seed: int = 0
) -> Cost:
    """Price a record.

    loads: of every core on some samples, from `profile_cores`; without them events are taken to be spread evenly over a layer's cores and
    every spike to go to all cores of its targets, which is said in the warnings. seed: of the bootstrap.
    """
    layers = layer_counts(network, record, device, loads)
    cores, depth = sum(layer.cores for layer in layers), max(layer.depth for layer in layers)
    busy = np.stack([busy_time(layer, device) for layer in layers], axis=2)
    barrier = barrier_time(device, cores)
    period = (busy.max(axis=2) + barrier).cumsum(axis=1)
    counts = _totals(layers)
    dynamic = [Part(n * p.value * 1e-12, dynamic_factors(device, p)) for term, n in counts.items() if (p := device.energy.get(term))]
    static = Part(period * device.static.value * ceil(cores / device.cores), (Factor.of_price(device.static), time_factor(device)))
    return Cost(
        device=device,
        samples=len(record),
        timesteps=record.timesteps,
        depth=depth,
        cores=cores,
        dynamic=band(dynamic, seed),
        total=band([*dynamic, static], seed),
        latency=band([Part(_latency(busy, layers, device, barrier), (time_factor(device),))], seed),
        period=_means(period),
        terms=tuple(_term_cost(term, n, device) for term, n in counts.items()),
        layers=tuple(_layer_cost(layer, device, float((busy.argmax(axis=2) == i).mean())) for i, layer in enumerate(layers)),
        unpriced=(*_unpriced(counts, device), *_stored_zeros(layers)),
        ann_multiplications=ann_multiplications(network),
        warnings=(*_warnings(network, layers, cores, device), *(() if loads else (EVEN,))),
    )


def busy_time(layer: LayerCounts, device: Device) -> np.ndarray:
    """Seconds that the layer's busiest core works, `(samples, T)`."""
    total = sum(n * device.time[term].value for term, n in layer.events.items() if term in device.time)
    return 1e-9 * np.asarray(total, np.float64) / layer.cores * layer.peak


def barrier_time(device: Device, cores: int) -> float:
    """Seconds of synchronisation at the end of a timestep."""
    tiles = ceil(cores / device.cores_per_tile)
    return 1e-9 * float(np.interp(tiles, device.barrier.tiles, device.barrier.nanoseconds))


def on_hardware_clock(values: np.ndarray, lag: int, depth: int, idle: float) -> np.ndarray:
    """A layer's `(samples, T)` moved to the hardware steps it works at, `(samples, T + depth)`; `idle` where it has no timestep."""
    samples, steps = values.shape
    course = np.full((samples, steps + depth), idle, np.float64)
    course[:, lag : lag + steps] = values
    return course


def _latency(busy: np.ndarray, layers: tuple[LayerCounts, ...], device: Device, barrier: float) -> np.ndarray:
    """Seconds from input to output of one sample alone, `(samples, T)` over T'; a layer without data still visits its neurons."""
    depth, idle = max(layer.depth for layer in layers), 1e-9 * device.time[ACCESS].value
    result = []
    for steps in range(1, busy.shape[1] + 1):
        longest = np.zeros((len(busy), steps + depth))
        for i, layer in enumerate(layers):
            longest = np.maximum(longest, on_hardware_clock(busy[:, :steps, i], layer.depth, depth, idle * layer.neurons / layer.cores))
        result.append((longest + barrier).sum(axis=1))
    return np.stack(result, axis=1)


def _totals(layers: tuple[LayerCounts, ...]) -> dict[str, np.ndarray]:
    """Events up to each T' by term over all layers, int64 `(samples, T)`."""
    totals: dict[str, np.ndarray] = {}
    for layer in layers:
        for term, n in layer.events.items():
            totals[term] = totals.get(term, 0) + n.cumsum(axis=1)
    return totals


@dataclass(frozen=True, eq=False)
class Part:
    """A share of a total: `(samples, T)` in joules or seconds, and the factors that it is uncertain by, shared by all of one source."""

    values: np.ndarray
    factors: tuple[Factor, ...]


@dataclass(frozen=True)
class Factor:
    """What truth may be, relative to the estimate: 95 % in `low` .. `high`, the estimate itself in the middle of the draws."""

    source: str
    low: float
    high: float

    @classmethod
    def of_price(cls, price: Price) -> Factor:
        """The spread of a price."""
        return cls(price.source, 1 / (1 + price.spread), 1 + price.spread)

    def drawn(self, normal: np.ndarray) -> np.ndarray:
        """Log-normal on either side, from standard normal draws."""
        return np.exp(np.abs(normal) / 1.96 * np.where(normal < 0, np.log(self.low), np.log(self.high)))


def band(parts: list[Part], seed: int) -> Band:
    """Interval of the sum of all parts: bootstrap over samples, times one factor for each source, drawn once for all its prices."""
    rng = np.random.default_rng(seed)
    samples, steps = parts[0].values.shape
    weights = rng.multinomial(samples, np.full(samples, 1 / samples), DRAWS) / samples
    normals = {source: rng.standard_normal(DRAWS) for source in sorted({f.source for part in parts for f in part.factors})}
    drawn = np.zeros((DRAWS, steps))
    for part in parts:
        factor = np.prod([f.drawn(normals[f.source]) for f in part.factors], axis=0)
        drawn += factor[:, None] * (weights @ part.values)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return Band(_means(np.sum([part.values for part in parts], axis=0)), tuple(low.tolist()), tuple(high.tolist()))


def time_factor(device: Device) -> Factor:
    """What measured times were, relative to predicted ones."""
    return Factor(device.latency.source, device.latency.low, device.latency.high)


def dynamic_factors(device: Device, price: Price) -> tuple[Factor, ...]:
    """What a price may be, and what whole networks took beyond all that is priced."""
    return Factor.of_price(price), Factor(device.dynamic.source, device.dynamic.low, device.dynamic.high)


def _term_cost(term: str, counts: np.ndarray, device: Device) -> TermCost:
    price, mean = device.energy.get(term), counts.mean(axis=0)
    return TermCost(term, tuple(mean.tolist()), tuple((mean * price.value * 1e-12).tolist()) if price else None)


def _layer_cost(layer: LayerCounts, device: Device, bottleneck: float) -> LayerCost:
    energy = sum(n * device.energy[term].value * 1e-12 for term, n in layer.events.items() if term in device.energy)
    return LayerCost(
        name=layer.name,
        neurons=layer.neurons,
        cores=layer.cores,
        depth=layer.depth,
        synapses=layer.synapses,
        spikes=_means(layer.events[SPIKE].cumsum(axis=1)),
        operations=_means(layer.operations.cumsum(axis=1)),
        energy=_means(np.cumsum(energy, axis=1)),
        bottleneck=bottleneck,
    )


def _unpriced(counts: dict[str, np.ndarray], device: Device) -> tuple[str, ...]:
    """Terms that occur and have no price, by name."""
    occurring = [term for term, n in counts.items() if n.any()]
    energy = [f"energy of {term}" for term in occurring if term not in device.energy and term != AXON_IN]
    time = [f"time of {term}" for term in occurring if term not in device.time]
    return (*energy, *time, *NEVER_PRICED)


def _stored_zeros(layers: tuple[LayerCounts, ...]) -> tuple[str, ...]:
    """Names the zero weights that shared kernels hold: whether a chip reads them is not public."""
    zeros, stored = sum(layer.kernels.zeros for layer in layers), sum(layer.kernels.synapses for layer in layers)
    return (f"reading of the zero weights in shared kernels, {zeros / stored:.1%} of their synapses",) if zeros else ()


def _warnings(network: QuantizedNetwork, layers: tuple[LayerCounts, ...], cores: int, device: Device) -> tuple[str, ...]:
    warnings = []
    operations = np.cumsum(sum(layer.operations for layer in layers), axis=1).mean(axis=0)
    more = np.flatnonzero(operations > ann_multiplications(network))
    if len(more):
        warnings.append(
            f"from {more[0] + 1} timesteps on, the {operations[more[0]]:,.0f} synaptic operations a sample exceed the "
            f"{ann_multiplications(network):,} multiply-accumulates of the same network without spikes"
        )
    if cores > device.cores:
        warnings.append(
            f"the network needs {cores} cores, one {device.title} has {device.cores}: {ceil(cores / device.cores)} chips assumed"
        )
    if not device.chip.graded and not network.input.binary:
        warnings.append(f"{device.title} takes no graded input: encode it as binary spikes before trusting this estimate")
    return tuple(warnings)


def _means(values: np.ndarray) -> tuple[float, ...]:
    return tuple(values.mean(axis=0).tolist())
