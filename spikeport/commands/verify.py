"""Compare every spike of every neuron at every step, and the readout, on each backend against the
integer reference.

Exit status 1 on any difference; the first is named with layer, neuron, step and both potentials.
With --lava-samples: as much of the input as fits into --lava-seconds goes through real Lava, many
samples side by side, compared with the engine; the first few in Lava's own process models, compared
with the reference. --samples then bounds what is compared with the reference, which is slow on
purpose.
With --expect: against spikes recorded in the user's own framework. A file of that framework is run
in float and must have every bin (exit 1 if not); of a quantized file the agreement is told.
THEIRS.npz holds `output` (samples, timesteps, classes), and where given `spikes/<node>` and
`potentials/<node>` of any node.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np

from spikeport.analysis.common.numbers import counted
from spikeport.cluster.files import SharedFile
from spikeport.cluster.shards import Files, Run, verified
from spikeport.commands.parts.expect import execute_expect
from spikeport.commands.parts.options import (
    MEANING,
    add_force,
    add_json,
    add_lava,
    add_meaning,
    emit,
    output_file,
    progress_bar,
    refuse_ignored,
    usual_or,
)
from spikeport.commands.parts.result import describe_lava
from spikeport.commands.parts.sources import load_quantized
from spikeport.commands.parts.workers import MANY, add_workers, files_of, many, workers_of
from spikeport.export.common.digest import content_digest, short
from spikeport.export.common.errors import InputError
from spikeport.export.model.digest import network_digest
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.backends.parts import parts_of
from spikeport.hw.backends.simulate import BACKENDS, backend
from spikeport.hw.backends.verify import Verification, verify
from spikeport.hw.records.stimulus import load_input
from spikeport.stages.config import LavaSettings, RunConfig
from spikeport.stages.folder.bound import MADE_OF, Digests, write_bound
from spikeport.stages.folder.claims import check_output, held, json_origin
from spikeport.stages.pipeline import Verified
from spikeport.stages.through_lava import lava_set

EXAMPLES = """examples:
  spikeport verify network.nir --input x.npy
  spikeport verify runs/digits/network.nir --input x.npy --backends engine,lava,onnx --out runs/digits/verify.json     for the report
  spikeport verify network.nir --against edited.nir --input x.npy     two files must mean the same
  spikeport verify anyone.nir --from snntorch --input x.npy --expect theirs.npz     our meaning must be theirs
"""
TESTABLE = tuple(name for name in BACKENDS if name != "reference")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport verify`."""
    parser.add_argument("network", type=Path, metavar="NET.nir")
    parser.add_argument(
        "--input", type=Path, required=True, metavar="X.npy", help="(samples, timesteps, *shape), or (samples, *shape) held over time"
    )
    parser.add_argument(
        "--backends", metavar="A,B", help=f"from {', '.join(TESTABLE)} (default engine,lava; Lava only where it can be imported)"
    )
    parser.add_argument("--samples", type=int, metavar="N", help="compare the first N samples with the reference (default: all)")
    add_lava(parser)
    parser.add_argument("--against", type=Path, metavar="OTHER.nir", help="run the backends on this file, the reference on NET.nir")
    parser.add_argument("--expect", type=Path, metavar="THEIRS.npz", help="compare with spikes recorded elsewhere in place of backends")
    parser.add_argument("--timesteps", type=int, metavar="T", help="default: the file's")
    parser.add_argument(
        "--out", type=output_file, metavar="OUT.json", help="write the result as JSON too; spikeport report reads DIR/verify.json"
    )
    add_force(parser, "what another network or program left at --out")
    add_meaning(parser)
    add_workers(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Compare and report."""
    if arguments.expect:
        refuse_ignored(arguments, ["backends", *MANY], "--expect compares with a record, not with backends")
        return execute_expect(arguments)
    refuse_ignored(arguments, MEANING, "backends run quantized files, which say so themselves")
    network = load_quantized(arguments.network)
    candidate = load_quantized(arguments.against) if arguments.against else None
    names = usual_or(arguments.backends, TESTABLE)
    timesteps = network.timesteps if arguments.timesteps is None else arguments.timesteps
    array = load_input(arguments.input)
    settings = _lava(arguments, candidate)
    made_of = {"network": network_digest(network), "input": content_digest("input", array)}
    if candidate:
        made_of["against"] = network_digest(candidate)
    with held(*([arguments.out.parent] if arguments.out else [])):
        result = _compared(arguments, network.with_timesteps(timesteps), candidate, names, made_of, array, settings)
    lines = [describe(result.verification), *describe_lava(result.lava), f"network {short(made_of['network'])}"]
    proof = {"lava": asdict(result.lava)} if result.lava else {}
    emit(arguments, {MADE_OF: made_of, **result.verification.to_json(), **proof}, "\n".join(lines))
    return 0 if result.equal else 1


def _compared(
    arguments: argparse.Namespace,
    network: QuantizedNetwork,
    candidate: QuantizedNetwork | None,
    names: list[str],
    made_of: Digests,
    array: np.ndarray,
    settings: LavaSettings,
) -> Verified:
    """Run, and write the result if asked."""
    if arguments.out:
        check_output(arguments.out, json_origin(Verified), made_of, force=arguments.force, home=arguments.network.parent)
    result = _verification(arguments, network, candidate, names, array if arguments.samples is None else array[: arguments.samples])
    proof, _ = lava_set(network, array, settings, progress_bar)
    outcome = Verified(result, lava=proof)
    if arguments.out:
        write_bound(arguments.out, outcome, made_of)
    return outcome


def _verification(
    arguments: argparse.Namespace, network: QuantizedNetwork, candidate: QuantizedNetwork | None, names: list[str], array: np.ndarray
) -> Verification:
    """Of backends against the reference, here or on workers."""
    timesteps = network.timesteps
    if many(arguments):
        whole = Run(files_of(arguments.network, arguments.input), timesteps, len(array), array.nbytes)
        other = Files(load_quantized, SharedFile.of(arguments.against)) if candidate else None
        with workers_of(arguments) as workers, progress_bar(len(array), "verify") as progress:
            return verified(workers, whole, names, other, progress)
    parts = parts_of(network, array, timesteps, "spikes")
    with progress_bar(len(array), "verify") as progress:
        return verify(network, parts, {name: backend(name) for name in names}, candidate=candidate, progress=progress)


def _lava(arguments: argparse.Namespace, candidate: QuantizedNetwork | None) -> LavaSettings:
    """What goes through real Lava beside the comparison with the reference; nothing unless asked."""
    if arguments.samples is not None and arguments.samples < 1:
        raise InputError(f"--samples is {arguments.samples}; compare at least 1 with the reference")
    if arguments.lava_samples and candidate:
        raise InputError("--lava-samples compares Lava with the engine on one network; leave --against out")
    if arguments.lava_samples:
        backend("lava")  # what cannot be imported is told first
    return LavaSettings(arguments.lava_samples or "0", arguments.lava_seconds or RunConfig.lava_seconds)


def describe(result: Verification) -> str:
    """The stamp in words."""
    lines = [
        f"{name}: {counted(count, 'difference') if count else 'no differences'} in {counted(result.compared, 'neuron-step')} "
        f"({counted(result.spikes, 'spike')}) and {counted(result.outputs, 'output')} of {counted(result.samples, 'sample')} "
        f"x {counted(result.timesteps, 'timestep')}"
        for name, count in result.differences.items()
    ]
    notes = [*([str(result.first)] if result.first else []), *([f"note: {result.warning}"] if result.warning else [])]
    return "\n".join([*lines, *notes])
