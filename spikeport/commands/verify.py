"""Compare every spike of every neuron at every step, and the readout, on each backend against the integer reference.

Exit status 1 on any difference; the first is named with layer, neuron, step and both potentials.
With --expect: against spikes recorded in the user's own framework. A file of that framework is run in float and must have every bin
(exit 1 if not); of a quantized file the agreement is told. THEIRS.npz holds `output` (samples, timesteps, classes), and where given
`spikes/<node>` and `potentials/<node>` of any node.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from spikeport.analysis.common.numbers import counted
from spikeport.commands.parts.expect import execute_expect
from spikeport.commands.parts.options import (
    MEANING,
    add_force,
    add_json,
    add_meaning,
    emit,
    output_file,
    progress_bar,
    refuse_ignored,
    usual_or,
)
from spikeport.commands.parts.sources import load_quantized
from spikeport.export.common.digest import content_digest, short
from spikeport.export.model.digest import network_digest
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.backends.simulate import BACKENDS, backend
from spikeport.hw.backends.verify import Verification, verify
from spikeport.hw.records.stimulus import Stimulus, encode, load_input
from spikeport.stages.bound import MADE_OF, Digests, write_bound
from spikeport.stages.claims import check_output, held, json_origin
from spikeport.stages.pipeline import Verified

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
    parser.add_argument("--against", type=Path, metavar="OTHER.nir", help="run the backends on this file, the reference on NET.nir")
    parser.add_argument("--expect", type=Path, metavar="THEIRS.npz", help="compare with spikes recorded elsewhere in place of backends")
    parser.add_argument("--timesteps", type=int, metavar="T", help="default: the file's")
    parser.add_argument(
        "--out", type=output_file, metavar="OUT.json", help="write the result as JSON too; spikeport report reads DIR/verify.json"
    )
    add_force(parser, "what another network or program left at --out")
    add_meaning(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Compare and report."""
    if arguments.expect:
        refuse_ignored(arguments, ["backends"], "--expect compares with a record, not with backends")
        return execute_expect(arguments)
    refuse_ignored(arguments, MEANING, "backends run quantized files, which say so themselves")
    network = load_quantized(arguments.network)
    candidate = load_quantized(arguments.against) if arguments.against else None
    names = usual_or(arguments.backends, TESTABLE)
    timesteps = network.timesteps if arguments.timesteps is None else arguments.timesteps
    array = load_input(arguments.input)
    stimulus = encode(network.input, array, timesteps)
    made_of = {"network": network_digest(network), "input": content_digest("input", array)}
    if candidate:
        made_of["against"] = network_digest(candidate)
    with held(*([arguments.out.parent] if arguments.out else [])):
        result = _compared(arguments, network, candidate, stimulus, names, made_of)
    lines = f"{describe(result)}\nnetwork {short(made_of['network'])}"
    emit(arguments, {MADE_OF: made_of, **result.to_json()}, lines)
    return 0 if result.equal else 1


def _compared(
    arguments: argparse.Namespace,
    network: QuantizedNetwork,
    candidate: QuantizedNetwork | None,
    stimulus: Stimulus,
    names: list[str],
    made_of: Digests,
) -> Verification:
    """Run, and write the result if asked."""
    if arguments.out:
        check_output(arguments.out, json_origin(Verified), made_of, force=arguments.force, home=arguments.network.parent)
    with progress_bar(len(stimulus), "verify") as progress:
        result = verify(network, stimulus, {name: backend(name) for name in names}, candidate=candidate, progress=progress)
    if arguments.out:
        write_bound(arguments.out, Verified(result), made_of)
    return result


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
