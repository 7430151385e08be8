"""`spikeport run --nir`: a network of another framework through the whole path but for training."""

from __future__ import annotations

import argparse
from pathlib import Path

from spikeport.analysis.common.jsonable import to_json
from spikeport.commands.parts.options import add_meaning, emit, progress_bar
from spikeport.commands.parts.result import describe, proven
from spikeport.commands.parts.sources import load_foreign, natural_timesteps, one_spike_a_step
from spikeport.export.common.errors import InputError
from spikeport.export.nir.file import is_quantized
from spikeport.export.nir.graph import load_graph
from spikeport.hw.backends.expect import read_expected
from spikeport.hw.records.stimulus import load_input
from spikeport.stages.config import RunConfig
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.foreign import foreign_run
from spikeport.stages.imported import Foreign

TRAINING = ("data", "data_dir", "method", "arch", "loss", "epochs", "recipe")
"""What `--nir` leaves nothing to do for."""


def add_foreign(parser: argparse.ArgumentParser) -> None:
    """`--nir` and what belongs to it."""
    group = parser.add_argument_group("a network of another framework in place of training")
    group.add_argument("--nir", type=Path, metavar="NET.nir", help="skip training; --input and --targets are its data")
    group.add_argument("--input", type=Path, metavar="X.npy", help="(samples, timesteps, *shape), or (samples, *shape) held over time")
    group.add_argument("--targets", type=Path, metavar="Y.npy", help="class of each sample; half choose T', half confirm it")
    group.add_argument(
        "--expect", type=Path, metavar="THEIRS.npz", help="spikes recorded in the network's own framework: must be ours in float"
    )
    add_meaning(parser)


def execute_foreign(arguments: argparse.Namespace, config: RunConfig, backends: list[str]) -> int:
    """Run every stage but training and print the result; exit status 1 if spikes differ where they
    must be equal.
    """
    if said := [name for name in TRAINING if getattr(arguments, name, None) is not None]:
        raise InputError(f"--{said[0].replace('_', '-')} is about training, and --nir brings a trained network; leave one of them out")
    if not arguments.input or not arguments.targets:
        raise InputError(f"{arguments.nir} brings no data; give samples with --input X.npy and their classes with --targets Y.npy")
    foreign, work = _foreign(arguments, config.train.seed), Workspace(arguments.out)
    report = foreign_run(work, foreign, config, backends, progress_bar, force=arguments.force)
    emit(arguments, to_json(report), describe(report, work), report.all_warnings)
    return 0 if proven(report) else 1


def _foreign(arguments: argparse.Namespace, seed: int) -> Foreign:
    graph = load_graph(arguments.nir)
    if is_quantized(graph):
        raise InputError(f"{arguments.nir} is quantized already; `run` starts from another framework's file, see check, verify and cost")
    samples, labels = load_input(arguments.input), load_input(arguments.targets)
    network = load_foreign(arguments, graph)
    expected = read_expected(arguments.expect) if arguments.expect else None
    held = samples.ndim == len(network.input.shape) + 1
    recorded = expected["output"].shape[1] if expected is not None and held else None
    asked = recorded if arguments.timesteps is None else arguments.timesteps
    timesteps = natural_timesteps(network, samples) if asked is None else asked
    network = one_spike_a_step(network.with_timesteps(timesteps), samples)
    files = (arguments.input, arguments.targets)
    return Foreign(arguments.nir.name, arguments.note.splitlines()[0], network, samples, labels, seed, files, expected)
