"""Events, energy and latency of a quantized network, ours or imported, on an input of your own.

Counts are exact integers from the engine; which core each falls on is looked at for the first samples. Every price has its source: see
the device's profile. Energy on Loihi 2 is uncalibrated: no price of an operation is public.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from spikeport.analysis.common.jsonable import to_json
from spikeport.analysis.common.numbers import si
from spikeport.analysis.cost.devices import Device, device_named
from spikeport.analysis.cost.estimate import Band, Cost, estimate_cost
from spikeport.analysis.cost.profile import PROFILE_SAMPLES, profile_cores
from spikeport.commands.parts.options import add_device, add_json, emit, progress_bar, table
from spikeport.commands.parts.sources import load_quantized
from spikeport.hw.backends.simulate import backend
from spikeport.hw.records.stimulus import encode, load_input

EXAMPLES = """examples:
  spikeport cost network.nir --input x.npy
  spikeport cost network.nir --input x.npy --device loihi1 --timesteps 4 --json
  spikeport cost network.nir --input x.npy --device my_chip.toml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport cost`."""
    parser.add_argument("network", type=Path, metavar="NET.nir")
    parser.add_argument(
        "--input", type=Path, required=True, metavar="X.npy", help="(samples, timesteps, *shape), or (samples, *shape) held over time"
    )
    parser.add_argument("--timesteps", type=int, metavar="T", help="default: the file's")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the intervals' bootstrap")
    add_device(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Run on the engine, price, and print."""
    device = device_named(arguments.device)
    network = load_quantized(arguments.network)
    timesteps = network.timesteps if arguments.timesteps is None else arguments.timesteps
    stimulus = encode(network.input, load_input(arguments.input), timesteps)
    with progress_bar(len(stimulus), "cost") as progress:
        record = backend("engine")(network, stimulus, progress=progress)
    loads = profile_cores(network, stimulus[:PROFILE_SAMPLES], device)
    cost = estimate_cost(network, record, device, loads=loads, seed=arguments.seed)
    emit(arguments, to_json(cost), _describe(cost, device), cost.warnings)
    return 0


def _describe(cost: Cost, device: Device) -> str:
    last = cost.timesteps - 1
    rows = [
        (
            layer.name,
            layer.cores,
            f"{layer.rate(cost.timesteps):.3f}",
            f"{layer.operations[last]:,.0f}",
            si(layer.energy[last], "J"),
            f"{layer.bottleneck:.0%}",
        )
        for layer in cost.layers
    ]
    head = ("layer", "cores", "spikes/neuron/step", "synaptic operations", "dynamic energy", "busiest")
    sure = "" if device.calibrated else ", uncalibrated"
    return "\n".join(
        [
            table(rows, head),
            f"{device.title}, mean of {cost.samples:,} samples of {cost.timesteps} timesteps, {cost.cores} cores{sure}",
            f"energy a sample: {_interval(cost.total, last, 'J')} in all, {_interval(cost.dynamic, last, 'J')} of it dynamic",
            f"latency: {_interval(cost.latency, last, 's')}; a new sample every {si(cost.period[last], 's')}",
            f"energy-delay product: {si(cost.total.mean[last] * cost.latency.mean[last], 'Js')}",
            f"{device.note}; {cost.device.latency.source}",
            "not in these figures: " + "; ".join(cost.unpriced),
        ]
    )


def _interval(band: Band, at: int, unit: str) -> str:
    return f"{si(band.mean[at], unit)} ({si(band.low[at], unit)} .. {si(band.high[at], unit)})"
