"""How few timesteps are enough, with a statement that holds.

The network is causal, so one record of T timesteps holds the answer at every T' <= T. Each T' is
tested on validation data against "accuracy falls by at least the tolerance" (`guarantee`), from T
downwards, or from a proposal that the validation data had no part in (`order`); the smallest T'
that was shown is chosen. T itself is tested too: its integers may lose against the float network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeport.analysis.common.numbers import counted, points
from spikeport.analysis.decision.conformal import ConformalExit
from spikeport.analysis.decision.early_exit import EarlyExit
from spikeport.analysis.decision.guarantee import (
    METHOD,
    Confirmation,
    Losses,
    References,
    Verdict,
    check_statement,
    confirmation,
    losses,
    needed,
    provable,
)
from spikeport.analysis.decision.order import Judged, in_order
from spikeport.analysis.decision.samples_needed import FACTOR
from spikeport.analysis.information.fisher import FisherResult
from spikeport.export.common.errors import InputError
from spikeport.export.common.tabular import Table, Tabular
from spikeport.hw.backends.verify import Verification


@dataclass(frozen=True)
class StepAccuracy:
    """One T' on validation data. accuracy: a fraction. verdict: "not tested" after the first "not
    shown" of its chain.

    level: that it was tested at, and its limits hold at. samples_needed: that would have shown what
    was not shown, at the rates of change seen; None where it was shown, not tested, or no number
    would.
    """

    timesteps: int
    accuracy: float
    losses: Losses
    verdict: Verdict
    level: float = 0.05
    samples_needed: int | None = None


@dataclass(frozen=True, repr=False)
class Truncation(Tabular):
    """The smallest number of timesteps, and why.

    tolerance: percentage points. confidence: of the statement about `chosen` (T'), and again of
    that about `exit`.
    timesteps: T. accuracy_floating: of the float network at T on the validation data. steps: T' = 1
    .. T.
    provable: the smallest tolerance that `samples` validation samples can show at all, percentage
    points.
    proposal: T' by Fisher information, after which at most `proposal_share` of it is still to come.
    began: T' that the tests began
    with, None for T, and began_by: what proposed it.
    conformal: SpikeCP's exits, for comparison with `exit`.
    lava: the test samples run at T' in real Lava, or None, and lava_absent says why.
    """

    tolerance: float
    confidence: float
    timesteps: int
    chosen: int
    samples: int
    accuracy_floating: float
    steps: tuple[StepAccuracy, ...]
    provable: float
    proposal: int | None = None
    proposal_share: float | None = None
    began: int | None = None
    began_by: str = ""
    test: Confirmation | None = None
    exit: EarlyExit | None = None
    conformal: tuple[ConformalExit, ...] = ()
    lava: Verification | None = None
    lava_absent: str = "not run"
    method: str = METHOD

    def table(self) -> Table:
        """Accuracy and verdict of every T' on validation data."""
        claim = f"loss below {points(self.tolerance)} shown at {self.confidence:.0%}" if self.shown else "nothing shown"
        columns: dict[str, list[Any]] = {
            "timesteps": [s.timesteps for s in self.steps],
            "accuracy": [s.accuracy for s in self.steps],
            "verdict": [s.verdict for s in self.steps],
        }
        title = f"T' = {self.chosen} of {self.timesteps}, {claim}, {counted(self.samples, 'sample')}"
        return Table(title, columns, "timesteps", ("accuracy",), "accuracy on validation data")

    @property
    def shown(self) -> bool:
        """Whether the statement holds for the chosen T'; where not even T was shown, T is kept and
        nothing is claimed.
        """
        return self.steps[self.chosen - 1].verdict == "shown"

    @property
    def warning(self) -> str | None:
        """Why nothing was shown, or nothing could be cut because data is too little."""
        if self.provable > self.tolerance and self.chosen == self.timesteps:
            return (
                f"{counted(self.samples, 'validation sample')} cannot show a loss below {self.provable:.2f} points; "
                f"give more samples or a tolerance above that (it is {self.tolerance:g})"
            )
        if not self.shown:
            lost = self.steps[-1].losses.floating
            return (
                f"fixed point at T = {self.timesteps} is not shown to lose less than {points(self.tolerance)} against the float network "
                f"({lost.value:.2f}, up to {lost.high:.2f}); fine-tune it, or give more validation samples or a larger tolerance"
            )
        return None


def truncate(
    correct: np.ndarray, floating: np.ndarray, tolerance: float, *, confidence: float = 0.95, begin: int | None = None
) -> Truncation:
    """Choose T' from one record of validation data.

    Args:
        correct: whether each sample is right after 1 .. T timesteps in fixed point, bool `(samples,
            T)` (`hw.records.record.correct_over_time`).
        floating: whether the float network is right after T, bool `(samples,)`.
        tolerance: accuracy loss to stay below, percentage points, above 0 and below 100.
        confidence: of the statement, above 0 and below 1.
        begin: T' that the tests begin with, which must not come from these samples; None to begin
            with T.

    Raises:
        InputError: no samples, or a tolerance, a confidence or a beginning out of range.
    """
    return truncate_against(correct, References(correct[:, -1], floating), tolerance, confidence=confidence, begin=begin)


def truncate_against(
    correct: np.ndarray, references: References, tolerance: float, *, confidence: float = 0.95, begin: int | None = None
) -> Truncation:
    """The same against references of one's own, as those of the network before it was retrained."""
    check_statement(len(correct), tolerance, confidence)
    last = correct.shape[1]
    if begin is not None and not 1 <= begin <= last:
        raise InputError(f"the number of timesteps that the tests begin with is {begin}; it lies in 1..{last}")
    judged = judge(correct, references, tolerance, 1 - confidence, begin)
    steps = tuple(
        _step(t, now, references, tolerance, one) for t, (now, one) in enumerate(zip(_candidates(correct, references), judged), start=1)
    )
    return Truncation(
        tolerance=tolerance,
        confidence=confidence,
        timesteps=last,
        chosen=next((step.timesteps for step in steps if step.verdict == "shown"), last),
        samples=len(correct),
        accuracy_floating=float(references.floating.mean()),
        steps=steps,
        provable=provable(len(correct), 1 - confidence),
        began=begin,
    )


def judge(correct: np.ndarray, references: References, tolerance: float, alpha: float, begin: int | None = None) -> list[Judged]:
    """Verdicts on T' = 1 .. T, at level alpha for the whole; the rest as in `truncate`."""
    return in_order(_candidates(correct, references), references, tolerance, alpha, begin)


def verdict_in_words(step: StepAccuracy) -> str:
    """The verdict and, where it is "not shown", how many samples would have shown it."""
    if step.verdict != "not shown":
        return step.verdict
    return (
        f"not shown; about {step.samples_needed:,} samples would"
        if step.samples_needed
        else f"not shown, nor by {FACTOR} times the samples"
    )


def _step(timesteps: int, now: np.ndarray, references: References, tolerance: float, judged: Judged) -> StepAccuracy:
    missing = needed(now, references, tolerance, judged.level) if judged.verdict == "not shown" else None
    return StepAccuracy(timesteps, float(now.mean()), losses(now, references, judged.level), judged.verdict, judged.level, missing)


def with_proposal(truncation: Truncation, fisher: FisherResult, share: float = 0.05) -> Truncation:
    """Add what Fisher information proposes, for comparison; nothing, where there is no information."""
    proposal = fisher.proposal(share)
    return truncation if proposal is None else replace(truncation, proposal=proposal, proposal_share=share)


def confirmed(truncation: Truncation, correct: np.ndarray, floating: np.ndarray) -> Truncation:
    """Add the accuracy at T and at the chosen T' on test data, arguments as in `truncate`."""
    assert correct.shape[1] == truncation.timesteps, "the test record has another number of timesteps"
    return confirmed_against(truncation, correct, References(correct[:, -1], floating))


def confirmed_against(truncation: Truncation, correct: np.ndarray, references: References) -> Truncation:
    """The same against references of one's own."""
    now = _candidates(correct, references)[truncation.chosen - 1]
    return replace(truncation, test=confirmation(now, references, 1 - truncation.confidence))


def _candidates(correct: np.ndarray, references: References) -> list[np.ndarray]:
    """Right or not after 1 .. T timesteps; T is the reference itself, where it is this network's."""
    last = references.full if np.array_equal(references.full, correct[:, -1]) else correct[:, -1]
    return [*correct.T[:-1], last]
