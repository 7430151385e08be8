"""Train a network with many settings; compare Fisher information, accuracy and, if asked,
robustness (Kim et al. 2023, figures 4 and 5, table 1).

Settings come from SWEEP.toml, from --vary, or both: one field at a time, the others as shared, or
with --grid every combination. A field is any of a training's config.toml, nested ones dotted
(neuron.decay, optimizer.learning_rate). Every point is a training directory below DIR. Run again
after a kill, finished points are kept and the one under way goes on; more values of a field may be
added then. With --workers, several points are trained at a time, each in a process of its own. A
DIR with points that are not in the sweep, or are with other settings, is refused; --force replaces
it. Ends in DIR/sweep.json, DIR/sweep.html and its figures in DIR/sweep_files. Exit status 1 if a
training diverged.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spikeport.analysis.common.jsonable import to_json
from spikeport.analysis.pages.sweep import robustness_rows, table_rows
from spikeport.commands.parts.options import add_force, add_json, add_print_config, emit, output_folder, progress_bar, table
from spikeport.commands.parts.training import add_accelerator, add_training
from spikeport.commands.parts.workers import add_workers, workers_of
from spikeport.export.common.errors import InputError
from spikeport.export.common.lock import locked
from spikeport.export.common.toml import parse_toml
from spikeport.stages.config import SweepConfig, said, sweep_config
from spikeport.stages.sweep import plan, run_sweep
from spikeport.train.loop.accelerator import torch_device
from spikeport.train.loop.memory import keep_freed_memory
from spikeport.train.settings.config import TrainConfig
from spikeport.train.settings.tables import to_toml

EXAMPLES = """examples:
  spikeport sweep experiments/alpha-fashion.toml --data-dir data --out runs/alpha-fashion
  spikeport sweep --data mnist --vary timesteps=4,6,8 --vary optimizer.learning_rate=0.001,0.004 --out runs/mnist-sweep
  spikeport sweep --vary loss=cross-entropy,alpha-0.001,alpha-0.01,alpha-0.07 --robustness --out runs/alpha
  spikeport sweep experiments/tssl-search.toml --data-dir data --out runs/tssl-search
  spikeport sweep --vary timesteps=4,6,8 --vary seed=0,1,2 --grid --workers 8 --out runs/seeds
  spikeport sweep --vary timesteps=4,6,8 --tic-every 1 --out runs/timesteps
  spikeport sweep --vary loss=cross-entropy,prefix-cross-entropy --weight-bits 8,4,3,2 --out runs/bits
  spikeport sweep --vary neuron='{decay=0.5,gain=0.5},{decay=0.75,gain=0.25}' --out runs/tau
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport sweep`."""
    parser.add_argument(
        "sweep", type=Path, nargs="?", metavar="SWEEP.toml", help="title, [train] and [vary]; the command line overrules it"
    )
    parser.add_argument(
        "--vary", dest="varied", action="append", default=[], metavar="FIELD=A,B,...", help="values of a field, as in TOML; may be repeated"
    )
    parser.add_argument("--grid", action="store_true", default=None, help="every combination; else one field at a time")
    parser.add_argument("--draw", type=int, metavar="N", help="of every combination N at random, the same every time; with --grid")
    parser.add_argument("--robustness", action="store_true", default=None, help="measure every point under noise, blur, FGSM and PGD too")
    parser.add_argument(
        "--weight-bits", type=_numbers, metavar="B,B,...", help="quantize every point to each, such as 8,4,3; accuracy in fixed point"
    )
    parser.add_argument("--samples", type=int, metavar="N", help="validation samples for Fisher information (default 256)")
    parser.add_argument(
        "--tic-every", type=int, metavar="N", help="follow the centroid of Fisher information, every N epochs; changes no weight"
    )
    parser.add_argument("--out", type=output_folder, required=True, metavar="DIR")
    add_force(parser, "the sweep that lies in DIR, all its points too")
    add_training(parser)
    add_accelerator(parser)
    add_workers(parser)
    add_print_config(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Plan, train, measure and print the table."""
    changes, train_changes = said(SweepConfig, arguments), said(TrainConfig, arguments)
    config = sweep_config(arguments.sweep, changes, train_changes, dict(map(_values, arguments.varied)))
    points = plan(config, str(arguments.sweep or "command line"))
    if arguments.print_config:
        print(to_toml(asdict(config)), end="")
        return 0
    torch_device(arguments.accelerator)
    keep_freed_memory()
    with locked(arguments.out), workers_of(arguments) as workers, progress_bar(len(points), "sweep", unit="point") as progress:
        ways = (progress_bar, lambda: progress(1), arguments.accelerator, workers)
        sweep = run_sweep(config, points, arguments.out, arguments.data_dir, *ways, force=arguments.force)
    tables = "\n\n".join(table([*map(tuple, rows)], tuple(head)) for head, rows in (table_rows(sweep), robustness_rows(sweep)) if rows)
    failed = "".join(f"{name}: {reason}\n" for name, reason in sweep.failed.items())
    emit(arguments, to_json(sweep), f"{tables}\n{failed}{arguments.out / 'sweep.html'}")
    return 1 if sweep.failed else 0


def go_on(arguments: argparse.Namespace) -> str:
    """How an interrupted sweep is taken up."""
    return "the same command again"


def _numbers(text: str) -> list[int]:
    """Whole numbers."""
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} should be numbers, such as 8,4,3") from None


def _values(text: str) -> tuple[str, list[Any]]:
    """FIELD=A,B as a field and its values; what is no TOML value is text."""
    name, equals, values = text.partition("=")
    if not (name and equals and values):
        raise InputError(f"--vary {text!r} must be FIELD=A,B,..., such as --vary timesteps=4,6,8")
    try:
        return name, parse_toml(f"values = [{values}]", "--vary")["values"]
    except InputError:
        return name, [value.strip() for value in values.split(",")]
