"""How few timesteps are enough, with a statement that holds.

The network is causal, so one record of T timesteps holds the answer at every T' <= T. Going down from T, each T' is tested on
validation data against "accuracy falls by at least the tolerance" (`spikeport.analysis.decision.guarantee`); the last T' that was shown is
chosen. T itself is tested too: its integers may lose against the float network. Where accuracy is not monotone in T', a smaller T'
behind a failure is left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeport.analysis.common.numbers import counted, points
from spikeport.analysis.decision.early_exit import EarlyExit
from spikeport.analysis.decision.guarantee import (
    METHOD,
    Confirmation,
    Losses,
    References,
    Verdict,
    check_statement,
    confirmation,
    fixed_sequence,
    losses,
    provable,
)
from spikeport.analysis.information.fisher import FisherResult
from spikeport.export.common.tabular import Table, Tabular
from spikeport.hw.backends.verify import Verification


@dataclass(frozen=True)
class StepAccuracy:
    """One T' on validation data. accuracy: a fraction. verdict: "not tested" after the first "not shown"."""

    timesteps: int
    accuracy: float
    losses: Losses
    verdict: Verdict


@dataclass(frozen=True, repr=False)
class Truncation(Tabular):
    """The smallest number of timesteps, and why.

    tolerance: percentage points. confidence: of the statement about `chosen` (T'), and again of that about `exit`.
    timesteps: T. accuracy_floating: of the float network at T on the validation data. steps: T' = 1 .. T.
    provable: the smallest tolerance that `samples` validation samples can show at all, percentage points.
    proposal: T' by Fisher information, after which at most `proposal_share` of it is still to come.
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
    test: Confirmation | None = None
    exit: EarlyExit | None = None
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
        """Whether the statement holds for the chosen T'; where not even T was shown, T is kept and nothing is claimed."""
        return self.steps[-1].verdict == "shown"

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


def truncate(correct: np.ndarray, floating: np.ndarray, tolerance: float, *, confidence: float = 0.95) -> Truncation:
    """Choose T' from one record of validation data.

    Args:
        correct: whether each sample is right after 1 .. T timesteps in fixed point, bool `(samples, T)` (`hw.records.record.correct_over_time`).
        floating: whether the float network is right after T, bool `(samples,)`.
        tolerance: accuracy loss to stay below, percentage points, above 0 and below 100.
        confidence: of the statement, above 0 and below 1.

    Raises:
        InputError: no samples, or a tolerance or confidence out of range.
    """
    check_statement(len(correct), tolerance, confidence)
    alpha, references = 1 - confidence, References(correct[:, -1], floating)
    verdicts = judge(correct, references, tolerance, alpha)
    steps = [
        StepAccuracy(correct.shape[1] - i, float(now.mean()), losses(now, references, alpha), verdict)
        for i, (now, verdict) in enumerate(zip(_candidates(correct, references), verdicts))
    ]
    return Truncation(
        tolerance=tolerance,
        confidence=confidence,
        timesteps=correct.shape[1],
        chosen=correct.shape[1] - max(verdicts.count("shown") - 1, 0),
        samples=len(correct),
        accuracy_floating=float(floating.mean()),
        steps=tuple(reversed(steps)),
        provable=provable(len(correct), alpha),
    )


def judge(correct: np.ndarray, references: References, tolerance: float, alpha: float) -> list[Verdict]:
    """Verdicts on T, T - 1 .. 1 at level alpha; the rest as in `truncate`."""
    return fixed_sequence(_candidates(correct, references), references, tolerance, alpha)


def with_proposal(truncation: Truncation, fisher: FisherResult, share: float = 0.05) -> Truncation:
    """Add what Fisher information proposes, for comparison; nothing, where there is no information."""
    proposal = fisher.proposal(share)
    return truncation if proposal is None else replace(truncation, proposal=proposal, proposal_share=share)


def confirmed(truncation: Truncation, correct: np.ndarray, floating: np.ndarray) -> Truncation:
    """Add the accuracy at T and at the chosen T' on test data, arguments as in `truncate`."""
    assert correct.shape[1] == truncation.timesteps, "the test record has another number of timesteps"
    references = References(correct[:, -1], floating)
    now = references.full if truncation.chosen == truncation.timesteps else correct[:, truncation.chosen - 1]
    return replace(truncation, test=confirmation(now, references, 1 - truncation.confidence))


def _candidates(correct: np.ndarray, references: References) -> list[np.ndarray]:
    """Right or not after T, T - 1 .. 1 timesteps; T is the reference itself."""
    return [references.full, *correct.T[-2::-1]]
