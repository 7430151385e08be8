"""The spiking network that is trained: stages of neurons joined by synapses, layer by layer with
time inside.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from math import sqrt
from typing import TypeAlias

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import InputCode
from spikeport.train.data.registry import Task
from spikeport.train.network.architecture import MaxPool
from spikeport.train.network.encoder import encoder
from spikeport.train.network.layers import Synapses, rerun_contexts
from spikeport.train.network.rates import currents, max_pooled, pooled, through_rates
from spikeport.train.network.topology import INPUT, READOUT, Projection, Stage, behind_weights, windows_of_all
from spikeport.train.neurons.base import Neuron, NeuronConfig
from spikeport.train.neurons.rated import Rated, carrier
from spikeport.train.ranks.draws import numbered
from spikeport.train.settings.config import NormOver, TrainConfig
from spikeport.train.settings.initial_weights import draw_initial
from spikeport.train.settings.losses import synaptic_filter

Activity: TypeAlias = "dict[str, Rated | torch.Tensor]"
"""What each stage sends: without time between layers, or in a graph with time."""


class SpikingNetwork(nn.Module):
    """A network of stages (`train.network.topology`) with one neuron model.

    task: input and classes. timesteps: T it is trained for. norm: BatchNorm ahead of all neurons,
    norm_over: see
    `train.network.layers`. bias: a bias where there is no BatchNorm; stem_bias: also of weights
    from the input into a stream, which
    BatchNorm follows later. tdbn_alpha: tdBN's alpha, 0 for plain BatchNorm. readout: "current"
    accumulates its current and never fires, "spikes" has neurons like all other layers. normalise,
    input_code: see `train.network.encoder`. dropout: see `train.network.dropout`; not of the input.
    initial: see `train.settings.initial_weights`. recompute: in training keep of each layer only
    what its weights receive, and compute the rest again in the backward pass.

    config: what it was built from, None where stages were put together by hand.
    """

    def __init__(
        self,
        task: Task,
        stages: tuple[Stage, ...],
        neuron: NeuronConfig,
        *,
        timesteps: int,
        norm: bool = True,
        bias: bool = True,
        tdbn_alpha: float = 0.0,
        readout: str = "current",
        normalise: bool = False,
        input_code: InputCode = "direct",
        dropout: float = 0.0,
        norm_over: NormOver = "time",
        stem_bias: bool = True,
        initial: str = "torch",
        recompute: bool = False,
    ) -> None:
        super().__init__()
        if timesteps < 1:
            raise InputError(f"timesteps is {timesteps}; a network runs for at least 1")
        self.task, self.stages, self.timesteps = task, stages, timesteps
        self.config: TrainConfig | None = None
        self.readout, self.neuron_config = readout, neuron
        self._check_time(task, input_code)
        self._last_reader = {path.source: path for stage in stages for path in stage.incoming}
        self._windows = {stage.name: windows_of_all(stages, stage.name) for stage in stages}
        self.recompute = recompute
        self._stages = {stage.name: stage for stage in stages}
        self.encoder = encoder(task, normalise=normalise, code=input_code)
        spiking = [s.name for s in stages if s.kind == "neuron" or (s.kind == "readout" and readout == "spikes")]
        self.neurons = nn.ModuleDict({name: neuron.build() for name in spiking})
        self.synapses = nn.ModuleDict(
            {
                s.name: nn.ModuleList(
                    Synapses(
                        path,
                        norm=norm and self._normed(s, path),
                        bias=bias and not path.lag and (stem_bias or path.source != INPUT or s.kind != "stream"),
                        norm_over=norm_over,
                        norm_scale=_norm_scale(tdbn_alpha, neuron, s),
                        pool_factor=neuron.pool_factor(path.pool),
                        dropout=0.0 if path.source == INPUT or path.lag else dropout,
                    )
                    for path in s.incoming
                )
                for s in stages
                if s.kind != "max_pool"
            }
        )

        draw_initial(initial, [m for m in self.synapses.modules() if isinstance(m, (nn.Conv2d, nn.Linear))])

    def forward(self, x: torch.Tensor, timesteps: int | None = None, *, first: int = 0) -> torch.Tensor:
        """Run from rest.

        x: `(N, *shape)`, held over all timesteps, or `(T or more, N, *shape)`; pixels in 0..1,
        event counts, or spikes.
        first: number of the first sample, by which whatever is random is drawn; in training of the
        whole batch, in evaluation of all samples.
        Returns the readout's currents, or its neurons' output, `(T, N, classes)`; classes by their
        sum over time.
        """
        with numbered(first):
            return self._run_all(x, timesteps or self.timesteps, first)

    def _run_all(self, x: torch.Tensor, steps: int, first: int) -> torch.Tensor:
        activity = {INPUT: self._filtered(self.encoder(self._over_time(x, steps), steps, first), steps)}
        if self.training and (weights := self.neuron_config.rate_weights(steps)):
            return self._run_rates(activity[INPUT], weights)
        for stage in self.stages:
            activity[stage.name] = self._run(stage, activity, steps)
            for path in stage.incoming:
                if self._last_reader[path.source] is path:  # in evaluation that frees it
                    activity.pop(path.source, None)
        return activity[READOUT]

    def _run_rates(self, x: torch.Tensor, weights: list[float]) -> torch.Tensor:
        """Forward in training where neurons' gradients have no time, nor those between layers where
        `train.network.rates` holds.
        """
        steps = len(weights)
        activity: Activity = {INPUT: Rated(x, carrier(x))}
        for stage in self.stages:
            if stage.name in self.neurons:
                parts = [self._rated_currents(s, activity, weights) for s in self.synapses_of(stage.name)]
                windows = self._windows[stage.name] if self._read_through_rates(stage) else 1
                activity[stage.name] = self.neuron(stage.name).rated(reduce(Rated.plus, parts), steps, windows)
            elif stage.kind == "max_pool" and self._read_through_rates(stage):
                activity[stage.name] = _rated_max_pool(stage, activity, weights)
            else:
                sources = {path.source: _in_time(self._taken(activity, path), weights) for path in stage.incoming}
                activity[stage.name] = self._run(stage, sources, steps)
        return _in_time(activity[READOUT], weights)

    def _rated_currents(self, synapses: Synapses, activity: Activity, weights: list[float]) -> Rated:
        path, steps = synapses.path, len(weights)
        source = activity[path.source]
        held = isinstance(source, Rated) and len(source.values) < steps
        if not held and through_rates(synapses, self._stages.get(path.source)):
            del source  # what is taken, often the largest tensor there is, goes before the next are made
            return currents(synapses, pooled(synapses, _rated(self._taken(activity, path))), weights)
        made = _over_batch(synapses, _in_time(self._taken(activity, path), weights))
        return Rated.of_currents(made.clone() if synapses.norm is None and synapses.weights is None else made, steps)

    def _read_through_rates(self, stage: Stage) -> bool:
        """Whether all that read a stage are paths for which `train.network.rates` holds."""
        return all(
            reader.name in self.neurons and through_rates(synapses, stage)
            for reader in self.stages
            if reader.kind != "max_pool"
            for synapses in self.synapses_of(reader.name)
            if synapses.path.source == stage.name
        )

    def _taken(self, activity: Activity, path: Projection) -> Rated | torch.Tensor:
        """What a path reads, gone from the activity where nothing reads it later."""
        return (activity.pop if self._last_reader[path.source] is path else activity.__getitem__)(path.source)

    def _check_time(self, task: Task, code: InputCode) -> None:
        """Refuse recurrence that the method has no gradient for, and delays of what never changes."""
        for stage in self.stages:
            if any(path.lag for path in stage.incoming) and not self.neuron_config.recurs:
                raise InputError(f"{stage.name} sends to itself, which only stbp trains; leave the R out, or choose --method stbp")
            held = task.code == "direct" and code == "direct"
            if held and any(path.delays and path.source == INPUT for path in stage.incoming):
                raise InputError(f"{stage.name} would delay an image that is held over time; put the delays behind spikes")

    def _normed(self, stage: Stage, path: Projection) -> bool:
        """BatchNorm stands ahead of neurons, behind weights or a stream; spikes skip it, and so do
        a stage's own.
        """
        return stage.name in self.neurons and not path.lag and behind_weights(self.stages, path)

    @property
    def neuron_count(self) -> int:
        """Neurons of all stages that fire."""
        return sum(int(np.prod(stage.shape)) for stage in self.stages if stage.name in self.neurons)

    @property
    def widest(self) -> int:
        """Size of the largest stage."""
        return max(int(np.prod(stage.shape)) for stage in self.stages)

    def neuron(self, name: str) -> Neuron:
        """The neurons of a stage."""
        neuron = self.neurons[name]
        assert isinstance(neuron, Neuron)
        return neuron

    def synapses_of(self, name: str) -> list[Synapses]:
        """The synapses into a stage, in the order of its paths."""
        paths = self.synapses[name]
        assert isinstance(paths, nn.ModuleList)
        return [s for s in paths if isinstance(s, Synapses)]

    def _over_time(self, x: torch.Tensor, timesteps: int) -> torch.Tensor:
        """`(1, N, *shape)` for held input, so that what depends on it alone is computed once; else
        `(T, N, *shape)`.
        """
        if x.shape[1:] == self.task.shape:
            return x[None]
        if x.shape[2:] != self.task.shape or len(x) < timesteps:
            expected = f"(samples, *{self.task.shape}) or ({timesteps} timesteps or more, samples, *{self.task.shape})"
            raise InputError(f"input has shape {tuple(x.shape)}; expected {expected}")
        return x[:timesteps]

    def _filtered(self, x: torch.Tensor, timesteps: int) -> torch.Tensor:
        """What the input's synapses make of it, where the neuron model has such a filter."""
        tau = self.neuron_config.input_filter
        return x if tau == 1 else synaptic_filter(x.expand(timesteps, *x.shape[1:]), tau)

    def _run(self, stage: Stage, activity: dict[str, torch.Tensor], timesteps: int) -> torch.Tensor:
        if stage.kind == "max_pool":
            return _max_pool(stage, activity)
        received = [_over_batch(s.received, activity[s.path.source]) for s in self.synapses_of(stage.name) if not s.path.lag]
        if not (self.recompute and self.training and stage.name in self.neurons):
            return self._driven(stage, received, timesteps)
        contexts = partial(rerun_contexts, [s.norm for s in self.synapses_of(stage.name) if s.norm is not None])
        return checkpoint(self._driven, stage, received, timesteps, use_reentrant=False, context_fn=contexts)

    def _driven(self, stage: Stage, received: list[torch.Tensor], timesteps: int) -> torch.Tensor:
        """What a stage sends, pooled already if all that read it pool alike and its neurons can.

        received: by the weights of each path from others, `(T or 1, N, ...)`.
        """
        incoming = self.synapses_of(stage.name)
        total = reduce(torch.add, [_over_batch(s.driven, x) for s, x in zip((s for s in incoming if not s.path.lag), received)])
        if stage.kind == "stream":
            return total
        if stage.name not in self.neurons:
            return total.expand(timesteps, *total.shape[1:])
        if own := [s for s in incoming if s.path.lag]:
            return self.neuron(stage.name).recurrent(total, timesteps, own[0])
        neuron, windows = self.neuron(stage.name), self._windows[stage.name]
        watched = neuron._forward_hooks or neuron._forward_pre_hooks  # by someone who wants the spikes themselves
        pooled = neuron.pooled(total, timesteps, windows) if windows > 1 and not watched else None
        return neuron(total, timesteps) if pooled is None else pooled


