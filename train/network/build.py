"""From a configuration to an untrained network."""

from __future__ import annotations

import torch

from spikeport.export.common.errors import InputError
from spikeport.train.data.registry import Task
from spikeport.train.network.architecture import SHRINKING, parse
from spikeport.train.network.residual import residual
from spikeport.train.network.residual_plans import RESIDUAL
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.network.topology import Stage, chain
from spikeport.train.settings.config import TrainConfig

WEIGHTS_MAX = 1 << 31
"""8 GiB in float32, and 32 with gradients and Adam's moments; a Loihi 2 has some hundred million
synapses.
"""


def build(config: TrainConfig, task: Task) -> SpikingNetwork:
    """The network of a configuration, its weights drawn from the configuration's seed; torch's own
    generator is left as it was.

    Raises:
        InputError: the architecture is not understood or does not fit the task.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        stages = stages_of(config.arch, task)
        module = SpikingNetwork(
            task,
            stages,
            config.neuron,
            timesteps=config.timesteps,
            norm=config.batch_norm,
            bias=config.bias,
            tdbn_alpha=config.tdbn_alpha,
            readout=config.readout,
            normalise=config.normalise,
            input_code=config.input_code,
            dropout=config.dropout,
            norm_over=config.norm_over,
            stem_bias=config.stem_bias,
            initial=config.initial,
            recompute=config.recompute,
        )
    module.config = config
    return module


def stages_of(arch: str, task: Task) -> tuple[Stage, ...]:
    """The stages of a named network or one in the papers' notation.

    Raises:
        InputError: not understood, it does not fit the task, or it has more than `WEIGHTS_MAX`
            weights.
    """
    stages = residual(RESIDUAL[arch], task) if arch in RESIDUAL else chain(parse(arch), task, shrinking=arch in SHRINKING)
    weights = weight_count(stages)
    if weights > WEIGHTS_MAX:
        raise InputError(f"architecture {arch!r} has {weights:,} weights; at most {WEIGHTS_MAX:,}, so take smaller layers or pool earlier")
    return stages


def weight_count(stages: tuple[Stage, ...]) -> int:
    """Synaptic weights of all stages."""
    return sum(path.weight_count for stage in stages for path in stage.incoming)
