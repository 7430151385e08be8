"""Reading networks for commands: quantized files, and other frameworks' files with their stated meaning."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import FloatNetwork, QuantizedNetwork
from spikeport.export.netx.file import read_netx
from spikeport.export.nir.file import is_quantized, read_nir
from spikeport.export.nir.foreign.importer import FRAMEWORKS, import_nir
from spikeport.export.nir.graph import RawGraph, load_graph
from spikeport.export.quantization.dequantize import dequantize


def is_netx(path: Path) -> bool:
    """Whether a file is lava-dl's, by its name."""
    return path.suffix == ".net"


def is_integer(path: Path) -> bool:
    """Whether a file holds a network in integers: lava-dl's, or a quantized `.nir`."""
    return is_netx(path) or is_quantized(path)


def load_quantized(path: Path) -> QuantizedNetwork:
    """A quantized `.nir` or lava-dl's `.net`; any other is refused with the remedy."""
    if is_netx(path):
        return read_netx(path)
    graph = load_graph(path)
    if not is_quantized(graph):
        raise InputError(
            f"{path} is not quantized, and integer backends run integers only; quantize it first: spikeport quantize {path} --out q.nir ..."
        )
    return read_nir(graph)


def load_foreign(arguments: argparse.Namespace, graph: RawGraph) -> FloatNetwork:
    """Another framework's `.nir` with the meaning stated on the command line."""
    path = graph.path
    dt, integrator, reset = arguments.dt, arguments.integrator, arguments.reset
    if arguments.framework:
        if arguments.framework not in FRAMEWORKS:
            raise InputError(
                f"--from {arguments.framework!r} is unknown; choose one of {', '.join(FRAMEWORKS)}, or state --dt --integrator --reset"
            )
        defaults = FRAMEWORKS[arguments.framework]
        dt, integrator, reset = (given if given is not None else usual for given, usual in zip((dt, integrator, reset), defaults))
    missing = [name for name, value in (("--dt", dt), ("--integrator", integrator), ("--reset", reset)) if value is None]
    if missing:
        way = f"{arguments.framework} has no usual one" if arguments.framework else "or --from FRAMEWORK"
        raise InputError(f"{path} does not say its timestep, integrator or reset; state {' '.join(missing)} ({way})")
    network = import_nir(graph, dt=dt, integrator=integrator, reset=reset, strict=not arguments.nonstrict)
    arguments.note = f"{path}: read with dt {dt:g} s, {integrator} integrator, reset {reset}, fires on v {'>=' if arguments.nonstrict else '>'} threshold"
    return network


def natural_timesteps(network: FloatNetwork, array: np.ndarray) -> int:
    """T of a file that states none: the input's length, or the network's usual one where the input is held."""
    return array.shape[1] if array.ndim == len(network.input.shape) + 2 else network.timesteps


def load_any(arguments: argparse.Namespace) -> FloatNetwork:
    """The float meaning of a `.nir` file, quantized or not, or of a `.net` file."""
    if is_netx(arguments.network):
        return dequantize(read_netx(arguments.network))
    graph = load_graph(arguments.network)
    return dequantize(read_nir(graph)) if is_quantized(graph) else load_foreign(arguments, graph)
