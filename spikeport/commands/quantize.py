"""Turn a trained network, or a .nir file of any framework, into Loihi's integers and write them as .nir.

From a training DIR, calibration uses training images unless --calibration is given. From a .nir file, --calibration, and the meaning
the file cannot state (--dt --integrator --reset, or --from), are required. A .net file of lava-dl holds integers already, which are written as they are, for --timesteps steps.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from spikeport.commands.options import add_data, add_json, add_meaning, emit, output_file, progress_bar, table
from spikeport.commands.sources import is_netx, load_foreign, natural_timesteps
from spikeport.export.common.errors import InputError
from spikeport.export.model.network import QuantizedNetwork
from spikeport.export.netx.file import read_netx
from spikeport.export.nir.file import is_quantized, write_nir
from spikeport.export.nir.graph import load_graph
from spikeport.export.quantization.quantize import quantize
from spikeport.hw.records.stimulus import load_input
from spikeport.stages.pipeline import quantize_stage
from spikeport.stages.workspace import Workspace

EXAMPLES = """examples:
  spikeport quantize runs/digits --out runs/digits/network.nir
  spikeport quantize runs/digits --weight-bits 4 --per-channel --finetune 5 --out runs/digits/network.nir
  spikeport quantize anyone.nir --from norse --calibration x.npy --out quantized.nir
  spikeport quantize anyone.nir --dt 1e-4 --integrator euler --reset zero --calibration x.npy --out quantized.nir
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport quantize`."""
    parser.add_argument("source", type=Path, metavar="SRC", help="a training DIR, a .nir file, or a .net file of lava-dl")
    parser.add_argument("--out", type=output_file, required=True, metavar="NET.nir")
    parser.add_argument("--weight-bits", type=int, default=8, metavar="B", help="2 to 8 (default 8)")
    parser.add_argument("--per-channel", action="store_true", help="thresholds and scales per channel, where the target allows it")
    parser.add_argument("--finetune", type=int, default=0, metavar="EPOCHS", help="quantization-aware fine-tuning (training DIR only)")
    parser.add_argument(
        "--calibration", type=Path, metavar="X.npy", help="(samples, timesteps, *shape), or (samples, *shape) held over time"
    )
    parser.add_argument("--timesteps", type=int, metavar="T", help="T of a .nir file (default: the calibration data's) or of a .net file")
    add_data(parser)
    add_meaning(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Quantize, write, and show what was chosen."""
    if is_netx(arguments.source):
        return _from_netx(arguments)
    of_training = arguments.source.is_dir()
    network = _from_training(arguments) if of_training else _from_nir(arguments)
    report, notes = network.provenance["quantization"], network.provenance["notes"]
    unfinished = Workspace(arguments.source).notes() if of_training else ()
    text = f"{_describe(report)}\n{arguments.out}: {network.weight_bits}-bit weights, T = {network.timesteps}"
    emit(arguments, report, text, (*unfinished, *notes))
    return 0


def _from_training(arguments: argparse.Namespace) -> QuantizedNetwork:
    work = Workspace(arguments.source)
    trained = work.trained()
    return quantize_stage(
        work,
        work.dataset(trained, arguments.data_dir),
        arguments.out,
        progress_bar,
        weight_bits=arguments.weight_bits,
        per_channel=arguments.per_channel,
        finetune_epochs=arguments.finetune,
        calibration=load_input(arguments.calibration) if arguments.calibration else None,
    )


def _from_netx(arguments: argparse.Namespace) -> int:
    """lava-dl's integers as they are."""
    network = read_netx(arguments.source, timesteps=arguments.timesteps)
    write_nir(network, arguments.out)
    result = {"timesteps": network.timesteps, "populations": [p.name for p in network.populations]}
    emit(
        arguments,
        result,
        f"{arguments.out}: lava-dl's integers as they are, {len(network.populations)} populations, T = {network.timesteps}",
    )
    return 0


def _from_nir(arguments: argparse.Namespace) -> QuantizedNetwork:
    graph = load_graph(arguments.source)
    if is_quantized(graph):
        raise InputError(f"{arguments.source} is quantized already; give a training directory or another framework's .nir file")
    if arguments.finetune:
        raise InputError("--finetune needs training data; it works on a training DIR only")
    if not arguments.calibration:
        raise InputError(f"{arguments.source} brings no data to calibrate on; give some with --calibration X.npy")
    array = load_input(arguments.calibration)
    network = load_foreign(arguments, graph)
    timesteps = arguments.timesteps or natural_timesteps(network, array)
    quantized = quantize(network.with_timesteps(timesteps), array, weight_bits=arguments.weight_bits, per_channel=arguments.per_channel)
    write_nir(quantized, arguments.out)
    return quantized


def _describe(report: dict) -> str:
    """One line per connection and per population."""
    rows = [
        (name, "connection", f"exponent {c['exponent']}", _decibels(c["sqnr_db"]), f"{c['clipped']:.2%} of the weights clipped")
        for name, c in report["connections"].items()
    ]
    rows += [
        (name, "population", "threshold {}..{}".format(*p["threshold"]), _rates(p), _range(p)) for name, p in report["populations"].items()
    ]
    return table(rows, ("node", "kind", "integers", "fidelity", "range"))


def _decibels(sqnr: float | None) -> str:
    return "exact" if sqnr is None else f"{sqnr:.1f} dB"


def _rates(population: dict) -> str:
    before, after = population["rate_float"], population["rate_quantized"]
    return "no spikes" if before is None or after is None else f"rate {before:.4f} -> {after:.4f}"


def _range(population: dict) -> str:
    proof = "overflow excluded by proof" if population["proven"] else "calibrated, with margin"
    return f"{population['used']:.1%} of the state used, {proof}"
