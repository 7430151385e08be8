"""How few timesteps are enough, with a statement that holds.

The network is causal, so one record of T timesteps holds the answer at every T' <= T. Going down from T - 1, each T' is
tested against "accuracy falls by at least the tolerance" (`spikeport.analysis.paired`, exact, paired, on validation data)
until a test does not reject; the last T' that did is chosen. Tests in a fixed order that stop at the first failure need no
correction (Maurer, Hothorn & Lehmacher 1995): the chosen T' loses the tolerance or more with probability at most
1 - confidence, however many T' were looked at. Where accuracy is not monotone in T', a smaller T' behind a failure is left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from spikeport.analysis.fisher import FisherResult
from spikeport.analysis.paired import largest_loss, loss_p_value
from spikeport.export.errors import InputError

Verdict = Literal["reference", "shown", "not shown", "not tested"]
METHOD = "exact unconditional paired non-inferiority test (score statistic), fixed sequence from T downwards"


@dataclass(frozen=True)
class StepAccuracy:
    """One T' on validation data. accuracy: a fraction. loss against T, its limits (one-sided each) in percentage points.

    verdict: "shown" where the loss is below the tolerance with confidence; "not tested" after the first "not shown".
    """

    timesteps: int
    accuracy: float
    loss: float
    low: float
    high: float
    verdict: Verdict


@dataclass(frozen=True)
class Confirmation:
    """The choice looked at once more on data that had no part in it; units as in `StepAccuracy`."""

    samples: int
    accuracy_full: float
    accuracy_chosen: float
    loss: float
    low: float
    high: float


@dataclass(frozen=True)
class Truncation:
    """The smallest number of timesteps, and why.

    tolerance: percentage points. confidence: of the statement about `chosen` (T'). timesteps: T. steps: T' = 1 .. T.
    provable: the smallest tolerance that `samples` validation samples can show at all, percentage points.
    proposal: T' by Fisher information, after which at most `proposal_share` of it is still to come.
    """

    tolerance: float
    confidence: float
    timesteps: int
    chosen: int
    samples: int
    steps: tuple[StepAccuracy, ...]
    provable: float
    proposal: int | None = None
    proposal_share: float | None = None
    test: Confirmation | None = None
    method: str = METHOD

    @property
    def warning(self) -> str | None:
        """Why nothing could be cut, where too little data is the reason."""
        if self.provable <= self.tolerance or self.timesteps == 1:
            return None
        return (
            f"{self.samples} validation samples cannot show a loss below {self.provable:.2f} points; "
            f"give more samples or a tolerance above that (it is {self.tolerance:g})"
        )


def truncate(correct: np.ndarray, tolerance: float, *, confidence: float = 0.95) -> Truncation:
    """Choose T' from one record of validation data.

    Args:
        correct: whether each sample is right after 1 .. T timesteps, bool `(samples, T)` (`hw.record.correct_over_time`).
        tolerance: accuracy loss against T to stay below, percentage points, above 0 and below 100.
        confidence: of the statement, above 0 and below 1.

    Raises:
        InputError: no samples, or a tolerance or confidence out of range.
    """
    if not len(correct):
        raise InputError("truncation needs validation samples, got none")
    if not 0 < tolerance < 100:
        raise InputError(f"tolerance is {tolerance:g} percentage points; it lies above 0 and below 100")
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence:g}; it lies above 0 and below 1")
    alpha, samples, last = 1 - confidence, *correct.shape
    verdicts = judge(correct, tolerance, alpha)
    return Truncation(
        tolerance=tolerance,
        confidence=confidence,
        timesteps=last,
        chosen=chosen_of(verdicts),
        samples=samples,
        steps=tuple(_step(correct, t, verdicts[t], alpha) for t in range(1, last + 1)),
        provable=100 * largest_loss(0, 0, samples, alpha),
    )


def judge(correct: np.ndarray, tolerance: float, alpha: float) -> dict[int, Verdict]:
    """Verdict on every T' by the fixed sequence of tests at level alpha; arguments as in `truncate`."""
    last = correct.shape[1]
    verdicts: dict[int, Verdict] = {last: "reference"}
    for steps in range(last - 1, 0, -1):
        failed = verdicts[steps + 1] in ("not shown", "not tested")
        verdicts[steps] = "not tested" if failed else _verdict(correct, steps, tolerance, alpha)
    return verdicts


def chosen_of(verdicts: dict[int, Verdict]) -> int:
    """The smallest T' that was shown to be good enough."""
    return min(steps for steps, verdict in verdicts.items() if verdict in ("reference", "shown"))


def with_proposal(truncation: Truncation, fisher: FisherResult, share: float = 0.05) -> Truncation:
    """Add what Fisher information proposes, for comparison."""
    return replace(truncation, proposal=fisher.proposal(share), proposal_share=share)


def confirmed(truncation: Truncation, correct: np.ndarray) -> Truncation:
    """Add the accuracy at T and at the chosen T' on test data, `correct` as in `truncate`."""
    assert correct.shape[1] == truncation.timesteps, "the test record has another number of timesteps"
    step = _step(correct, truncation.chosen, "shown", 1 - truncation.confidence)
    full = float(correct[:, truncation.timesteps - 1].mean())
    return replace(truncation, test=Confirmation(len(correct), full, step.accuracy, step.loss, step.low, step.high))


def _changes(correct: np.ndarray, steps: int) -> tuple[int, int]:
    """Samples that T' = steps loses and gains against T."""
    now, full = correct[:, steps - 1], correct[:, -1]
    return int((full & ~now).sum()), int((now & ~full).sum())


def _verdict(correct: np.ndarray, steps: int, tolerance: float, alpha: float) -> Verdict:
    lost, gained = _changes(correct, steps)
    return "shown" if loss_p_value(lost, gained, len(correct), tolerance / 100) <= alpha else "not shown"


def _step(correct: np.ndarray, steps: int, verdict: Verdict, alpha: float) -> StepAccuracy:
    lost, gained = _changes(correct, steps)
    low, high = 0.0, 0.0
    if steps < correct.shape[1]:
        low, high = -largest_loss(gained, lost, len(correct), alpha), largest_loss(lost, gained, len(correct), alpha)
    return StepAccuracy(
        timesteps=steps,
        accuracy=float(correct[:, steps - 1].mean()),
        loss=100 * (lost - gained) / len(correct),
        low=100 * low,
        high=100 * high,
        verdict=verdict,
    )
