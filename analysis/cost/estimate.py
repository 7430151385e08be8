"""Energy and latency per sample at every number of timesteps, from exact counts and a device's
prices.

Energy is that of samples streamed back to back: T' timesteps each. Dynamic energy is counts times
prices; total energy adds static power over the same time, system energy the host's. Latency is that
of one sample, T' + depth timesteps (`cost.timing`). Units are SI: joules, seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from spikeport.analysis.cost.accelerator import Accelerator, accelerator_named
from spikeport.analysis.cost.averages import averages, in_parts
from spikeport.analysis.cost.baselines import baselines
from spikeport.analysis.cost.counts import LayerCounts, NetworkCounts
from spikeport.analysis.cost.devices import AXON_IN, INJECTION, MANAGEMENT, SPIKE, Device
from spikeport.analysis.cost.intervals import Band, Draws, Factor, Part, mean_of
from spikeport.analysis.cost.result import CorePlace, Cost, LayerCost, MeshUse, TermCost, TimeTerm
from spikeport.analysis.cost.sensitivity import sensitivity
from spikeport.analysis.cost.timing import RESOURCES, Clock, busy_time
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.mapping.loads import NetworkLoads
from spikeport.hw.records.record import SpikeRecord

EVEN = (
    "no core was looked at: events are spread evenly over the cores of a layer (the busiest may take more), every spike is a message "
    "to all cores of its targets (fewer in truth), and hops between cores are not counted"
)
OUTSIDE = (MANAGEMENT, INJECTION)
"""Of no event on a core, so no price of one bounds what they may cost."""


def estimate_cost(
    network: QuantizedNetwork,
    record: SpikeRecord,
    device: Device,
    *,
    loads: NetworkLoads | None = None,
    machine: Accelerator | None = None,
    measured: Mapping[int, float] | None = None,
    seed: int = 0,
) -> Cost:
    """Price a record. What is no sum of events is found for each sample; of many samples, means of
    a few each are then kept (`cost.averages`).

    loads: of every core on some samples, from `profile_cores`; without them events are taken to be
    spread evenly over a layer's cores and every spike to go to all cores of its targets, which is
    said in the warnings. machine: what the network without spikes runs on.
    measured: its test accuracy, by bits of its activations. seed: of the bootstrap.
    """
    options = {"loads": loads, "machine": machine, "measured": measured, "seed": seed}
    return estimate_cost_of_parts(network, in_parts(record), len(record), device, **options)  # type: ignore[arg-type]


def estimate_cost_of_parts(
    network: QuantizedNetwork,
    records: Iterable[SpikeRecord],
    samples: int,
    device: Device,
    *,
    loads: NetworkLoads | None = None,
    machine: Accelerator | None = None,
    measured: Mapping[int, float] | None = None,
    seed: int = 0,
) -> Cost:
    """As `estimate_cost`, of records that follow each other and hold so many samples together; they
    need never be in memory at once.
    """
    clock, record = averages(network, records, samples, device, loads)
    counts, draws = clock.network, Draws(len(record), seed)
    dynamic, pipelined, latency = dynamic_parts(counts, device), clock.pipelined(), clock.fall_through()
    total = [*dynamic, *powered(pipelined, device, counts.chips)]
    system = [*total, *hosted(pipelined, device)] if device.host else None
    without = baselines(network, record, machine or accelerator_named("int8"), measured)
    return Cost(
        device=device,
        samples=samples,
        timesteps=record.timesteps,
        depth=counts.depth,
        cores=counts.cores,
        dynamic=draws.band(dynamic),
        total=draws.band(total),
        system=draws.band(system) if system else None,
        latency=draws.band(latency),
        pipelined=draws.band(pipelined),
        delay_products=_delay_products(draws, latency, {"dynamic": dynamic, "total": total} | ({"system": system} if system else {})),
        terms=tuple(_term_cost(term, n, device) for term, n in counts.events.items()),
        times=_times(clock, pipelined),
        step={name: float(seconds.mean()) for name, seconds in clock.step().items()},
        waits=clock.shares(),
        layers=tuple(_layer_cost(counts, i, clock) for i in range(len(counts.layers))),
        mesh=_mesh_use(counts),
        sensitivity=sensitivity(clock, total, latency),
        unpriced=(*_unpriced(counts, device), *_stored_zeros(counts.layers)),
        baselines=without,
        warnings=(*_warnings(network, counts, device, without[0].multiplications), *(() if loads else (EVEN,))),
    )


def dynamic_parts(counts: NetworkCounts, device: Device) -> list[Part]:
    """Energy of events up to T', by kind.

    What has no price may cost as much as the dearest event of a core that has one.
    """
    return energy_parts({term: n.cumsum(axis=1) for term, n in counts.events.items()}, device)


def energy_parts(events: Mapping[str, np.ndarray], device: Device) -> list[Part]:
    """Energy of so many events, by kind."""
    model, parts = Factor.of_model(device.dynamic), []
    dearest = max((p.value for term, p in device.energy.items() if term not in OUTSIDE), default=0.0)
    for term, n in events.items():
        if price := device.energy.get(term):
            own = () if term in OUTSIDE else (model,)
            parts.append(Part(term, n * price.value * 1e-12, (Factor.of_price(price), *own)))
        elif n.any() and term not in (AXON_IN, *OUTSIDE):
            parts.append(Part(term, n * dearest * 1e-12, (), unknown=True))
    return parts


def powered(pipelined: Sequence[Part], device: Device, chips: int) -> list[Part]:
    """Energy of static power over a time."""
    factor = Factor.of_price(device.static)
    return [part.times(chips * device.static.value, factor, name="static power") for part in pipelined]


def hosted(pipelined: Sequence[Part], device: Device) -> list[Part]:
    """Energy of the host over a time."""
    return [part.times(p.value, Factor.of_price(p), name="host") for part in pipelined if (p := device.host)]


def _delay_products(draws: Draws, latency: list[Part], energies: Mapping[str, list[Part]]) -> dict[str, Band]:
    return {name: draws.band(parts, latency) for name, parts in energies.items()}


def _term_cost(term: str, counts: np.ndarray, device: Device) -> TermCost:
    price, mean = device.energy.get(term), counts.cumsum(axis=1).mean(axis=0)
    return TermCost(term, tuple(mean.tolist()), tuple((mean * price.value * 1e-12).tolist()) if price else None)


def _times(clock: Clock, pipelined: list[Part]) -> tuple[TimeTerm, ...]:
    """The chip's part of a step and what comes after it."""
    device, found = clock.device, {part.name: part for part in pipelined}
    chip = pipelined[0]
    rows = [TimeTerm(chip.name, tuple(mean_of([chip]).tolist()), device.latency.evidence, device.latency.source)]
    for term in OUTSIDE:
        price = device.time.get(term)
        seconds = tuple(mean_of([found[term]]).tolist()) if price else None
        rows.append(TimeTerm(term, seconds, price.evidence if price else None, price.source if price else "no price"))
    return tuple(rows)


