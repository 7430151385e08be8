"""Fisher information over time and its centroid (Kim et al., AAAI 2023, equations 6 and 7), for any
spiking torch module.

    I_t = mean over samples of || d/d(theta) log p(y | x, steps i <= t) ||^2        IC = sum(t I_t) / sum(I_t)

The gradient is each sample's own, as equation 6 has it. The authors' script squares the gradient of
a batch's mean instead; for a batch of B independent samples that estimates I_t / B + (1 - 1/B)
||mean gradient||^2, offered as estimator "batch". (It also draws new augmented data for every t and
runs the model anew for every t; here every t sees the same data.)

I_t accumulates, so a step that adds nothing leaves I_t as it was. What step t adds is its
innovation,

    D_t = mean over samples of || d/d(theta) [log p(y | x, i <= t) - log p(y | x, i <= t-1)] ||^2,

zero exactly where step t changes nothing, never negative. For a model that is true to its data, I_t
is the sum of D_1 .. D_t: scores are martingales. The share of information still to come after T' is
the sum of D_t beyond T' over the sum of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from spikeport.analysis.common.bootstrap import METHOD, bca_intervals
from spikeport.analysis.information.per_sample import Tap, tapped, untapped_parameters
from spikeport.analysis.information.scores import Estimator, GradientNorms, Labels, Question, SoftmaxOf, batch_norms, sample_norms
from spikeport.export.common.errors import InputError
from spikeport.export.common.tabular import Table, Tabular

CONFIDENCE = 0.95
Curves = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Intervals:
    """Confidence limits (low, high) over samples, or over batches with estimator "batch".

    per_step: of I_t. to_come: of the share still to come after t. centroid: of the centroid.
    """

    per_step: tuple[tuple[float, float], ...]
    to_come: tuple[tuple[float, float], ...]
    centroid: tuple[float, float]
    confidence: float = CONFIDENCE
    method: str = METHOD


@dataclass(frozen=True, repr=False)
class FisherResult(Tabular):
    """Fisher information of a model on a data set; index t - 1 of every tuple belongs to timestep
    t.

    per_step: I_t. standard_error: of I_t over samples. innovation: D_t. per_layer: I_t of each
    layer's own parameters, by module name; they sum to I_t, as do per_block (layers taken together)
    and per_group (by kind of parameter). samples: how many. labels: "true" (as published) or
    "sampled" from the model's p at each t. readout: what the softmax is taken of, see `SoftmaxOf`.
    seed: of sampled labels, of noise in the model, of the intervals. left_out: trained parameters
    that are not in the sums (with estimator "sample": thresholds, time constants). batch: samples
    whose mean gradient is squared, 1 for estimator "sample". intervals: None where there are fewer
    than two samples or batches, or no information.
    """

    per_step: tuple[float, ...]
    standard_error: tuple[float, ...]
    innovation: tuple[float, ...]
    per_layer: Curves
    samples: int
    labels: Labels
    readout: SoftmaxOf
    seed: int
    left_out: tuple[str, ...] = ()
    per_block: Curves = field(default_factory=dict)
    per_group: Curves = field(default_factory=dict)
    estimator: Estimator = "sample"
    batch: int = 1
    intervals: Intervals | None = None

    @property
    def timesteps(self) -> int:
        """T."""
        return len(self.per_step)

    @property
    def informative(self) -> bool:
        """Whether there is any information.

        There is none where no weight moves the answer: with one output, or without a spike.
        """
        return any(self.per_step)

    @property
    def centroid(self) -> float | None:
        """Information centroid, equation 7, in timesteps from 1; None without information."""
        return float(centroid(np.array(self.per_step))) if self.informative else None

    @property
    def to_come(self) -> tuple[float, ...]:
        """Share of the information, 0 to 1, that arrives after each timestep."""
        return tuple(share_to_come(np.array(self.innovation)).tolist())

    def table(self) -> Table:
        """I_t, its standard error, D_t and the share still to come, a row per timestep."""
        where = f"centroid {self.centroid:.2f}" if self.centroid else "no information"
        columns = {
            "timestep": range(1, self.timesteps + 1),
            "information": self.per_step,
            "standard error": self.standard_error,
            "innovation": self.innovation,
            "still to come": self.to_come,
        }
        title = f"T = {self.timesteps}, {where}, {self.samples:,} samples, {self.labels} labels"
        return Table(title, columns, "timestep", ("information", "innovation"), "Fisher information")

    def proposal(self, share: float = 0.05) -> int | None:
        """Smallest T' with at most `share` of the information still to come; None without any."""
        if not self.informative:
            return None
        return 1 + next(i for i, rest in enumerate(self.to_come) if rest <= share)


def centroid(per_step: np.ndarray) -> np.ndarray:
    """Equation 7 of I_t `(..., T)`; the middle where all are 0.

    That happens where a resampling draws only samples without information.
    """
    steps, total = np.arange(1, per_step.shape[-1] + 1), per_step.sum(-1)
    return np.where(total > 0, per_step @ steps / np.where(total > 0, total, 1), steps.mean())


def share_to_come(innovation: np.ndarray) -> np.ndarray:
    """Share after each timestep of D_t `(..., T)`; 0 where there is no information at all."""
    after = innovation[..., ::-1].cumsum(-1)[..., ::-1] - innovation
    after[..., -1] = 0
    total = innovation.sum(-1, keepdims=True)
    return after / np.where(total > 0, total, 1)


def normalised(curves: Curves, by: Literal["peak", "sum"] = "peak") -> dict[str, tuple[float, ...]]:
    """Each layer's curve divided by its own largest value or sum.

    So layers of any size can be compared over time (figure 3). The paper says that figure 3 is
    normalised, not how.
    """
    scale = {name: (max if by == "peak" else sum)(values) or 1.0 for name, values in curves.items()}
    return {name: tuple(value / scale[name] for value in values) for name, values in curves.items()}


