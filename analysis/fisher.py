"""Fisher information over time and its centroid (Kim et al., AAAI 2023, equations 6 and 7), for any spiking torch module.

    I_t = mean over samples of || d/d(theta) log p(y | x, steps i <= t) ||^2        IC = sum(t I_t) / sum(I_t)

The gradient is each sample's own, as equation 6 has it (the authors' script squares the gradient of a batch of 16, draws
new augmented data for every t and runs the model anew for every t; here every t sees the same data and one forward pass).

I_t accumulates, so a step that adds nothing leaves I_t as it was. What step t adds is its innovation,

    D_t = mean over samples of || d/d(theta) [log p(y | x, i <= t) - log p(y | x, i <= t-1)] ||^2,

zero exactly where step t changes nothing, never negative. For a model that is true to its data, I_t is the sum of D_1 .. D_t:
scores are martingales. The share of information still to come after T' is the sum of D_t beyond T' over the sum of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from spikeport.analysis.per_sample import Tap, tapped, untapped_parameters
from spikeport.export.errors import InputError

Labels = Literal["true", "sampled"]
Readout = Literal["mean", "sum", "last"]
"""What the softmax is taken of at t: the outputs accumulated so far as their mean (what cross-entropy on the time-mean trains,
and what the authors' script has) or as their sum; or the last output, for a membrane potential."""


@dataclass(frozen=True)
class FisherResult:
    """Fisher information of a model on a data set; index t - 1 of every tuple belongs to timestep t.

    per_step: I_t. standard_error: of I_t over samples. innovation: D_t. per_layer: I_t of each layer's own parameters, by
    module name; they sum to I_t. samples: how many. labels: "true" (as published) or "sampled" from the model's p at each t.
    readout: what the softmax is taken of, see `Readout`. seed: of sampled labels.
    left_out: trained parameters that are not in the sums (thresholds, time constants).
    """

    per_step: tuple[float, ...]
    standard_error: tuple[float, ...]
    innovation: tuple[float, ...]
    per_layer: dict[str, tuple[float, ...]]
    samples: int
    labels: Labels
    readout: Readout
    seed: int
    left_out: tuple[str, ...] = ()

    @property
    def timesteps(self) -> int:
        """T."""
        return len(self.per_step)

    @property
    def centroid(self) -> float:
        """Information centroid, equation 7, in timesteps from 1; the middle where there is no information at all."""
        total = sum(self.per_step)
        return sum(t * i for t, i in enumerate(self.per_step, 1)) / total if total else (1 + self.timesteps) / 2

    @property
    def to_come(self) -> tuple[float, ...]:
        """Share of the information, 0 to 1, that arrives after each timestep."""
        after = np.append(np.cumsum(self.innovation[::-1])[::-1][1:], 0)
        return tuple((after / (sum(self.innovation) or 1)).tolist())

    def proposal(self, share: float = 0.05) -> int:
        """Smallest T' after which at most `share` of the information is still to come."""
        return 1 + next(i for i, rest in enumerate(self.to_come) if rest <= share)


def fisher_information(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    timesteps: int,
    *,
    labels: Labels = "true",
    readout: Readout = "mean",
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> FisherResult:
    """Estimate I_t for t = 1 .. T from one forward and T backward passes per batch.

    Args:
        model: called as `model(x, timesteps)`, gives outputs per step `(T, N, classes)`; run in inference mode.
        batches: pairs of x `(N, *input)` or `(T, N, *input)` and labels y `(N,)`. Layers may see N or T*N rows, time-major.
        timesteps: T.
        labels, readout: see `FisherResult`.
        seed: of the sampled labels.
        progress: called with the number of samples finished.

    Raises:
        InputError: no data, or nothing trainable.
    """
    generator = torch.Generator().manual_seed(seed)
    norms: list[BatchNorms] = []
    with in_evaluation(model), tapped(model) as taps:
        if not taps:
            raise InputError(f"{type(model).__name__} has no linear, convolution or batch-norm layer to take Fisher information of")
        for x, y in batches:
            norms.append(_batch_norms(model, taps, x, y, timesteps, labels, readout, generator))
            if progress:
                progress(len(y))
    if not norms:
        raise InputError("Fisher information needs at least one sample")
    layers = {name: np.concatenate([n.layers[name] for n in norms], axis=1).mean(axis=1) for name in norms[0].layers}
    totals = np.concatenate([sum(n.layers.values()) for n in norms], axis=1)
    innovation = np.concatenate([n.innovation for n in norms], axis=1)
    return FisherResult(
        per_step=tuple(totals.mean(axis=1).tolist()),
        standard_error=tuple((totals.std(axis=1) / np.sqrt(totals.shape[1])).tolist()),
        innovation=tuple(innovation.mean(axis=1).tolist()),
        per_layer={name: tuple(values.tolist()) for name, values in layers.items()},
        samples=totals.shape[1],
        labels=labels,
        readout=readout,
        seed=seed,
        left_out=untapped_parameters(model),
    )


@dataclass(frozen=True)
class BatchNorms:
    """Squared gradient norms of one batch, float64 `(T, N)`: of log p per layer, and of its change by each step over all layers."""

    layers: dict[str, np.ndarray]
    innovation: np.ndarray


def _batch_norms(model, taps: list[Tap], x: Tensor, y: Tensor, timesteps: int, labels: Labels, readout: Readout, generator) -> BatchNorms:
    for tap in taps:
        tap.clear()
    log_p = log_probabilities(model(x, timesteps), readout)
    captured = [output for tap in taps for output in tap.outputs]
    before: list[Tensor] | None = None
    layers: dict[str, list[np.ndarray]] = {tap.name: [] for tap in taps if tap.outputs}
    innovation = []
    for t in range(timesteps):
        drawn = y if labels == "true" else torch.multinomial(log_p[t].detach().exp().cpu(), 1, generator=generator)[:, 0].to(y)
        score = log_p[t].gather(1, drawn[:, None]).sum()
        found = torch.autograd.grad(score, captured, retain_graph=t + 1 < timesteps, allow_unused=True)
        now = [torch.zeros_like(output) if g is None else g for output, g in zip(captured, found)]
        change = [a - b for a, b in zip(now, before)] if before else now
        squares, changes = _square_norms(taps, [now, change], len(y))
        for name, values in squares.items():
            layers[name].append(values)
        innovation.append(sum(changes.values()))
        before = now
    return BatchNorms({name: np.stack(values) for name, values in layers.items()}, np.stack(innovation))


def _square_norms(taps: list[Tap], losses: list[list[Tensor]], samples: int) -> list[dict[str, np.ndarray]]:
    """Squared norms `(N,)` per layer, for each loss, from the output gradients of all calls in order."""
    rests = [iter(gradients) for gradients in losses]
    found: list[dict[str, np.ndarray]] = [{} for _ in losses]
    for tap in taps:
        calls = [[next(rest) for _ in tap.outputs] for rest in rests]
        for norms, norm in zip(found, tap.square_norms(calls, samples) if tap.outputs else []):
            norms[tap.name] = norm.double().cpu().numpy()
    return found


def log_probabilities(outputs: Tensor, readout: Readout) -> Tensor:
    """log p(y | x, i <= t), `(T, N, classes)`, from the outputs of every step."""
    flat = outputs.flatten(2)
    if readout != "last":
        flat = flat.cumsum(0)
    if readout == "mean":
        flat = flat / torch.arange(1, len(flat) + 1, device=flat.device, dtype=flat.dtype)[:, None, None]
    return flat.log_softmax(2)


@contextmanager
def in_evaluation(model: nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode (running statistics, no dropout) and back afterwards."""
    training = [layer for layer in model.modules() if layer.training]
    model.eval()
    try:
        yield
    finally:
        for layer in training:
            layer.training = True
