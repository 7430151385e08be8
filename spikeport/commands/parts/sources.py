"""Reading networks for commands: quantized files, and other frameworks' files with their stated
meaning.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.export.common.errors import InputError, unknown
from spikeport.export.floating.activity import Activity
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.model.network import FloatNetwork, QuantizedNetwork
from spikeport.export.nir.file import is_quantized, read_nir
from spikeport.export.nir.foreign.coarse import coarse_steps, shortest_tau
from spikeport.export.nir.foreign.exporters import EXPORTERS, dt_of_rockpool
from spikeport.export.nir.foreign.frameworks import FRAMEWORKS, Framework
from spikeport.export.nir.foreign.importer import import_nir
from spikeport.export.nir.graph import RawGraph, load_graph
from spikeport.export.quantization.dequantize import dequantize


def is_netx(path: Path) -> bool:
    """Whether a file is lava-dl's, by its name."""
    return path.suffix == ".net"


def _netx(path: Path) -> QuantizedNetwork:
    from spikeport.export.netx.file import read_netx  # noqa: PLC0415  slow to import, seldom needed

    return read_netx(path)


def is_integer(path: Path) -> bool:
    """Whether a file holds a network in integers: lava-dl's, or a quantized `.nir`."""
    return is_netx(path) or is_quantized(path)


def load_quantized(path: Path) -> QuantizedNetwork:
    """A quantized `.nir` or lava-dl's `.net`; any other is refused with the remedy."""
    if is_netx(path):
        return _netx(path)
    graph = load_graph(path)
    if not is_quantized(graph):
        raise InputError(
            f"{path} is not quantized, and integer backends run integers only; quantize it first: spikeport quantize {path} --from FRAMEWORK --calibration X.npy --out q.nir"
        )
    return read_nir(graph)


def load_foreign(arguments: argparse.Namespace, graph: RawGraph) -> FloatNetwork:
    """Another framework's `.nir` with the meaning stated on the command line; `arguments.note` then
    says what was taken.
    """
    path, habit = graph.path, _habit(arguments.framework)
    stated = {
        "dt": arguments.dt,
        "integrator": arguments.integrator,
        "reset": arguments.reset,
        "strict": None if arguments.nonstrict is None else not arguments.nonstrict,
        "reset_delay": arguments.reset_delay,
        "multi_spike": arguments.multi_spike,
    }
    meaning: dict[str, Any] = {name: getattr(habit, name) if value is None else value for name, value in stated.items()}
    meaning["seconds"] = arguments.dt_seconds
    if meaning["dt"] is None and arguments.framework == "rockpool":
        meaning["dt"] = dt_of_rockpool(graph)
    missing = [f"--{name}" for name in ("dt", "integrator", "reset") if meaning[name] is None]
    if missing:
        way = f"{arguments.framework} has no usual one" if arguments.framework else "or --from FRAMEWORK"
        raise InputError(f"{path} does not say its timestep, integrator or reset; state {' '.join(missing)} ({way})")
    if arguments.dt is None and habit.short_dt and shortest_tau(graph) < meaning["dt"]:
        meaning["dt"] = habit.short_dt
    if meaning["seconds"] is None and meaning["dt"] in (habit.dt, habit.short_dt):
        meaning["seconds"] = habit.seconds
    exporter = arguments.framework if arguments.framework in EXPORTERS else None
    network = import_nir(graph, **meaning, batch_axis=habit.batch_axis, exporter=exporter)
    corrected = network.provenance.get("corrected", [])
    coarse = [] if habit.dt_fixed and arguments.dt is None else coarse_steps(network, meaning["dt"])
    lost = [f"not in a file of {arguments.framework}: {what}" for what in habit.lost]
    arguments.note = "\n".join([f"{path}: read with {_in_words(meaning)}", *(f"note: {line}" for line in (*corrected, *lost, *coarse))])
    return network


def _habit(framework: str | None) -> Framework:
    if framework is None:
        return Framework()
    if framework not in FRAMEWORKS:
        raise unknown("--from", framework, FRAMEWORKS, "or state --dt --integrator --reset")
    return FRAMEWORKS[framework]


def _in_words(meaning: dict[str, Any]) -> str:
    """The meaning in one line."""
    several = "several spikes a step where v is several thresholds" if meaning["multi_spike"] else "one spike a step"
    late = {None: "", True: " one step late (reset_delay=True)", False: " at once, no second spike right after (reset_delay=False)"}
    seconds, dt = meaning["seconds"], meaning["dt"]
    lasts = "" if seconds in (None, dt) else f" of the file's unit (a timestep lasts {seconds:g} s)"
    return (
        f"dt {dt:g}{lasts}, {meaning['integrator']} integrator, reset {meaning['reset']}{late[meaning['reset_delay']]}, "
        f"fires on v {'>' if meaning['strict'] else '>='} threshold, {several}"
    )


def one_spike_a_step(network: FloatNetwork, array: np.ndarray) -> FloatNetwork:
    """The same network for a chip, whose neurons fire once a step: exact where no neuron ever fired
    several times on these data.

    Raises:
        InputError: some did; says where and how often.
    """
    if all(p.neuron.firing != "multiple" for p in network.populations):
        return network
    activity = Activity(network)
    output = simulate_float(network, array, network.timesteps, observe=activity)["output"]
    several = {name: count / (len(output) * network.timesteps * network[name].size) for name, count in activity.several.items() if count}
    if several:
        shares = ", ".join(f"{name} in {share:.2%} of its neuron-steps" for name, share in several.items())
        raise InputError(
            f"neurons fire several spikes in one step ({shares}), a chip's fire once; take more and shorter timesteps, or lose the "
            "spikes beyond one with --no-multi-spike"
        )
    single = tuple(replace(p, neuron=replace(p.neuron, firing="single")) for p in network.populations)
    return replace(network, populations=single)


def natural_timesteps(network: FloatNetwork, array: np.ndarray) -> int:
    """T of a file that states none: the input's length, or the network's usual one where the input
    is held.
    """
    return array.shape[1] if array.ndim == len(network.input.shape) + 2 else network.timesteps


def load_any(arguments: argparse.Namespace) -> FloatNetwork:
    """The float meaning of a `.nir` file, quantized or not, or of a `.net` file."""
    if is_netx(arguments.network):
        return dequantize(_netx(arguments.network))
    graph = load_graph(arguments.network)
    return dequantize(read_nir(graph)) if is_quantized(graph) else load_foreign(arguments, graph)