def parent(layer: str) -> str:
    """The module that holds a layer: a block, where nothing better is known."""
    return layer.rpartition(".")[0] or layer


def fisher_information(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    timesteps: int,
    *,
    estimator: Estimator = "sample",
    labels: Labels = "true",
    readout: SoftmaxOf = "mean",
    fresh: bool = False,
    block: Callable[[str], str] = parent,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> FisherResult:
    """Estimate I_t for t = 1 .. T from one forward and T backward passes per batch.

    Args:
        model: called as `model(x, timesteps)`, gives outputs per step `(T, N, classes)`; run in
            inference mode. A model that draws random numbers draws them from `seed`; torch's
            generator is left as it was.
        batches: pairs of x `(N, *input)` or `(T, N, *input)` and labels y `(N,)`. Layers may see N
            or T*N rows, time-major. With estimator "batch" each is one unit of the average, so all
            must be of one size.
        timesteps: T.
        estimator, labels, readout: see `FisherResult`.
        fresh: run the model anew for t timesteps for every t (see `scores.Question`).
        block: from a layer's name to its block's.
        seed: see `FisherResult`.
        progress: called with the number of samples finished.

    Raises:
        InputError: no data, batches of several sizes for estimator "batch", or nothing trainable.
    """
    question = Question(timesteps, labels, readout, fresh)
    with in_evaluation(model), torch.random.fork_rng(), tapped(model) if estimator == "sample" else nullcontext() as taps:
        torch.manual_seed(seed)
        _check_trainable(model, taps)
        measure = batch_norms if taps is None else partial(sample_norms, taps=taps)
        generator = torch.Generator().manual_seed(seed)
        norms, sizes = _measure_batches(model, batches, partial(measure, question=question, generator=generator), progress)
    _check_batches(sizes, estimator)
    return FisherResult(
        **_averages(norms, block, seed),
        samples=sum(sizes),
        labels=labels,
        readout=readout,
        seed=seed,
        left_out=untapped_parameters(model, {layer for layer, _ in norms[0].parts}) if estimator == "sample" else (),
        estimator=estimator,
        batch=sizes[0] if estimator == "batch" else 1,
    )


def _check_trainable(model: nn.Module, taps: Sequence[Tap] | None) -> None:
    """Refuse a model without anything to differentiate by. taps: None for estimator "batch"."""
    name = type(model).__name__
    if taps is None and not any(p.requires_grad for p in model.parameters()):
        raise InputError(f"{name} has no trainable parameter to take Fisher information of")
    if taps is not None and not taps:
        raise InputError(f"{name} has no linear, convolution or batch-norm layer to take Fisher information of")


def _measure_batches(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    measure: Callable[..., GradientNorms],
    progress: Callable[[int], None] | None,
) -> tuple[list[GradientNorms], list[int]]:
    """Norms and number of samples of every batch, moved to where the model is."""
    device = next((p.device for p in model.parameters()), None)
    norms: list[GradientNorms] = []
    sizes: list[int] = []
    for x, y in batches:
        norms.append(measure(model, x=x.to(device), y=y.to(device)))
        sizes.append(len(y))
        if progress:
            progress(len(y))
    return norms, sizes


def _check_batches(sizes: Sequence[int], estimator: Estimator) -> None:
    """Refuse what has no average: no batch, or for estimator "batch" batches of unlike size."""
    if not sizes:
        raise InputError("Fisher information needs at least one sample")
    if estimator == "batch" and len(set(sizes)) > 1:
        raise InputError(f"the batch estimator needs batches of one size, got {sorted(set(sizes))}")


def _averages(norms: Sequence[GradientNorms], block: Callable[[str], str], seed: int) -> dict[str, Any]:
    """The fields of a result that are averages over units."""
    parts = {part: np.concatenate([each.parts[part] for each in norms], axis=1) for part in norms[0].parts}
    totals = np.sum(list(parts.values()), axis=0)
    innovation = np.concatenate([each.innovation for each in norms], axis=1)
    return {
        "per_step": tuple(totals.mean(axis=1).tolist()),
        "standard_error": tuple((totals.std(axis=1) / np.sqrt(totals.shape[1])).tolist()),
        "innovation": tuple(innovation.mean(axis=1).tolist()),
        "per_layer": _summed((layer, values) for (layer, _), values in parts.items()),
        "per_block": _summed((block(layer), values) for (layer, _), values in parts.items()),
        "per_group": _summed((group, values) for (_, group), values in parts.items()),
        "intervals": _intervals(totals, innovation, seed) if totals.shape[1] > 1 and totals.any() else None,
    }


def _summed(curves: Iterable[tuple[str, np.ndarray]]) -> dict[str, tuple[float, ...]]:
    total: dict[str, np.ndarray] = {}
    for name, norms in curves:
        total[name] = total.get(name, 0) + norms.mean(axis=1)
    return {name: tuple(values.tolist()) for name, values in total.items()}


def _intervals(totals: np.ndarray, innovation: np.ndarray, seed: int) -> Intervals:
    steps = len(totals)

    def statistic(means: np.ndarray) -> np.ndarray:
        per_step, change = means[..., :steps], means[..., steps:]
        return np.concatenate([per_step, share_to_come(change), centroid(per_step)[..., None]], axis=-1)

    limits = [
        tuple(pair) for pair in bca_intervals(np.concatenate([totals, innovation]).T, statistic, confidence=CONFIDENCE, seed=seed).tolist()
    ]
    return Intervals(per_step=tuple(limits[:steps]), to_come=tuple(limits[steps : 2 * steps]), centroid=limits[-1])


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
