"""Early exit by conformal prediction sets, SpikeCP (Chen, Park and Simeone 2023, arXiv 2305.11322),
beside ours: the guarantee is of a set of classes, not of the accuracy that is lost.

At checkpoint s of S a class is left out where its score, the less it fits the larger, exceeds the
k-th smallest of those that the true classes of n calibration samples have there, k = n + 1 -
floor(a (n + 1)): where its conformal p-value is at most a. A sample stops at the first checkpoint
whose set has `LARGEST` classes or fewer, else at the last; the set must hold the true class with
probability `target`, over draws of calibration and new samples alike.

- "Bonferroni", as published: a = (1 - target) / S. Wherever a sample stops, the union bound covers
  it.
- "Simes": a class is kept while, for every k, fewer than k of the checkpoints so far leave it out
  at a = k (1 - target) / S. Smaller sets and earlier stops. The paper explores Simes' levels too;
  how it applies them over time was not at hand, and this form is ours: whatever it leaves out,
  Simes' test on all S checkpoints rejects. So it holds where p-values of checkpoints depend
  positively (Sarkar 1998), which one sample's do as far as simulations show, not in general.

Score of a class: the largest score of the readout less its own, integers of the chip. That is the
published -log softmax in the limit of a low temperature, and it needs no exponential. Bonferroni's
sets are never empty; Simes', which remember earlier checkpoints, may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias, get_args

import numpy as np

Correction: TypeAlias = Literal["Bonferroni", "Simes"]
CORRECTIONS: tuple[Correction, ...] = get_args(Correction)
TARGETS = (0.9, 0.95, 0.99)
"""Probabilities that the set holds the true class; fixed before any data is seen."""
CHECKPOINTS = 8
"""At most so many, evenly over time: each costs a share of the error."""
LARGEST = 1
"""Classes of a set that a sample stops with (the paper's I_th): an answer, as ours gives one."""


@dataclass(frozen=True)
class ConformalExit:
    """One target and correction.

    checkpoints: timesteps, from 1. thresholds: by checkpoint and level of the correction; None
    leaves no class out, because calibration samples are too few. samples: of calibration.

    On test data: coverage, the share of sets that hold the true class; set_size, their mean size;
    accuracy of the largest score where a sample stops; exits, the share that stops after 1 .. T
    timesteps.
    """

    target: float
    correction: Correction
    checkpoints: tuple[int, ...]
    thresholds: tuple[tuple[int | None, ...], ...]
    samples: int
    coverage: float
    set_size: float
    accuracy: float
    exits: tuple[float, ...]

    @property
    def name(self) -> str:
        """For tables."""
        return f"SpikeCP, {self.correction}, {100 * self.target:g} %"

    @property
    def mean_steps(self) -> float:
        """Mean number of timesteps on test data."""
        return float(np.dot(self.exits, np.arange(1, len(self.exits) + 1)))

    def steps(self, scores: np.ndarray) -> np.ndarray:
        """Timesteps, 1 .. T, after which samples with such scores stop, int64 `(samples,)`. scores:
        `(samples, T, classes)` (`hw.records.record.class_scores`).
        """
        sets = prediction_sets(_unfit(scores, self.checkpoints), self.thresholds, self.correction)
        return np.array(self.checkpoints)[_stops(sets)]


def conformal_exits(calibration: np.ndarray, known: np.ndarray, test: np.ndarray, labels: np.ndarray) -> tuple[ConformalExit, ...]:
    """Every target and correction, calibrated on one part of the data and looked at on another.

    Args:
        calibration, test: scores `(samples, T, classes)`. known, labels: their classes
            `(samples,)`.
    """
    return tuple(_exit(target, correction, calibration, known, test, labels) for target in TARGETS for correction in CORRECTIONS)


def _exit(
    target: float, correction: Correction, calibration: np.ndarray, known: np.ndarray, test: np.ndarray, labels: np.ndarray
) -> ConformalExit:
    times = checkpoints(test.shape[1])
    thresholds = calibrated(_unfit(calibration, times), known, target, correction)
    sets = prediction_sets(_unfit(test, times), thresholds, correction)
    stops, each = _stops(sets), np.arange(len(test))
    steps = np.array(times)[stops]
    final, exits = sets[each, stops], np.bincount(steps, minlength=test.shape[1] + 1)[1:] / len(test)
    return ConformalExit(
        target=target,
        correction=correction,
        checkpoints=times,
        thresholds=thresholds,
        samples=len(calibration),
        coverage=float(final[each, labels].mean()),
        set_size=float(final.sum(axis=1).mean()),
        accuracy=float((test[each, steps - 1].argmax(axis=1) == labels).mean()),
        exits=tuple(exits.tolist()),
    )


def checkpoints(timesteps: int) -> tuple[int, ...]:
    """Timesteps, from 1, at which a sample may stop; T is one."""
    count = min(timesteps, CHECKPOINTS)
    return tuple(-(-s * timesteps // count) for s in range(1, count + 1))


def calibrated(unfit: np.ndarray, known: np.ndarray, target: float, correction: Correction) -> tuple[tuple[int | None, ...], ...]:
    """Thresholds by checkpoint and level. unfit: how little each class fits, int `(samples, S,
    classes)`. known: the true classes `(samples,)`.
    """
    own = np.sort(unfit[np.arange(len(known)), :, known], axis=0)
    count = own.shape[1]
    alpha = (1 - Fraction(str(target))) / count  # exact, so that a whole rank is not missed by a last bit
    levels = [k * alpha for k in range(1, count + 1 if correction == "Simes" else 2)]
    ranks = [len(own) + 1 - int(level * (len(own) + 1)) for level in levels]
    return tuple(tuple(int(column[k - 1]) if k <= len(own) else None for k in ranks) for column in own.T)


def prediction_sets(unfit: np.ndarray, thresholds: Sequence[Sequence[int | None]], correction: Correction) -> np.ndarray:
    """Classes that are kept at each checkpoint, bool `(samples, S, classes)`. unfit: as in
    `calibrated`.
    """
    limits = np.array([[np.inf if limit is None else limit for limit in levels] for levels in thresholds])
    out = unfit[..., None] > limits[:, None]  # (samples, S, classes, levels)
    if correction == "Bonferroni":
        return ~out[..., 0]
    return ~(out.cumsum(axis=1) >= np.arange(1, limits.shape[1] + 1)).any(axis=3)


def _unfit(scores: np.ndarray, times: Sequence[int]) -> np.ndarray:
    """How far each class lies behind the best at each checkpoint, `(samples, S, classes)`."""
    seen = scores[:, np.array(times) - 1]
    return seen.max(axis=2, keepdims=True) - seen


def _stops(sets: np.ndarray) -> np.ndarray:
    """Number of the checkpoint, from 0, at which each sample stops."""
    small = sets.sum(axis=2) <= LARGEST
    return np.where(small.any(axis=1), small.argmax(axis=1), sets.shape[1] - 1)
