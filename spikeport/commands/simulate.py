"""Run a .nir file on a backend and write what came out.

A quantized file runs on every backend: engine, lava, onnx and reference in integers, torch in float
(its dequantized meaning). A file of another framework runs on torch only, with dt, integrator and
reset stated. OUT.npz holds `output` (samples, timesteps, classes), and with --record all
`spikes/<node>` for every neuron node. Index t is the response to input step t. OUT.record is a
folder of the same as .npy files, for records larger than memory.

Input may be larger than memory. What was killed or interrupted goes on with the same command.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spikeport.analysis.common.numbers import counted
from spikeport.commands.parts.options import (
    MEANING,
    add_force,
    add_json,
    add_meaning,
    emit,
    given,
    output_file,
    output_folder,
    refuse_ignored,
    silent_notes,
    table,
)
from spikeport.commands.parts.sources import is_integer, load_any, load_quantized
from spikeport.commands.parts.workers import MANY, add_workers, files_of, records_of
from spikeport.export.common.arrays import blocks
from spikeport.export.common.digest import content_digest, short
from spikeport.export.common.errors import InputError
from spikeport.export.floating.activity import Activity
from spikeport.export.floating.simulate import float_parts
from spikeport.export.model.digest import network_digest
from spikeport.export.model.input_array import shape_input
from spikeport.export.model.network import FloatNetwork, Network, QuantizedNetwork
from spikeport.hw.backends.simulate import BACKENDS, Backend, backend
from spikeport.hw.records.growing import FOLDER, GrowingRecord, growing, unfinished
from spikeport.hw.records.record import RecordLevel, SpikeRecord, answers_over_time
from spikeport.hw.records.record_file import arrays_by_name, read_made_of
from spikeport.hw.records.stimulus import load_input
from spikeport.stages.folder.claims import check_output, held

if TYPE_CHECKING:
    from spikeport.hw.engine import Profile

EXAMPLES = """examples:
  spikeport simulate network.nir --input x.npy --timesteps 8 --out out.npz
  spikeport simulate network.nir --input x.npy --backend lava --record all --out out.npz
  spikeport simulate network.nir --input x.npy --workers 8 --out out.npz
  spikeport simulate anyone.nir --backend torch --dt 1e-4 --integrator euler --reset zero --input x.npy --out out.npz
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport simulate`."""
    parser.add_argument("network", type=Path, metavar="NET.nir")
    parser.add_argument(
        "--input", type=Path, required=True, metavar="X.npy", help="(samples, timesteps, *shape), or (samples, *shape) held over time"
    )
    parser.add_argument(
        "--out",
        type=output_record,
        required=True,
        metavar="OUT.npz|OUT.record",
        help="an archive, or a folder of .npy files of the same names",
    )
    parser.add_argument("--backend", choices=["torch", *BACKENDS], default="engine")
    parser.add_argument("--timesteps", type=int, metavar="T", help="default: the file's, or the input's")
    parser.add_argument("--exit-margin", type=int, metavar="M", help="say when each sample could stop (from spikeport truncate)")
    parser.add_argument("--record", choices=["output", "all"], default="output", help="all: every spike of every neuron node too")
    parser.add_argument("--profile", action="store_true", help="say where the engine's time went, layer by layer")
    add_force(parser, "what another network or program left at --out")
    add_meaning(parser)
    add_workers(parser)
    add_json(parser)


def output_record(text: str) -> Path:
    """Where a record goes, as the `type` of an argument."""
    return output_folder(text) if Path(text).suffix == FOLDER else output_file(text)


def go_on(arguments: argparse.Namespace) -> str:
    """What an interrupted run is told."""
    return "the same command" if unfinished(arguments.out).exists() else ""


def execute(arguments: argparse.Namespace) -> int:
    """Run, write, and say what was written."""
    if arguments.exit_margin is not None and (arguments.exit_margin < 1 or arguments.backend == "torch"):
        raise InputError(
            f"--exit-margin is {arguments.exit_margin} on {arguments.backend}; give a margin of 1 or more and a backend in integers"
        )
    if given(arguments, MEANING) and is_integer(arguments.network):  # the file is opened once more only then
        refuse_ignored(arguments, MEANING, f"{arguments.network} is quantized and says so itself")
    if arguments.profile and arguments.backend != "engine":
        raise InputError(f"--profile is of the engine, not of {arguments.backend}; leave --backend out")
    if arguments.backend == "torch":
        refuse_ignored(arguments, MANY, "torch runs in this process")
    if arguments.profile:
        refuse_ignored(arguments, MANY, "--profile is of the engine in this process")
    with held(arguments.out.parent):
        summary = (_run_float if arguments.backend == "torch" else _run_integer)(arguments)
    of = f"network {short(summary['network'])}"
    lines = [f"{arguments.out}: output {summary['shape']} from {arguments.backend}, {_spikes_in_words(summary)}, {of}"]
    if "resumed_after" in summary:
        lines.append(f"went on after {counted(summary['resumed_after'], 'sample')} that an earlier run had done")
    if "exit" in summary:
        lines.append(f"early exit: {summary['exit']['mean_steps']:.2f} of {summary['shape'][1]} timesteps on average")
    lost = {name: count for name, count in summary.get("overflows", {}).items() if count}
    if lost:
        lines.append(f"warning: registers left their range, neuron-steps by node: {lost}")
    lines += [f"note: {name}: {note}" for name, note in summary.get("notes", {}).items()]
    if "profile" in summary:
        lines.append(_profile_table(summary))
    emit(arguments, summary, "\n".join(lines), silent_notes(summary["spikes_by_node"]))
    return 0


def _profile_table(summary: dict) -> str:
    """Processor time by layer and work, in microseconds per sample and timestep."""
    samples, steps = summary["shape"][0] - summary.get("resumed_after", 0), summary["shape"][1]
    if not samples:
        return "profile: nothing was left to run"
    whole = sum(share["seconds"] for share in summary["profile"]) or 1.0
    rows = [
        (s["name"], s["work"], s["how"], f"{1e6 * s['seconds'] / samples / steps:.2f}", f"{s['seconds'] / whole:.0%}")
        for s in summary["profile"]
    ]
    return table(rows, ("layer", "work", "how", "us a sample and step", "share"))


def _spikes_in_words(summary: dict) -> str:
    """The same count under the same words, whatever the backend."""
    nodes = len(summary["spikes_by_node"])
    return f"{counted(summary['spikes'], 'spike')} in {counted(nodes, 'layer')}, {counted(summary['output_spikes'], 'spike')} in the output"


def _run_integer(arguments: argparse.Namespace) -> dict:
    network = load_quantized(arguments.network)
    array = load_input(arguments.input)
    timesteps, source = _timesteps(arguments.timesteps, network, array), partial(files_of, arguments.network, arguments.input)
    level: RecordLevel = "spikes" if arguments.record == "all" else "counts"
    run, profile = _backend(arguments)
    with _growing(arguments, network, array, timesteps) as (made_of, grown):
        how, before = {"name": arguments.backend, "level": level, "run": run, "first": grown.done}, grown.done
        with records_of(arguments, network, array, timesteps, source=source, **how) as records:
            for record in records:
                grown.append(arrays_by_name(record), _added(grown.tally, network, record))
        output, tally = grown.array("output"), grown.tally
        return {
            **made_of,
            **_summary(network, output, tally["spikes"], before),
            "overflows": tally["overflows"],
            **({"notes": tally["notes"]} if tally["notes"] else {}),
            **({"profile": profile.to_json()} if profile else {}),
            **({"exit": _exit(network, output, arguments.exit_margin)} if arguments.exit_margin else {}),
        }


def _added(tally: dict, network: QuantizedNetwork, record: SpikeRecord) -> dict:
    """What holds of all samples once these have come."""
    spikes = {p.name: int(record.spike_counts[p.name].sum()) for p in network.populations if p.neuron.spiking}
    before, lost = tally.get("spikes", {}), tally.get("overflows", {})
    return {
        "spikes": {name: count + before.get(name, 0) for name, count in spikes.items()},
        "overflows": {name: count + lost.get(name, 0) for name, count in record.overflows.items()},
        "notes": {**tally.get("notes", {}), **record.notes},
    }


def _backend(arguments: argparse.Namespace) -> tuple[Backend, Profile | None]:
    """The backend, and the profile that it fills where one is asked for."""
    if not arguments.profile:
        return backend(arguments.backend), None
    from spikeport.hw import engine  # noqa: PLC0415

    profile = engine.Profile()
    return partial(engine.run, profile=profile), profile


@contextmanager
def _growing(
    arguments: argparse.Namespace, network: Network, array: np.ndarray, timesteps: int
) -> Iterator[tuple[dict[str, str], GrowingRecord]]:
    """Digests of the network and of the input, and the record at --out; what lies there must be of
    the like, or not count.
    """
    made_of = {"network": network_digest(network), "input": content_digest("input", array)}
    check_output(arguments.out, read_made_of, made_of, force=arguments.force)
    run = {"backend": arguments.backend, "record": arguments.record, "timesteps": timesteps}
    with growing(arguments.out, run, made_of, len(array), force=arguments.force) as grown:
        yield made_of, grown


def _exit(network: QuantizedNetwork, output: np.ndarray, margin: int) -> dict:
    """Timesteps after which each sample stops, and its answer there."""
    from spikeport.analysis.decision.early_exit import exit_steps, margins_over_time  # noqa: PLC0415  slow to import, seldom needed

    found = []
    for part in blocks(output):
        steps = exit_steps(margins_over_time(part, network.readout), margin)
        found.append((steps, answers_over_time(part, network.readout)[np.arange(len(steps)), steps - 1]))
    steps, answers = map(np.concatenate, zip(*found))
    return {"steps": steps.tolist(), "answers": answers.tolist(), "mean_steps": float(steps.mean())}


def _run_float(arguments: argparse.Namespace) -> dict:
    network = load_any(arguments)
    array = load_input(arguments.input)
    timesteps, activity = _timesteps(arguments.timesteps, network, array), Activity(network)
    shape_input(network.input, array, timesteps)
    with _growing(arguments, network, array, timesteps) as (made_of, grown):
        activity.spikes.update(grown.tally.get("spikes", {}))
        before, every = grown.done, arguments.record == "all"
        for arrays in float_parts(network, array, timesteps, first=before, record=every, observe=activity):
            grown.append(arrays, {"spikes": dict(activity.spikes)})
        return {**made_of, **_summary(network, grown.array("output"), grown.tally["spikes"], before)}


def _summary(network: Network, output: np.ndarray, spikes: dict[str, int], before: int) -> dict:
    """spikes: of every spiking node of the network together; output_spikes: of the readout, 0 where
    it does not spike. before: samples that an earlier process did.
    """
    return {
        "shape": list(output.shape),
        **({"resumed_after": before} if before else {}),
        "spikes": sum(spikes.values()),
        "output_spikes": spikes.get(network.output, 0),
        "spikes_by_node": spikes,
    }


def _timesteps(asked: int | None, network: Network, array: np.ndarray) -> int:
    """T as asked for; else the file's for a quantized network, else the input's length."""
    if asked is not None:
        return asked
    if not isinstance(network, FloatNetwork):
        return network.timesteps
    if array.ndim == len(network.input.shape) + 2:
        return array.shape[1]
    raise InputError("the input has no time axis; say how long to hold it with --timesteps")
