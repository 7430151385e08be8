"""Squared norms of score gradients after every timestep, from one batch.

Either of every sample's own gradient, or of the batch's mean gradient as published.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from spikeport.analysis.information.gradient_norms import Group, squares
from spikeport.analysis.information.per_sample import Tap

Labels = Literal["true", "sampled"]
Estimator = Literal["sample", "batch"]
SoftmaxOf = Literal["mean", "sum", "last"]
"""What the softmax is taken of at t: the outputs accumulated so far as their mean (what
cross-entropy on the time-mean trains, and what the authors' script has) or as their sum; or the
last output, for a membrane potential.
"""
GRADIENT_BYTES = 1 << 29
"""Output gradients held at a time; every timestep's, unless the network is large."""
Part: TypeAlias = "tuple[str, Group]"
"""A layer's parameters of one kind."""


@dataclass(frozen=True)
class Question:
    """What is asked of a network.

    fresh: whether every t has a run of its own, of t timesteps, instead of all sharing one of T.
    The two agree where the gradient of an answer at t ends at t. DSR's does not: its backward pass
    sees the mean of all T timesteps.
    """

    timesteps: int
    labels: Labels
    readout: SoftmaxOf
    fresh: bool


@dataclass(frozen=True)
class GradientNorms:
    """Squared gradient norms, float64 `(T, units)`; a unit is a sample or a batch.

    parts: of log p, for each layer's parameters of one kind. innovation: of what each step changes
    in log p, over all parameters together.
    """

    parts: dict[Part, np.ndarray]
    innovation: np.ndarray


def sample_norms(
    model: nn.Module, taps: Sequence[Tap], x: Tensor, y: Tensor, question: Question, generator: torch.Generator
) -> GradientNorms:
    """Every sample's own gradient, from shared passes; parameters without a tap are left out."""
    parts: dict[Part, list[Tensor]] = {}
    innovation: list[Tensor] = []
    carried: list[list[Tensor]] = []
    for t, score in _scores(model, x, y, question, generator, taps):
        used = [tap for tap in taps if tap.outputs]
        output_gradients = iter(_gradients(score, [output for tap in used for output in tap.outputs], keep=t < question.timesteps))
        carried.append([tap.joined([next(output_gradients) for _ in tap.outputs], len(y)) for tap in used])
        full = sum(g.numel() * g.element_size() for g in carried[-1]) * (len(carried) + 1) > GRADIENT_BYTES
        if t < question.timesteps and not full:
            continue
        fresh = slice(1 if innovation else 0, None)  # the first is the last of those before, there for the change from it
        change: Tensor | float = 0.0
        for tap, gradients in zip(used, zip(*carried)):
            for group, norms in tap.squares(gradients).items():
                parts.setdefault((tap.name, group), []).append(norms.own[fresh])
                change = change + norms.change[fresh].double()
        assert isinstance(change, Tensor)
        innovation.append(change)
        carried = carried[-1:]
    return GradientNorms({part: _numpy(norms) for part, norms in parts.items()}, _numpy(innovation))


def batch_norms(model: nn.Module, x: Tensor, y: Tensor, question: Question, generator: torch.Generator) -> GradientNorms:
    """The batch's mean gradient, as in the authors' script: one unit, all trainable parameters."""
    names = {name: p for name, p in model.named_parameters() if p.requires_grad}
    parts = {name: _part(model, name) for name in names}
    over_time = [
        _gradients(score / len(y), list(names.values()), keep=t < question.timesteps)
        for t, score in _scores(model, x, y, question, generator)
    ]
    own: dict[Part, Tensor] = {}
    innovation = torch.zeros(question.timesteps, 1, dtype=torch.float64)
    for name, gradients in zip(names, zip(*over_time)):
        norms = squares(torch.stack(gradients)[:, None])
        own[parts[name]] = own.get(parts[name], torch.zeros_like(innovation)) + norms.own.double().cpu()
        innovation += norms.change.double().cpu()
    return GradientNorms({part: norms.numpy() for part, norms in own.items()}, innovation.numpy())


def log_probabilities(outputs: Tensor, readout: SoftmaxOf) -> Tensor:
    """log p(y | x, i <= t), `(T, N, classes)`, from the outputs of every step."""
    flat = outputs.flatten(2)
    if readout != "last":
        flat = flat.cumsum(0)
    if readout == "mean":
        flat = flat / torch.arange(1, len(flat) + 1, device=flat.device, dtype=flat.dtype)[:, None, None]
    return flat.log_softmax(2)


def _scores(
    model: nn.Module, x: Tensor, y: Tensor, question: Question, generator: torch.Generator, taps: Sequence[Tap] = ()
) -> Iterator[tuple[int, Tensor]]:
    """t and the sum over samples of log p(y | x, i <= t), for t = 1 .. T.

    Meanwhile the taps hold the run that the sum is from.
    """
    for t in range(1, question.timesteps + 1):
        if t == 1 or question.fresh:
            for tap in taps:
                tap.clear()
            log_p = log_probabilities(model(x, t if question.fresh else question.timesteps), question.readout)
        now = log_p[t - 1]
        drawn = y if question.labels == "true" else torch.multinomial(now.detach().exp().cpu(), 1, generator=generator)[:, 0].to(y)
        yield t, now.gather(1, drawn[:, None]).sum()


def _gradients(score: Tensor, of: list[Tensor], keep: bool) -> tuple[Tensor, ...]:
    return torch.autograd.grad(score, of, retain_graph=keep, allow_unused=True, materialize_grads=True)


def _part(model: nn.Module, parameter: str) -> Part:
    layer, _, kind = parameter.rpartition(".")
    if isinstance(model.get_submodule(layer), _BatchNorm):
        return layer, "BatchNorm"
    return layer, "weights" if kind == "weight" else "biases" if kind == "bias" else "neurons"


def _numpy(norms: list[Tensor]) -> np.ndarray:
    return torch.cat(norms).double().cpu().numpy()
