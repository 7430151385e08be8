"""From a configuration to an untrained network."""

from __future__ import annotations

import torch

from spikeport.train.architecture import parse
from spikeport.train.config import TrainConfig
from spikeport.train.data import Task
from spikeport.train.network import SpikingNetwork
from spikeport.train.topology import chain


def build(config: TrainConfig, task: Task) -> SpikingNetwork:
    """The network of a configuration, its weights drawn from the configuration's seed; torch's own generator is left as it was.

    Raises:
        InputError: the architecture is not understood or does not fit the task.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        stages = chain(parse(config.arch), task)
        return SpikingNetwork(
            task,
            stages,
            config.neuron,
            timesteps=config.timesteps,
            norm=config.batch_norm,
            bias=config.bias,
            tdbn_alpha=config.tdbn_alpha,
            readout=config.readout,
        )
