"""The same network without spikes, one pass in place of timesteps: activations of few bits in place
of neurons (a baseline), or ReLU (what a spiking network can begin with).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from spikeport.export.common.errors import InputError
from spikeport.train.data.registry import Task
from spikeport.train.network.architecture import MaxPool
from spikeport.train.network.build import stages_of
from spikeport.train.network.encoder import encoder
from spikeport.train.network.layers import Synapses
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.network.topology import INPUT, READOUT, Stage, behind_weights
from spikeport.train.settings.config import TrainConfig

WEIGHT_LEVELS = 127
"""On either side of 0, of 8 bits."""
FIRST_CLIP = 4.0
"""Of activations behind BatchNorm, whose deviation is 1; it is trained."""


class Activation(nn.Module):
    """ReLU, clipped at a trained value and rounded to 2^bits levels (PACT, Choi et al. 2018, arXiv
    1805.06085).

    Rounding passes the gradient; what is clipped gives its gradient to the clip.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.steps = 2**bits - 1
        self.clip = nn.Parameter(torch.tensor(FIRST_CLIP))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiples of clip / (2^bits - 1), 0 to clip."""
        clip = self.clip.abs().clamp_min(1e-3)
        clipped = torch.minimum(F.relu(x), clip)
        step = clip.detach() / self.steps
        return passing((clipped.detach() / step).round() * step, clipped)


class RoundedWeight(nn.Module):
    """Weights in 8 bits, symmetric, one scale a layer; rounding passes the gradient."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Multiples of largest / 127."""
        step = weight.detach().abs().max().clamp_min(1e-12) / WEIGHT_LEVELS
        return passing((weight.detach() / step).round() * step, weight)


def passing(rounded: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Rounded values with the gradient of those that they stand for (straight-through, Bengio et
    al. 2013).
    """
    return rounded + (x - x.detach())


class NetworkWithoutSpikes(nn.Module):
    """The stages of a spiking network with activations of `bits` bits; its input keeps its 8.

    Rounded as in integers, computed in float32. A recording of events is averaged over time, a
    rate-coded image goes in as it is.
    """

    def __init__(self, config: TrainConfig, task: Task, bits: int) -> None:
        super().__init__()
        self.task, self.stages = task, stages_of(config.arch, task)
        refuse_time(self.stages, "it has no baseline")
        self.encoder = encoder(task, normalise=config.normalise, code="direct")
        self.synapses = nn.ModuleDict(
            {
                s.name: nn.ModuleList(
                    Synapses(
                        path,
                        norm=config.batch_norm and s.kind == "neuron" and behind_weights(self.stages, path),
                        bias=True,
                        dropout=0.0 if path.source == INPUT else config.dropout,
                    )
                    for path in s.incoming
                )
                for s in self.stages
                if s.kind != "max_pool"
            }
        )
        self.activations = nn.ModuleDict({s.name: Activation(bits) for s in self.stages if s.kind == "neuron"})
        for module in self.synapses.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                parametrize.register_parametrization(module, "weight", RoundedWeight())

    def forward(self, x: torch.Tensor, timesteps: int = 1, *, first: int = 0) -> torch.Tensor:
        """`(N, *shape)` or `(T, N, *shape)` to the readout `(1, N, classes)`, as evaluation takes
        it. timesteps: has no meaning here.
        """
        held = x.shape[1:] == self.task.shape
        frames = self.encoder(x[None] if held else x, 1 if held else len(x), first).mean(0)
        values = {INPUT: frames}
        for stage in self.stages:
            values[stage.name] = self._run(stage, values)
        return values[READOUT][None]

    def _run(self, stage: Stage, values: dict[str, torch.Tensor]) -> torch.Tensor:
        if stage.kind == "max_pool":
            return _max_pooled(stage, values)
        paths = self.synapses[stage.name]
        assert isinstance(paths, nn.ModuleList)
        total = reduce(torch.add, [s(values[s.path.source]) for s in paths if isinstance(s, Synapses)])
        return self.activations[stage.name](total) if stage.name in self.activations else total


class Rectified(nn.Module):
    """A spiking network's own weights and BatchNorm with ReLU in place of neurons and one pass in
    place of timesteps: what DSR's neurons represent, but for their upper bound and the factor 1 /
    tau of leaky ones, which BatchNorm behind them takes up.

    activations: what each layer of neurons would stand for, in the last pass, `(N, *shape)`.
    """

    def __init__(self, network: SpikingNetwork) -> None:
        super().__init__()
        refuse_time(network.stages, "leave without_spikes_epochs out")
        self.network = network
        self.activations: dict[str, torch.Tensor] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(N, *shape)`, or `(T, N, *shape)` averaged over time, to `(N, classes)`."""
        network = self.network
        held = x.shape[1:] == network.task.shape
        values = {INPUT: network.encoder(x[None] if held else x, 1 if held else len(x), 0).mean(0)}
        for stage in network.stages:
            if stage.kind == "max_pool":
                values[stage.name] = _max_pooled(stage, values)
                continue
            values[stage.name] = reduce(torch.add, [s(values[s.path.source]) for s in network.synapses_of(stage.name)])
            if stage.name in network.neurons:
                values[stage.name] = self.activations[stage.name] = F.relu(values[stage.name])
        return values[READOUT]


def refuse_time(stages: Iterable[Stage], remedy: str) -> None:
    """InputError for delays and recurrent connections."""
    for stage in stages:
        if any(path.delays or path.lag for path in stage.incoming):
            what = "sends to itself" if any(path.lag for path in stage.incoming) else "has delays"
            raise InputError(f"{stage.name} {what}, which a network without spikes has no time for; {remedy}")


def _max_pooled(stage: Stage, values: dict[str, torch.Tensor]) -> torch.Tensor:
    (path,) = stage.incoming
    assert isinstance(path.layer, MaxPool)
    return F.max_pool2d(values[path.source], path.layer.size)
