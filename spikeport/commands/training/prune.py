"""Prune a trained network in cycles, each retrained with only as many timesteps as its Fisher
information needs (Kim et al. 2023, figure 6).

Iterative magnitude pruning: the smallest weights go, the others are trained on from where they are
(Han et al. 2015; no rewinding). Evaluated at full T. DIR2 is a training directory like any other:
quantize, truncate, report. Run again after a kill, it goes on; --force begins anew.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from spikeport.analysis.common.jsonable import to_json
from spikeport.analysis.pages.pruning import lead, table_rows
from spikeport.commands.parts.options import add_data, add_force, add_json, emit, output_folder, progress_bar, table
from spikeport.commands.parts.training import add_accelerator
from spikeport.export.common.lock import locked
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.pruning import SHARE, SHORTER, PruningConfig, prune_stage
from spikeport.stages.trained import TrainedSession
from spikeport.train.loop.accelerator import torch_device
from spikeport.train.loop.masks import Scope
from spikeport.train.loop.memory import keep_freed_memory

EXAMPLES = """examples:
  spikeport prune runs/digits --out runs/digits-pruned
  spikeport prune runs/mnist --cycles 5 --epochs 2 --out runs/mnist-pruned
  spikeport prune runs/mnist --cycles 5 --epochs 2 --t-retrain 8 --beside runs/mnist-pruned --out runs/mnist-pruned-full
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport prune`."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="a training directory")
    parser.add_argument("--out", type=output_folder, required=True, metavar="DIR2", help="where the pruned network goes")
    parser.add_argument("--cycles", type=int, default=5, metavar="N", help="default 5, as published")
    parser.add_argument(
        "--fraction", type=float, default=0.5, metavar="P", help="of the weights left, in each cycle (default 0.5, as published)"
    )
    parser.add_argument(
        "--scope", choices=get_args(Scope), default="global", help="weights compete in the network (default) or in their layer"
    )
    parser.add_argument(
        "--epochs", type=int, metavar="N", help=f"of each cycle (default: those of the first training over {SHORTER}, as published)"
    )
    parser.add_argument("--t-retrain", type=int, metavar="T", help="timesteps of retraining (default: from Fisher information)")
    parser.add_argument("--share", type=float, default=SHARE, metavar="S", help=f"of Fisher information that may be lost (default {SHARE})")
    parser.add_argument("--beside", type=Path, nargs="+", default=[], metavar="DIR3", help="other runs of prune, for the picture")
    add_force(parser, "the run that lies in DIR2, its cycles too")
    add_accelerator(parser)
    add_data(parser)
    add_json(parser)


def go_on(arguments: argparse.Namespace) -> str:
    """How an interrupted pruning is taken up."""
    return "the same command again"


def execute(arguments: argparse.Namespace) -> int:
    """Prune and print the table."""
    torch_device(arguments.accelerator)
    keep_freed_memory()
    out = Workspace(arguments.out)
    config = PruningConfig(
        cycles=arguments.cycles,
        fraction=arguments.fraction,
        scope=arguments.scope,
        epochs=arguments.epochs,
        retraining_timesteps=arguments.t_retrain,
        share=arguments.share,
    )
    session = TrainedSession.opened(arguments.directory, arguments.data_dir, progress_bar)
    with locked(out.root):
        told = {"beside": arguments.beside, "accelerator": arguments.accelerator, "force": arguments.force}
        result = prune_stage(session, out, config, **told)
        out.remember_data(arguments.data_dir or session.work.data_place())
    head, rows = table_rows(result)
    emit(
        arguments,
        to_json(result),
        f"{table([tuple(row) for row in rows], tuple(head))}\n{lead(result)}\n{out.pruning.with_suffix('.html')}",
    )
    return 0