def _in_time(source: Rated | torch.Tensor, weights: list[float]) -> torch.Tensor:
    """In a graph with time."""
    return source.over_time(weights) if isinstance(source, Rated) else source


def _rated(source: Rated | torch.Tensor) -> Rated:
    assert isinstance(source, Rated), "currents of a graph with time do not go through rates"
    return source


def _rated_max_pool(stage: Stage, activity: Activity, weights: list[float]) -> Rated:
    (path,) = stage.incoming
    assert isinstance(path.layer, MaxPool)
    return max_pooled(_rated(activity[path.source]), path.layer.size, weights)


def _norm_scale(tdbn_alpha: float, neuron: NeuronConfig, stage: Stage) -> float:
    """tdBN's alpha * V_th, alpha over the square root of the number of paths that are joined (Zheng
    et al. 2020, section 3.2).
    """
    return tdbn_alpha * neuron.threshold / sqrt(len(stage.incoming)) if tdbn_alpha else 1.0


def _over_batch(part: Callable[[torch.Tensor, int], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """What synapses or a part of them make of `(T, N, ...)`, with time and samples as one batch."""
    return part(x.flatten(0, 1), len(x)).unflatten(0, x.shape[:2])


def _max_pool(stage: Stage, activity: dict[str, torch.Tensor]) -> torch.Tensor:
    (path,) = stage.incoming
    assert isinstance(path.layer, MaxPool)
    x = activity[path.source]
    return F.max_pool2d(x.flatten(0, 1), path.layer.size).unflatten(0, x.shape[:2])
