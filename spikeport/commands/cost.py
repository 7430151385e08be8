"""Events, energy and latency of a quantized network, ours or imported, on an input of your own; or
of a folder's, on its test data.

Counts are exact integers from the engine; which core each falls on is looked at for the first
samples. Every price has its source: see the device's profile. Energy on Loihi 2 is uncalibrated: no
price of an operation is public. Beside it, the same network without spikes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from spikeport.analysis.common.jsonable import to_json
from spikeport.analysis.common.numbers import si
from spikeport.analysis.cost.accelerator import accelerator_named
from spikeport.analysis.cost.devices import device_named
from spikeport.analysis.cost.estimate import estimate_cost_of_parts
from spikeport.analysis.cost.intervals import Band
from spikeport.analysis.cost.profile import PROFILE_SAMPLES, profile_cores
from spikeport.analysis.cost.result import Cost
from spikeport.analysis.cost.verdict import verdict
from spikeport.cluster.shards import Source
from spikeport.commands.parts.folders import Folder
from spikeport.commands.parts.options import add_data, add_device, add_json, emit, progress_bar, table
from spikeport.commands.parts.sources import load_quantized
from spikeport.commands.parts.workers import add_workers, files_of, records_of
from spikeport.export.common.errors import InputError
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.records.stimulus import encode, load_input
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.imported import open_session

EXAMPLES = """examples:
  spikeport cost network.nir --input x.npy
  spikeport cost runs/mine --device loihi1
  spikeport cost network.nir --input x.npy --device loihi1 --timesteps 4 --json
  spikeport cost network.nir --input x.npy --device my_chip.toml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport cost`."""
    parser.add_argument(
        "network", type=Path, metavar="NET.nir|DIR", help="a quantized network, or the folder of a run with network.nir in it"
    )
    parser.add_argument(
        "--input",
        type=Path,
        metavar="X.npy",
        help="(samples, timesteps, *shape), or (samples, *shape) held over time; of a DIR: its test data unless given",
    )
    parser.add_argument("--timesteps", type=int, metavar="T", help="default: the file's")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the intervals' bootstrap")
    parser.add_argument(
        "--baseline", default="int8", metavar="A", help="what the network without spikes runs on: int8 (the default), or a profile, A.toml"
    )
    add_device(parser)
    add_data(parser)
    add_workers(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Run on the engine, price, and print."""
    device, machine = device_named(arguments.device), accelerator_named(arguments.baseline)
    network, array, source = _of_folder(arguments) if arguments.network.is_dir() else _of_file(arguments)
    timesteps = network.timesteps if arguments.timesteps is None else arguments.timesteps
    loads = profile_cores(network, encode(network.input, array[:PROFILE_SAMPLES], timesteps), device)
    with records_of(arguments, network, array, timesteps, source=source, what="cost") as records:
        cost = estimate_cost_of_parts(network, records, len(array), device, loads=loads, machine=machine, seed=arguments.seed)
    emit(arguments, to_json(cost), _describe(cost), cost.warnings)
    return 0


Given = tuple[QuantizedNetwork, np.ndarray, Callable[[], Source]]
"""A network and its input, and where workers find them."""


def _of_file(arguments: argparse.Namespace) -> Given:
    if not arguments.input:
        raise InputError(f"{arguments.network} brings no data; give samples with --input X.npy")
    return load_quantized(arguments.network), load_input(arguments.input), partial(files_of, arguments.network, arguments.input)


def _of_folder(arguments: argparse.Namespace) -> Given:
    if arguments.input:
        work = Workspace(arguments.network)
        return work.quantized(), load_input(arguments.input), partial(files_of, work.network, arguments.input)
    session = open_session(arguments.network, arguments.data_dir, progress_bar)
    return session.network, session.split("test").array, partial(Folder.of, session, arguments.data_dir)


def _describe(cost: Cost) -> str:
    device, last = cost.device, cost.timesteps - 1
    sure = "" if device.calibrated else ", uncalibrated"
    return "\n".join(
        [
            _layers(cost),
            f"{device.title}, mean of {cost.samples:,} samples of {cost.timesteps} timesteps, {cost.cores} cores{sure}",
            f"energy a sample: {_interval(cost.total, last, 'J')} in all, {_interval(cost.dynamic, last, 'J')} of it dynamic"
            + (f"; {_interval(cost.system, last, 'J')} with the host" if cost.system else ""),
            f"latency: {_interval(cost.latency, last, 's')}; a new sample every {_interval(cost.pipelined, last, 's')}",
            f"energy-delay product: {_interval(cost.delay_products['total'], last, 'Js')}",
            *_times(cost),
            *_ways(cost),
            *(f"most in doubt, {row}" for row in _doubts(cost)),
            *verdict(cost, cost.timesteps),
            f"{device.note}; {device.latency.source}",
            "not in these figures: " + "; ".join(cost.unpriced),
        ]
    )


def _layers(cost: Cost) -> str:
    last, base = cost.timesteps - 1, cost.compared(cost.timesteps)[-1]
    even = {layer.name: layer.break_even[last] for layer in base.layers}
    came = {layer.name: layer.rate[last] for layer in base.layers}
    rows = [
        (
            layer.name,
            layer.cores,
            f"{layer.rate(cost.timesteps):.3f}",
            f"{layer.operations[last]:,.0f}",
            si(layer.energy[last], "J"),
            f"{layer.bottleneck:.0%}",
            layer.binding,
            f"{came[layer.name]:.3f}",
            f"{even[layer.name]:.3f}",
        )
        for layer in cost.layers
    ]
    head = ("layer", "cores", "spikes/neuron/step", "synaptic operations", "dynamic energy", "busiest", "bound by", "rate in", "break-even")
    return table(rows, head)


def _times(cost: Cost) -> list[str]:
    last = cost.timesteps - 1
    known = [f"{si(t.seconds[last] / cost.timesteps, 's')} {t.name} ({t.evidence})" for t in cost.times if t.seconds]
    waits = ", ".join(f"{what} {si(seconds, 's')} (longest in {cost.waits[what]:.0%})" for what, seconds in cost.step.items())
    return [f"a timestep: {', '.join(known)}", f"within it: {waits}"]


def _ways(cost: Cost) -> list[str]:
    mesh = cost.mesh
    if mesh is None or not mesh.messages:
        return []
    chips = f", {mesh.crossings:.2f} crossings between {mesh.chips} chips" if mesh.chips > 1 else ""
    return [
        f"messages between cores: {mesh.messages:,.0f} a sample, {mesh.hops:.2f} hops each (layer by layer {mesh.layer_by_layer:.2f}){chips}; "
        f"the heaviest link carries {mesh.heaviest:,.0f} in a timestep"
    ]


def _doubts(cost: Cost) -> list[str]:
    """The number that moves each quantity most."""
    first = {s.quantity: s for s in reversed(cost.sensitivity)}
    units = {"total energy": "J", "latency": "s"}
    return [f"{q}: {s.name}, alone {si(s.low, units[q])} .. {si(s.high, units[q])}" for q, s in sorted(first.items(), reverse=True)]


def _interval(band: Band, at: int, unit: str) -> str:
    return f"{si(band.mean[at], unit)} ({si(band.low[at], unit)} .. {si(band.high[at], unit)})"
