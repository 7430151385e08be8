"""Early exit per sample: stop at the first timestep where the answer is safe enough.

Safe: the margin, largest minus second largest score of the readout, is at least a threshold; both
are the integers that the chip has (accumulated readout in state units, or spikes). One threshold
holds for all timesteps; at T every sample stops.

The threshold is chosen on validation data by `spikeport.analysis.decision.guarantee`: candidates
are a fixed ladder of integers, eight to a factor of two, which no data has a part in, from one that
no margin reaches (every sample runs for all T) downwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spikeport.analysis.decision.guarantee import (
    Confirmation,
    Losses,
    References,
    Verdict,
    check_statement,
    confirmation,
    fixed_sequence,
    losses,
)
from spikeport.export.model.network import ReadoutKind
from spikeport.export.model.registers import STATE_BITS
from spikeport.hw.records.record import class_scores

RUNGS = 8
"""Thresholds to a factor of two."""


@dataclass(frozen=True)
class ExitPoint:
    """One threshold on validation data; neighbours on the ladder that stop every sample alike are
    one point, named by the smallest.
    """

    threshold: int
    accuracy: float
    mean_steps: float
    verdict: Verdict


@dataclass(frozen=True)
class EarlyExit:
    """The smallest margin that was shown to be safe, and why.

    threshold: None where none was shown, then every sample runs for all T. points: the ladder, most
    conservative first. losses: of the threshold on validation data. test: confirmation on test
    data; exits: share of test samples that stop after 1 .. T timesteps.
    """

    threshold: int | None
    points: tuple[ExitPoint, ...]
    losses: Losses | None
    test: Confirmation | None = None
    exits: tuple[float, ...] = ()

    @property
    def mean_steps(self) -> float:
        """Mean number of timesteps on test data."""
        return float(np.dot(self.exits, np.arange(1, len(self.exits) + 1)))


def margins_over_time(output: np.ndarray, readout: ReadoutKind) -> np.ndarray:
    """Largest minus second largest score after 1 .. T timesteps, int64 `(samples, T)`, of two
    classes or more.
    """
    scores = np.sort(class_scores(output, readout), axis=2)
    return scores[:, :, -1] - scores[:, :, -2]


def exit_steps(margins: np.ndarray, threshold: int | None) -> np.ndarray:
    """Timesteps, 1 .. T, after which each sample stops, int64 `(samples,)`. margins: int `(samples,
    T)`; None: all T.
    """
    samples, last = margins.shape
    if threshold is None:
        return np.full(samples, last)
    safe = margins >= threshold
    return np.where(safe.any(axis=1), safe.argmax(axis=1) + 1, last)


def ladder() -> list[int]:
    """Thresholds in falling order; the first exceeds every difference of two states."""
    rungs = np.arange(RUNGS * STATE_BITS, -1, -1) / RUNGS
    return sorted({int(np.ceil(2.0**rung)) for rung in rungs}, reverse=True)


def choose_threshold(
    correct: np.ndarray, margins: np.ndarray, floating: np.ndarray, tolerance: float, *, confidence: float = 0.95
) -> EarlyExit:
    """Choose the threshold on validation data.

    Args:
        correct, margins: bool and int `(samples, T)`, after 1 .. T timesteps in fixed point.
        floating: whether the float network is right after T, bool `(samples,)`.
        tolerance: percentage points. confidence: of the statement.

    Raises:
        InputError: no samples, or a tolerance or confidence out of range.
    """
    check_statement(len(correct), tolerance, confidence)
    references, alpha = References(correct[:, -1], floating), 1 - confidence
    points = judge(correct, margins, references, tolerance, alpha)
    threshold = min((p.threshold for p in points if p.verdict == "shown"), default=None)
    lost = None if threshold is None else losses(_at(correct, exit_steps(margins, threshold)), references, alpha)
    return EarlyExit(threshold, points, lost)


def judge(correct: np.ndarray, margins: np.ndarray, references: References, tolerance: float, alpha: float) -> tuple[ExitPoint, ...]:
    """The ladder with its verdicts at level alpha; the rest as in `choose_threshold`."""
    policies = _policies(margins)
    answers = [_at(correct, steps) for _, steps in policies]
    verdicts = fixed_sequence(answers, references, tolerance, alpha)
    return tuple(
        ExitPoint(threshold, float(now.mean()), float(steps.mean()), verdict)
        for (threshold, steps), now, verdict in zip(policies, answers, verdicts)
    )


def exit_confirmed(
    chosen: EarlyExit, correct: np.ndarray, margins: np.ndarray, floating: np.ndarray, *, confidence: float = 0.95
) -> EarlyExit:
    """Add the accuracy and the steps of the chosen threshold on test data; arguments as in
    `choose_threshold`.
    """
    steps = exit_steps(margins, chosen.threshold)
    exits = np.bincount(steps, minlength=correct.shape[1] + 1)[1:] / len(steps)
    test = confirmation(_at(correct, steps), References(correct[:, -1], floating), 1 - confidence)
    return replace(chosen, test=test, exits=tuple(exits.tolist()))


def _policies(margins: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Thresholds and the steps `(samples,)` they stop at, in falling order, without those that
    change nothing on this data.
    """
    kept: list[tuple[int, np.ndarray]] = []
    for threshold in ladder():
        steps = exit_steps(margins, threshold)
        if kept and np.array_equal(kept[-1][1], steps):
            kept.pop()
        kept.append((threshold, steps))
    return kept


def _at(correct: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Whether each sample is right where it stops."""
    return correct[np.arange(len(correct)), steps - 1]
