"""Everything: train, quantize, simulate, verify on Lava, Fisher information, truncate, report.

Ends in DIR/report.html and DIR/report.json. Whatever is not said comes from the data set's recipe;
with nothing said, the handwritten digits that ship with a dependency. Run again, it goes on where
it was stopped. Exit status 1 if a backend differs from the reference.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from spikeport.analysis.common.jsonable import to_json
from spikeport.commands.parts.foreign import add_foreign, execute_foreign
from spikeport.commands.parts.options import (
    MEANING,
    add_device,
    add_force,
    add_json,
    add_lava,
    add_per_channel,
    add_print_config,
    emit,
    output_folder,
    progress_bar,
    refuse_ignored,
    usual_or,
)
from spikeport.commands.parts.result import describe, proven
from spikeport.commands.parts.training import add_accelerator, add_training
from spikeport.commands.verify import TESTABLE
from spikeport.export.common.errors import InputError
from spikeport.stages.baseline import check_baseline
from spikeport.stages.config import RunConfig, run_config, said
from spikeport.stages.folder.claims import check_place, claimed
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.trained import TrainedSession
from spikeport.stages.whole import all_stages
from spikeport.train.loop.accelerator import torch_device
from spikeport.train.loop.memory import keep_freed_memory
from spikeport.train.loop.trainer import train
from spikeport.train.settings.config import TrainConfig
from spikeport.train.settings.tables import to_toml
from spikeport.train.settings.training_data import training_data

EXAMPLES = """examples:
  spikeport run --out runs/demo
  spikeport run --data mnist --data-dir data --arch 15C5-P2-40C5-P2-300 --timesteps 5 --out runs/mnist
  spikeport run --config run.toml --out runs/mine
  spikeport run --data mnist --print-config > run.toml
  spikeport run --nir anyone.nir --from snntorch --reset subtract --input x.npy --targets y.npy --expect theirs.npz --out runs/mine
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport run`."""
    add_training(parser)
    add_accelerator(parser)
    add_foreign(parser)
    parser.add_argument("--config", type=Path, metavar="C.toml", help="settings of every stage; the command line overrules it")
    parser.add_argument("--out", type=output_folder, default=Path("runs/run"), metavar="DIR", help="default runs/run")
    parser.add_argument("--weight-bits", type=int, metavar="B", help="2 to 8")
    add_per_channel(parser, default=None)
    parser.add_argument("--tolerance", type=float, metavar="P", help="accuracy loss in percentage points that T' may cost")
    add_device(parser, default=None)
    parser.add_argument("--backends", dest="verify_backends", metavar="A,B", help=f"to verify on, from {', '.join(TESTABLE)}")
    parser.add_argument("--verify-samples", type=int, metavar="N", help="test samples compared with the reference, spike for spike")
    add_lava(parser)
    parser.add_argument(
        "--baselines",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="also train the same network without spikes, which the report compares with (spikeport baseline)",
    )
    add_force(parser, "the run that lies in DIR, training and all")
    add_print_config(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Run every stage and print the result table."""
    config = run_config(arguments.config, said(TrainConfig, arguments), said(RunConfig, arguments), arguments.recipe)
    if arguments.print_config:
        print(to_toml(asdict(config)), end="")
        return 0
    unsaid = arguments.verify_backends is None and config.verify_backends == RunConfig.verify_backends
    backends = usual_or(None if unsaid else config.verify_backends, TESTABLE)
    if arguments.nir:
        if config.baselines:
            raise InputError(
                "--baselines trains the network without spikes, which a network from elsewhere gives no settings for; leave it out"
            )
        refuse_ignored(arguments, ["accelerator"] * (arguments.accelerator != "cpu"), "--nir trains nothing")
        return execute_foreign(arguments, config, backends)
    refuse_ignored(arguments, ["input", "targets", "expect", *MEANING], "it belongs to --nir NET.nir, and the data set is named by --data")
    torch_device(arguments.accelerator)
    keep_freed_memory()
    work, data_dir = Workspace(arguments.out), Path(config.data_dir) if config.data_dir else None
    check_place(work, force=arguments.force)
    data = training_data(config.train, data_dir)
    if config.baselines:
        check_baseline(config.train, data)
    with claimed(work, force=arguments.force):
        trained = train(config.train, data, work.root, resume=True, accelerator=arguments.accelerator)
        work.remember_data(data_dir)
        session = TrainedSession(work, trained, data, progress_bar)
        report = all_stages(session, config, backends)
    emit(arguments, to_json(report), describe(report, work), session.notes)
    return 0 if proven(report) else 1


def go_on(arguments: argparse.Namespace) -> str:
    """How an interrupted run is taken up."""
    return "the same command again"