def _layer_cost(counts: NetworkCounts, i: int, clock: Clock) -> LayerCost:
    layer, device = counts.layers[i], clock.device
    priced = [n * device.energy[term].value * 1e-12 for term, n in layer.events.items() if term in device.energy]
    energy = sum(priced, start=np.zeros(layer.events[SPIKE].shape))
    return LayerCost(
        name=layer.name,
        neurons=layer.neurons,
        cores=layer.cores,
        depth=layer.depth,
        synapses=layer.synapses,
        spikes=_means(layer.events[SPIKE].cumsum(axis=1)),
        operations=_means(layer.operations.cumsum(axis=1)),
        energy=_means(np.cumsum(energy, axis=1)),
        bottleneck=float(clock.waits.busiest[:, i].mean()),
        resources={name: float(busy_time(layer, device, terms).mean()) for name, terms in RESOURCES.items()},
        places=_places(counts, i),
    )


def _places(counts: NetworkCounts, i: int) -> tuple[CorePlace, ...]:
    """The cores of a layer on the mesh."""
    layer, mesh, chip = counts.layers[i], counts.mesh, counts.placed.chip
    if mesh is None:
        return ()
    first = sum(other.cores for other in counts.layers[:i])
    axes = (axis[first : first + layer.cores].tolist() for axis in (mesh.chips, mesh.columns, mesh.rows))
    fill = (max(core.shares(chip).items(), key=lambda share: share[1]) for core in counts.placed[layer.name].cores)
    return tuple(
        CorePlace(chip=number, column=column, row=row, fullest=fullest, used=used, busy=1e-9 * busy)
        for number, column, row, (fullest, used), busy in zip(*axes, fill, layer.busy.tolist())
    )


def _mesh_use(counts: NetworkCounts) -> MeshUse | None:
    if counts.ways is None:
        return None
    found, before = counts.ways
    each = max(found.messages, 1e-300)
    return MeshUse(counts.chips, found.messages, found.hops / each, found.crossings / each, max(found.heaviest), before.hops / each)


def _unpriced(counts: NetworkCounts, device: Device) -> tuple[str, ...]:
    """Terms that occur and have no price, by name."""
    occurring = [term for term, n in counts.events.items() if n.any()]
    energy = [f"energy of {term}" for term in occurring if term not in device.energy and term != AXON_IN]
    time = [f"time of {term}" for term in occurring if term not in device.time]
    hops = () if counts.ways else ("hops between cores",)
    return (*energy, *time, *hops, *(() if device.host else ("host and input/output",)))


def _stored_zeros(layers: tuple[LayerCounts, ...]) -> tuple[str, ...]:
    """Names the zero weights that shared kernels hold: whether a chip reads them is not public."""
    zeros, stored = sum(layer.kernels.zeros for layer in layers), sum(layer.kernels.synapses for layer in layers)
    return (f"reading of the zero weights in shared kernels, {zeros / stored:.1%} of their synapses",) if zeros else ()


def _warnings(network: QuantizedNetwork, counts: NetworkCounts, device: Device, multiplications: int) -> tuple[str, ...]:
    warnings = list(counts.placed.obstacles)
    operations = np.cumsum(sum(layer.operations for layer in counts.layers), axis=1).mean(axis=0)
    more = np.flatnonzero(operations > multiplications)
    if len(more):
        warnings.append(
            f"from {more[0] + 1} timesteps on, the {operations[more[0]]:,.0f} synaptic operations a sample exceed the "
            f"{multiplications:,} multiply-accumulates of the same network without spikes"
        )
    if counts.chips > 1:
        warnings.append(
            f"{counts.chips} chips assumed, side by side; what a message between them costs is not public and not in the figures"
            if "crossing between chips" not in device.energy
            else f"{counts.chips} chips assumed, side by side"
        )
    if not device.chip.graded and not network.input.binary:
        warnings.append(f"{device.title} takes no graded input: encode it as binary spikes before trusting this estimate")
    return tuple(warnings)


def _means(values: np.ndarray) -> tuple[float, ...]:
    return tuple(values.mean(axis=0).tolist())
