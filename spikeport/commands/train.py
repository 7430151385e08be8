"""Train a spiking network; the best on validation data stays in DIR (model.safetensors, config.toml, train.json).

Whatever is not said comes from the data set's recipe. A killed run goes on with --resume and ends as if it had not been killed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from spikeport.analysis.common.numbers import counted
from spikeport.commands.options import add_json, emit, output_folder
from spikeport.commands.training import add_accelerator, add_training, training_changes
from spikeport.stages.config import run_config
from spikeport.stages.tic import TicConfig, recorder
from spikeport.stages.workspace import Workspace
from spikeport.train.data.registry import load
from spikeport.train.loop.accelerator import torch_device
from spikeport.train.loop.checkpoint import CONFIG
from spikeport.train.loop.trainer import train
from spikeport.train.settings.config import TrainConfig, read_config

EXAMPLES = """examples:
  spikeport train --data digits --out runs/digits
  spikeport train --method stbp --data mnist --data-dir data --arch 15C5-P2-40C5-P2-300 --timesteps 5 --epochs 5 --seed 1 --out runs/mnist
  spikeport train --recipe dsr-cifar10-lif-t20 --out runs/dsr
  spikeport train --recipe dsr-cifar10-lif-t20 --accelerator cuda --out runs/dsr
  spikeport train --data events --data-dir recordings --config events.toml --out runs/events
  spikeport train --data imagenet --data-dir ILSVRC2012 --out runs/imagenet
  spikeport train --resume --out runs/digits
  spikeport train --data digits --tic-every 5 --out runs/digits
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport train`."""
    add_training(parser)
    add_accelerator(parser)
    parser.add_argument("--config", type=Path, metavar="C.toml", help="a file with a [train] table; the command line overrules it")
    parser.add_argument("--out", type=output_folder, required=True, metavar="DIR")
    parser.add_argument("--resume", action="store_true", help="go on with an unfinished run in DIR, with its settings if none are said")
    parser.add_argument(
        "--tic-every", type=int, metavar="N", help="take the Fisher information on validation data after every N epochs; changes no weight"
    )
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Train and say how well."""
    config = _config(arguments)
    torch_device(arguments.accelerator)  # that it is missing is told before anything is removed
    data = load(config.data, arguments.data_dir, config.seed, config.timesteps, config.events)
    if not arguments.resume:
        Workspace(arguments.out).forget_stages()
    work = Workspace(arguments.out)
    follow = None
    if arguments.tic_every is not None:
        follow = recorder(work.tic_history, data.validation, arguments.tic_every, TicConfig(seed=config.seed))
    trained = train(config, data, work.root, resume=arguments.resume, accelerator=arguments.accelerator, on_epoch=follow)
    work.remember_data(arguments.data_dir)
    result = {name: trained.metrics[name] for name in ("epoch", "validation_accuracy", "test_accuracy")}
    best = result["test_accuracy"][-1]
    emit(
        arguments,
        result,
        f"{arguments.out}: test accuracy {best:.2%} after {counted(config.timesteps, 'timestep')}, best of epoch {result['epoch']}",
    )
    return 0


def _config(arguments: argparse.Namespace) -> TrainConfig:
    """What was said; where nothing was, a run that is taken up keeps its settings."""
    said, begun = training_changes(arguments), arguments.out / CONFIG
    if arguments.resume and begun.is_file() and not (said or arguments.config or arguments.recipe):
        return read_config(begun)
    return run_config(arguments.config, said, {}, arguments.recipe).train
