"""Train a spiking network; the best on validation data stays in DIR (model.safetensors,
config.toml, train.json).

Whatever is not said comes from the data set's recipe. A killed run goes on with --resume and ends
as if it had not been killed. Under torchrun several processes train together, with the result of
one (docs/scale.md).
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

from spikeport.analysis.common.numbers import counted
from spikeport.commands.parts.options import add_force, add_json, add_print_config, emit, output_folder
from spikeport.commands.parts.training import add_accelerator, add_training
from spikeport.export.common.digest import short
from spikeport.stages.config import run_config, said
from spikeport.stages.folder.claims import check_place, claimed
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.tic import TicConfig, recorder
from spikeport.train.loop.accelerator import torch_device
from spikeport.train.loop.checkpoint import CONFIG, Trained, settings_digest, trained_digest
from spikeport.train.loop.memory import keep_freed_memory
from spikeport.train.loop.trainer import train
from spikeport.train.ranks.group import Ranks, joined, one_after_the_other
from spikeport.train.ranks.launch import launched, rank
from spikeport.train.ranks.shares import Share
from spikeport.train.settings.config import TrainConfig, read_config
from spikeport.train.settings.papers import PAPERS
from spikeport.train.settings.published import table
from spikeport.train.settings.tables import to_toml
from spikeport.train.settings.training_data import training_data

EXAMPLES = """examples:
  spikeport train --data digits --out runs/digits
  spikeport train --method stbp --data mnist --data-dir data --arch 15C5-P2-40C5-P2-300 --timesteps 5 --epochs 5 --seed 1 --out runs/mnist
  spikeport train --recipe dsr-cifar10-lif-t20 --out runs/dsr
  spikeport train --recipe dsr-cifar10-lif-t20 --accelerator cuda --out runs/dsr
  spikeport train --data events --data-dir recordings --config events.toml --out runs/events
  spikeport train --data imagenet --data-dir ILSVRC2012 --out runs/imagenet
  spikeport train --resume --out runs/digits
  spikeport train --recipe dsr-cifar10-lif-t20 --print-config --out runs/dsr
  spikeport train --data digits --tic-every 5 --out runs/digits
  torchrun --standalone --nproc-per-node 2 -m spikeport train --data digits --out runs/digits
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport train`."""
    add_training(parser)
    add_accelerator(parser)
    parser.add_argument("--config", type=Path, metavar="C.toml", help="a file with a [train] table; the command line overrules it")
    parser.add_argument("--out", type=output_folder, required=True, metavar="DIR")
    parser.add_argument("--resume", action="store_true", help="go on with an unfinished run in DIR, with its settings if none are said")
    parser.add_argument(
        "--tic-every", type=int, metavar="N", help="take the Fisher information on training samples after every N epochs; changes no weight"
    )
    add_force(parser, "the run that lies in DIR, and all that was made of it")
    add_print_config(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Train and say how well."""
    config = _config(arguments)
    if arguments.print_config:
        if rank() > 0:
            return 0
        print(to_toml({"train": asdict(config)}) + _differences(config, arguments.recipe), end="")
        return 0
    torch_device(arguments.accelerator)  # that it is missing is told before anything is removed
    keep_freed_memory()
    with joined(arguments.accelerator) as ranks:
        trained = _trained(arguments, config, ranks)
    if not ranks.first:
        return 0
    digest = trained_digest(trained.module, trained.config)
    result = {name: trained.metrics[name] for name in ("epoch", "validation_accuracy", "test_accuracy")}
    best = f"{result['test_accuracy'][-1]:.2%} after {counted(config.timesteps, 'timestep')}"
    text = f"{arguments.out}: test accuracy {best}, best of epoch {result['epoch']}, trained network {short(digest)}"
    emit(arguments, {"trained": digest, **result}, text)
    return 0


def _trained(arguments: argparse.Namespace, config: TrainConfig, ranks: Ranks) -> Trained:
    """What training leaves; the folder is the first process's alone."""
    Share(ranks, config.accumulate).check(config.batch_size)
    work, mode = Workspace(arguments.out), {"force": arguments.force, "resume": arguments.resume}
    if ranks.first:
        check_place(work, **mode)
    with one_after_the_other(ranks):
        data = training_data(config, arguments.data_dir)
    follow, every = None, arguments.tic_every
    if every is not None:
        looks, settings = TicConfig(seed=config.seed), {"settings": settings_digest(config)}
        follow = recorder(work.tic_history, data.train, every, looks, settings)
    with claimed(work, **mode) if ranks.first else nullcontext():
        options = {"resume": arguments.resume, "accelerator": arguments.accelerator, "on_epoch": follow, "ranks": ranks}
        trained = train(config, data, work.root, **options)
        if ranks.first:
            work.remember_data(arguments.data_dir)
    return trained


def _differences(config: TrainConfig, recipe: str | None) -> str:
    """What differs from the paper of a recipe, and why, as lines of comment."""
    rows = table(config, PAPERS[recipe]) if recipe else []
    said_here = "said on the command line or in a file"
    reasons = ((row, row.why or ("" if row.published == row.here else said_here)) for row in rows)
    return "".join(f"# {row.setting}: published {row.published}, here {row.here}: {why}\n" for row, why in reasons if why)


def go_on(arguments: argparse.Namespace) -> str:
    """How an interrupted training is taken up, once it has begun."""
    program = "torchrun ... -m spikeport" if launched() else "spikeport"
    return f"{program} train --resume --out {arguments.out}" if (arguments.out / CONFIG).is_file() else ""


def _config(arguments: argparse.Namespace) -> TrainConfig:
    """What was said; where nothing was, a run that is taken up keeps its settings."""
    changes, begun = said(TrainConfig, arguments), arguments.out / CONFIG
    if arguments.resume and begun.is_file() and not (changes or arguments.config or arguments.recipe):
        return read_config(begun)
    return run_config(arguments.config, changes, {}, arguments.recipe).train
