"""Turn a trained network, or a .nir file of any framework, into Loihi's integers and write them as
.nir.

From the DIR of a training, calibration uses training images unless --calibration is given; from
that of an imported network, the half of its samples that chooses. From a .nir file, --calibration,
and the meaning the file cannot state (--dt --integrator --reset, or --from), are required. A .net
file of lava-dl holds integers already, which are written as they are, for --timesteps steps.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikeport.analysis.common.jsonable import to_json
from spikeport.analysis.results.layer_agreement import layer_agreement
from spikeport.analysis.results.loss_split import loss_split
from spikeport.commands.parts.fidelity import agreement_text, loss_text
from spikeport.commands.parts.options import (
    MEANING,
    add_data,
    add_force,
    add_json,
    add_meaning,
    add_per_channel,
    emit,
    output_file,
    progress_bar,
    refuse_ignored,
    silent_notes,
    table,
)
from spikeport.commands.parts.sources import is_netx, load_foreign, natural_timesteps, one_spike_a_step
from spikeport.export.common.digest import short
from spikeport.export.common.errors import InputError
from spikeport.export.model.digest import network_digest
from spikeport.export.model.network import FloatNetwork, QuantizedNetwork
from spikeport.export.netx.file import read_netx
from spikeport.export.nir.file import is_quantized, write_nir
from spikeport.export.nir.graph import load_graph
from spikeport.export.quantization.quantize import quantize
from spikeport.hw.records.stimulus import load_input
from spikeport.stages.folder.bound import network_made_of
from spikeport.stages.folder.claims import check_network, held
from spikeport.stages.imported import open_session
from spikeport.stages.pipeline import COMPARED_SAMPLES, QuantizationConfig, quantization_digest, quantize_stage, saying
from spikeport.train.loop.memory import keep_freed_memory

EXAMPLES = """examples:
  spikeport quantize runs/digits --out runs/digits/network.nir
  spikeport quantize runs/digits --weight-bits 4 --per-channel --finetune 5 --out runs/digits/network.nir
  spikeport quantize runs/digits --weight-bits 4 --explain --out runs/digits/4-bit.nir
  spikeport quantize anyone.nir --from norse --calibration x.npy --out quantized.nir
  spikeport quantize anyone.nir --dt 1e-4 --integrator euler --reset zero --calibration x.npy --out quantized.nir
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport quantize`."""
    parser.add_argument("source", type=Path, metavar="SRC", help="the DIR of a run, a .nir file, or a .net file of lava-dl")
    parser.add_argument("--out", type=output_file, required=True, metavar="NET.nir")
    parser.add_argument("--weight-bits", type=int, default=8, metavar="B", help="2 to 8 (default 8)")
    add_per_channel(parser)
    parser.add_argument("--finetune", type=int, default=0, metavar="EPOCHS", help="quantization-aware fine-tuning (training DIR only)")
    parser.add_argument(
        "--calibration", type=Path, metavar="X.npy", help="(samples, timesteps, *shape), or (samples, *shape) held over time"
    )
    parser.add_argument("--timesteps", type=int, metavar="T", help="T of a .nir file (default: the calibration data's) or of a .net file")
    add_force(parser, "a network of another make that lies at --out")
    add_data(parser)
    add_meaning(parser)
    parser.add_argument("--explain", action="store_true", help="also split the loss by kind: weights, thresholds, biases, decays")
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Quantize, write, and show what was chosen and what it does to every layer."""
    if is_netx(arguments.source):
        return _from_netx(arguments)
    config = QuantizationConfig(weight_bits=arguments.weight_bits, per_channel=arguments.per_channel, finetune_epochs=arguments.finetune)
    if arguments.source.is_dir():
        refuse_ignored(arguments, ["timesteps", *MEANING], f"{arguments.source} is a training directory, whose network states it itself")
    else:
        refuse_ignored(arguments, ["data_dir"], f"{arguments.source} was not trained here; --calibration X.npy gives its data")
    with held(arguments.out.parent):
        made = (_from_folder if arguments.source.is_dir() else _from_nir)(arguments, config)
    quantized, compared = made.quantized, made.samples[:COMPARED_SAMPLES]
    labels = None if made.labels is None else made.labels[:COMPARED_SAMPLES]
    report, digest = quantized.provenance["quantization"], network_digest(quantized)
    rates = {name: p["rate_float"] for name, p in report["populations"].items() if p["rate_float"] is not None}
    agreement = layer_agreement(made.network, quantized, compared)
    loss = loss_split(made.network, quantized, compared, labels) if arguments.explain else None
    parts = [_describe(report), agreement_text(agreement), *([loss_text(loss)] if loss else [])]
    last = f"{arguments.out}: {quantized.weight_bits}-bit weights, T = {quantized.timesteps}, network {short(digest)}"
    result = {**report, "network": digest, "agreement": to_json(agreement), **({"loss": to_json(loss)} if loss else {})}
    emit(arguments, result, "\n".join([*parts, last]), (*made.notes, *quantized.provenance["notes"], *silent_notes(rates)))
    return 0


class Made(NamedTuple):
    """What was quantized, what came out, and the samples it was calibrated on; labels where they
    are known, and notes.
    """

    network: FloatNetwork
    quantized: QuantizedNetwork
    samples: np.ndarray
    labels: np.ndarray | None = None
    notes: Sequence[str] = ()


def _from_netx(arguments: argparse.Namespace) -> int:
    """lava-dl's integers as they are."""
    why = f"{arguments.source} holds lava-dl's integers, which are taken as they are"
    refuse_ignored(arguments, ["calibration", "per_channel", "explain", "data_dir", *MEANING], why)
    network = read_netx(arguments.source, timesteps=arguments.timesteps)
    with held(arguments.out.parent):
        check_network(arguments.out, network_made_of(network), force=arguments.force)
        write_nir(network, arguments.out)
    result = {"network": network_digest(network), "timesteps": network.timesteps, "populations": [p.name for p in network.populations]}
    taken = f"{arguments.out}: lava-dl's integers as they are, {len(network.populations)} populations, T = {network.timesteps}"
    told = network.provenance.get("input")
    emit(arguments, result, taken, [f"input: {told}"] if told else [])
    return 0


def _from_folder(arguments: argparse.Namespace, config: QuantizationConfig) -> Made:
    if config.finetune_epochs:
        keep_freed_memory()
    session = open_session(arguments.source, arguments.data_dir, progress_bar)
    calibration = load_input(arguments.calibration) if arguments.calibration else None
    quantized = quantize_stage(session, arguments.out, config, calibration=calibration, force=arguments.force)
    network = session.lowered()
    if calibration is not None:
        return Made(network, quantized, calibration, notes=session.notes)
    part = session.calibration[:COMPARED_SAMPLES]
    return Made(network, quantized, part.array, part.labels, session.notes)


def _from_nir(arguments: argparse.Namespace, config: QuantizationConfig) -> Made:
    graph = load_graph(arguments.source)
    if is_quantized(graph):
        raise InputError(f"{arguments.source} is quantized already; give a training directory or another framework's .nir file")
    if config.finetune_epochs:
        raise InputError("--finetune needs training data; it works on a training DIR only")
    if not arguments.calibration:
        raise InputError(f"{arguments.source} brings no data to calibrate on; give some with --calibration X.npy")
    array = load_input(arguments.calibration)
    network = load_foreign(arguments, graph)
    timesteps = natural_timesteps(network, array) if arguments.timesteps is None else arguments.timesteps
    network = one_spike_a_step(network.with_timesteps(timesteps), array)
    made_of = {"trained": network_digest(network), "quantization": quantization_digest(config, array)}
    check_network(arguments.out, made_of, force=arguments.force)
    quantized = saying(quantize(network, array, weight_bits=config.weight_bits, per_channel=config.per_channel), made_of)
    write_nir(quantized, arguments.out)
    return Made(network, quantized, array)


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
