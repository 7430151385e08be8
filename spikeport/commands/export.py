"""Write a network in another format: ONNX, lava-dl's .net, or NIR again.

onnx: a quantized network in integers; another framework's .nir, or any with --float, in float32.
State in and out, any number of
timesteps. netx: the HDF5 file that lava-dl's netx runs on Lava and Loihi; what its 8-bit weights
cannot hold is rounded, and told: by parameters, and with --input by spikes. nir: a quantized
network for other frameworks to read; with --dt for one of a fixed timestep (snnTorch 1.0 reads
every file at 1e-4 s).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.commands.parts.options import add_force, add_json, add_meaning, emit, output_file
from spikeport.commands.parts.sources import is_integer, load_any, load_quantized
from spikeport.export.common.digest import short
from spikeport.export.common.errors import InputError
from spikeport.export.model.digest import network_digest
from spikeport.export.model.network import Network, QuantizedNetwork
from spikeport.export.netx.file import write_netx
from spikeport.export.netx.fit import Change, fitted
from spikeport.export.nir.file import write_nir
from spikeport.export.onnx.float_graph import write_float_onnx
from spikeport.export.onnx.graph import write_onnx
from spikeport.hw.backends.simulate import backend
from spikeport.hw.records.stimulus import encode, load_input
from spikeport.stages.folder.bound import network_made_of
from spikeport.stages.folder.claims import Origin, check_output, held, network_origin, netx_origin, onnx_origin

EXAMPLES = """examples:
  spikeport export network.nir --to onnx --out network.onnx
  spikeport export anyone.nir --from norse --to onnx --out float.onnx
  spikeport export network.nir --to netx --input x.npy --out network.net
  spikeport export network.nir --to nir --dt 1e-4 --out for_snntorch.nir
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport export`."""
    parser.add_argument("network", type=Path, metavar="NET", help="a .nir file of any framework, or a .net file of lava-dl")
    parser.add_argument("--to", choices=list(FORMATS), required=True)
    parser.add_argument("--out", type=output_file, required=True, metavar="FILE")
    parser.add_argument("--float", action="store_true", help="onnx: the float meaning of a quantized network, in place of its integers")
    parser.add_argument("--input", type=Path, metavar="X.npy", help="netx: say how many output spikes change on this input")
    add_meaning(parser)
    add_force(parser, "what another network or program left at --out")
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Convert and say what was written."""
    if arguments.out.exists() and arguments.out.samefile(arguments.network):
        raise InputError(f"--out {arguments.out} is the network itself; name another file")
    if arguments.to != "netx" and arguments.input:
        raise InputError("--input compares a .net file with the network; it goes with --to netx")
    with held(arguments.out.parent):
        result, text = FORMATS[arguments.to](arguments)
    size = arguments.out.stat().st_size
    emit(arguments, {"file": str(arguments.out), "bytes": size, **result}, f"{arguments.out}: {size} bytes, {text}")
    return 0


def _may_be_written(arguments: argparse.Namespace, origin: Origin, network: Network[Any]) -> str:
    """The network's digest, once it is sure that nothing of another is replaced."""
    digest = network_digest(network)
    check_output(arguments.out, origin, {"network": digest}, force=arguments.force, home=arguments.network.parent)
    return digest


def _to_onnx(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    if is_integer(arguments.network) and not arguments.float:
        quantized = load_quantized(arguments.network)
        digest, timesteps, arithmetic = _may_be_written(arguments, onnx_origin, quantized), quantized.timesteps, "integer"
        write_onnx(quantized, arguments.out)
    else:
        network = load_any(arguments)
        digest, timesteps, arithmetic = _may_be_written(arguments, onnx_origin, network), network.timesteps, "float32"
        write_float_onnx(network, arguments.out)
    text = f"{arithmetic} arithmetic with state in and out for any number of steps, T = {timesteps}, network {short(digest)}"
    return {"network": digest, "timesteps": timesteps, "arithmetic": arithmetic}, text


def _to_nir(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    network = load_quantized(arguments.network)
    dt = network.dt if arguments.dt is None else arguments.dt
    made = replace(network, dt=dt)
    check_output(arguments.out, network_origin, network_made_of(made), force=arguments.force)
    write_nir(made, arguments.out)
    result = {"network": network_digest(made), "timesteps": made.timesteps, "dt": dt}
    return result, f"time constants for steps of {dt:g} s, the same integers, T = {made.timesteps}"


def _to_netx(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    network = load_quantized(arguments.network)
    digest = _may_be_written(arguments, netx_origin, network)
    array = load_input(arguments.input) if arguments.input else None
    compared = _compared(network, array) if array is not None else {}
    changes = write_netx(network, arguments.out)
    exact = all(change.exact for change in changes.values())
    lines = ["the same network, spike for spike" if exact else "rounded to what lava-dl's file holds, so spikes may differ:"]
    lines += [_told(name, change) for name, change in changes.items() if not change.exact]
    if compared:
        lines.append("on {samples} samples {differing} of {bins} output bins and {answers} answers differ".format(**compared))
    elif not exact:
        lines.append("  give --input X.npy to see how many output spikes that changes")
    result = {"network": digest, "timesteps": network.timesteps, "exact": exact, "populations": {k: asdict(v) for k, v in changes.items()}}
    return result | ({"compared": compared} if compared else {}), "\n".join(lines)


def _told(name: str, change: Change) -> str:
    rounding = ", ".join(f"{what} by up to {size:.2f}" for what, size in list(asdict(change).items())[1:] if size)
    return f"  {name}: counted in units of 2^{change.shift}" + (f"; rounded there: {rounding}" if rounding else "")


def _compared(network: QuantizedNetwork, array: np.ndarray) -> dict[str, int]:
    """Output bins, and answers, in which what the file holds differs from the network, on the
    engine.
    """
    stimulus = encode(network.input, array, network.timesteps)
    a, b = (backend("engine")(each, stimulus, "counts").output for each in (network, fitted(network)[0]))
    final = (lambda y: y[:, -1]) if network.readout == "membrane_potential" else (lambda y: y.sum(1))
    answers = [final(output.reshape(*output.shape[:2], -1)).argmax(-1) for output in (a, b)]
    return {
        "samples": len(a),
        "bins": int(a.size),
        "differing": int((a != b).sum()),
        "answers": int((answers[0] != answers[1]).sum()),
    }


FORMATS: dict[str, Callable[[argparse.Namespace], tuple[dict[str, Any], str]]] = {"onnx": _to_onnx, "netx": _to_netx, "nir": _to_nir}
