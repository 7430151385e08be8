"""What an estimate says, as values: energy, time, where both go, how sure they are, and the same
network without spikes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from spikeport.analysis.common.numbers import si
from spikeport.analysis.cost.baselines import INT8, Baseline, level_bits
from spikeport.analysis.cost.devices import Device
from spikeport.analysis.cost.intervals import Band
from spikeport.export.common.tabular import Table, Tabular
from spikeport.hw.semantics.limits import Evidence

Boundary = Literal["dynamic", "total", "system"]
"""Cores and mesh; with static power; with the host."""


@dataclass(frozen=True)
class TermCost:
    """One kind of event: mean count per sample and its energy in joules, for T' = 1 .. T; energy
    None without a price.
    """

    name: str
    count: tuple[float, ...]
    energy: tuple[float, ...] | None


@dataclass(frozen=True)
class TimeTerm:
    """What a step's time is made of: mean seconds up to T' = 1 .. T while samples stream; None
    where nothing is known.
    """

    name: str
    seconds: tuple[float, ...] | None
    evidence: Evidence | None
    source: str


@dataclass(frozen=True)
class CorePlace:
    """One core. chip, column, row: of its tile (columns counted on through all chips). fullest: the
    resource of which it has used the largest share, `used`; more than 1 where it does not fit.
    busy: seconds a timestep that it works, mean.
    """

    chip: int
    column: int
    row: int
    fullest: str
    used: float
    busy: float


@dataclass(frozen=True)
class LayerCost:
    """One layer; tuples are means per sample for T' = 1 .. T. operations: synaptic events and
    graded multiply-accumulates.

    energy: dynamic, joules; hops count for the layer that sends. bottleneck: share of timesteps
    that this layer's cores are the busiest.
    resources: seconds a timestep that its busiest core spends on "memory", "neurons" and
    "messages": the largest is a lower bound on its time, the sum an upper one (floorline, arXiv
    2511.21549). places: its cores on the mesh; empty where no core was looked at.
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
    resources: Mapping[str, float]
    places: tuple[CorePlace, ...]

    def rate(self, timesteps: int) -> float:
        """Spikes per neuron and timestep over the first T'."""
        return self.spikes[timesteps - 1] / (self.neurons * timesteps)

    @property
    def binding(self) -> str:
        """The resource that its busiest core spends most time on."""
        return max(self.resources, key=self.resources.__getitem__)

    @property
    def step_energy(self) -> tuple[float, ...]:
        """Joules of each timestep by itself."""
        return tuple(b - a for a, b in zip((0.0, *self.energy), self.energy))


@dataclass(frozen=True)
class Sensitivity:
    """What a quantity becomes if one number alone moves to the ends of its range, at T timesteps,
    joules or seconds.
    """

    quantity: Literal["total energy", "latency"]
    name: str
    low: float
    high: float


@dataclass(frozen=True)
class MeshUse:
    """Ways of messages between cores, mean sample over all T timesteps. hops: each message's.
    layer_by_layer: hops in that order.

    heaviest: messages over the busiest link in the busiest timestep.
    """

    chips: int
    messages: float
    hops: float
    crossings: float
    heaviest: float
    layer_by_layer: float


@dataclass(frozen=True, repr=False)
class Cost(Tabular):
    """Energy and latency per sample for T' = 1 .. T on one device.

    dynamic, total, system: joules, by `Boundary`; system is None where nothing is known of a host.
    latency: seconds, one sample alone (fall-through, T' + depth steps). pipelined: seconds between
    samples that are streamed. delay_products: total or dynamic energy times latency, joule-seconds.
    unpriced: what is not in the figures. step: mean seconds a timestep of the busiest core, the
    heaviest link and the barrier; waits: share of timesteps in which each of them takes longest.
    baselines: the network without spikes, int8 first. mesh: None where no core was looked at.
    """

    device: Device
    samples: int
    timesteps: int
    depth: int
    cores: int
    dynamic: Band
    total: Band
    system: Band | None
    latency: Band
    pipelined: Band
    delay_products: Mapping[str, Band]
    terms: tuple[TermCost, ...]
    times: tuple[TimeTerm, ...]
    step: Mapping[str, float]
    waits: Mapping[str, float]
    layers: tuple[LayerCost, ...]
    mesh: MeshUse | None
    sensitivity: tuple[Sensitivity, ...]
    unpriced: tuple[str, ...]
    baselines: tuple[Baseline, ...]
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
    def period(self) -> tuple[float, ...]:
        """Seconds between streamed samples, means."""
        return self.pipelined.mean

    @property
    def operations(self) -> tuple[float, ...]:
        """Synaptic operations of all layers, mean per sample for T' = 1 .. T."""
        return tuple(float(sum(column)) for column in zip(*(layer.operations for layer in self.layers)))

    @property
    def ann_multiplications(self) -> int:
        """Multiply-accumulates of the same network without spikes, per inference."""
        return self.baselines[0].multiplications

    @property
    def ann_energy(self) -> float:
        """Arithmetic of the 8-bit network without spikes, joules per inference; memory not
        included.
        """
        return self.baselines[0].arithmetic

    def baseline(self, bits: int) -> Baseline:
        """The one of so many bits."""
        return next(b for b in self.baselines if b.bits == bits)

    def compared(self, timesteps: int) -> tuple[Baseline, ...]:
        """Baselines that T' timesteps stand against: int8, and as many bits as they tell apart."""
        return tuple(self.baseline(b) for b in dict.fromkeys((INT8, level_bits(timesteps))))
