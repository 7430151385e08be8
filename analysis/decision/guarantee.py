"""The statement that a cut and an early exit make, and the one procedure that shows it.

A candidate (a number of timesteps, an exit threshold) loses less accuracy than the tolerance
against both references: the same integers run for all T timesteps, and the float network at T.

- One candidate: two exact paired tests (`spikeport.analysis.common.paired`), each at the full level
  alpha; shown where both reject. The null is the union of the two, so the level is alpha without a
  correction (intersection-union test, Berger 1982, Technometrics 24, 295).
- Many candidates: an order that was fixed before the data was seen, most conservative first, up to
  the first that is not shown (fixed sequence, Maurer, Hothorn & Lehmacher 1995). Whichever is
  chosen, the statement is wrong with probability at most alpha.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from spikeport.analysis.common.paired import largest_loss, loss_p_value
from spikeport.analysis.decision.samples_needed import samples_needed
from spikeport.export.common.errors import InputError

Verdict = Literal["shown", "not shown", "not tested"]
METHOD = "exact unconditional paired non-inferiority tests (score statistic) against both references, fixed sequence"


@dataclass(frozen=True)
class References:
    """Whether each sample is right, bool `(samples,)`: `full` in fixed point after T timesteps,
    `floating` in PyTorch after T.
    """

    full: np.ndarray
    floating: np.ndarray

    def __len__(self) -> int:
        return len(self.full)


@dataclass(frozen=True)
class LossLimits:
    """Accuracy lost against a reference and its limits (each one-sided at the confidence), in
    percentage points.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Losses:
    """Against fixed point at T, and against the float network at T."""

    full: LossLimits
    floating: LossLimits

    @property
    def highest(self) -> float:
        """Upper limit of the worse one: the statement is that it lies below the tolerance."""
        return max(self.full.high, self.floating.high)


@dataclass(frozen=True)
class Confirmation:
    """A choice looked at once more on data that had no part in it; accuracies are fractions."""

    samples: int
    accuracy_full: float
    accuracy_floating: float
    accuracy_chosen: float
    losses: Losses

    def verdict(self, tolerance: float) -> str:
        """What this data alone says about the statement."""
        if self.losses.highest < tolerance:
            return "shows it too"
        lowest = max(self.losses.full.low, self.losses.floating.low)
        return "contradicts it" if lowest >= tolerance else "agrees, without showing it alone"


def fixed_sequence(candidates: Iterable[np.ndarray], references: References, tolerance: float, alpha: float) -> list[Verdict]:
    """Verdicts on candidates, each bool `(samples,)`, most conservative first. tolerance:
    percentage points.

    The order must not depend on the data. T itself is given as `references.full`, the very array:
    it loses nothing against itself.
    """
    verdicts: list[Verdict] = []
    for now in candidates:
        failed = verdicts and verdicts[-1] != "shown"
        verdicts.append("not tested" if failed else _verdict(now, references, tolerance, alpha))
    return verdicts


def losses(now: np.ndarray, references: References, alpha: float) -> Losses:
    """Losses of a candidate, bool `(samples,)`, with limits; nothing is lost against itself."""
    same = now is references.full
    return Losses(
        full=LossLimits(0.0, 0.0, 0.0) if same else loss_limits(now, references.full, alpha),
        floating=loss_limits(now, references.floating, alpha),
    )


def confirmation(now: np.ndarray, references: References, alpha: float) -> Confirmation:
    """A choice on further data."""
    return Confirmation(
        samples=len(now),
        accuracy_full=float(references.full.mean()),
        accuracy_floating=float(references.floating.mean()),
        accuracy_chosen=float(now.mean()),
        losses=losses(now, references, alpha),
    )


def provable(samples: int, alpha: float) -> float:
    """The smallest tolerance that so many samples can show at all, percentage points."""
    return 100 * largest_loss(0, 0, samples, alpha)


def check_statement(samples: int, tolerance: float, confidence: float) -> None:
    """Refuse a statement that cannot be meant.

    Raises:
        InputError: no samples, or a tolerance or confidence out of range.
    """
    if not samples:
        raise InputError("truncation needs validation samples, got none")
    if not 0 < tolerance < 100:
        raise InputError(f"tolerance is {tolerance:g} percentage points; it lies above 0 and below 100")
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence:g}; it lies above 0 and below 1")


def needed(now: np.ndarray, references: References, tolerance: float, level: float) -> int | None:
    """Samples that would have shown a candidate against both references (`samples_needed`); None
    where no number would.
    """
    pairs = [_changes(now, reference) for reference in (references.full, references.floating) if reference is not now]
    counts = [samples_needed(lost, gained, len(now), tolerance / 100, level) for lost, gained in pairs]
    return None if None in counts else max(filter(None, counts))


def _verdict(now: np.ndarray, references: References, tolerance: float, alpha: float) -> Verdict:
    pairs = [_changes(now, reference) for reference in (references.full, references.floating) if reference is not now]
    shown = all(loss_p_value(lost, gained, len(now), tolerance / 100) <= alpha for lost, gained in pairs)
    return "shown" if shown else "not shown"


def loss_limits(now: np.ndarray, reference: np.ndarray, alpha: float) -> LossLimits:
    """Loss of `now` against `reference`, bool `(samples,)` of the same samples; each limit holds at
    level `1 - alpha`.
    """
    lost, gained = _changes(now, reference)
    n = len(now)
    return LossLimits(100 * (lost - gained) / n, -100 * largest_loss(gained, lost, n, alpha), 100 * largest_loss(lost, gained, n, alpha))


def _changes(now: np.ndarray, reference: np.ndarray) -> tuple[int, int]:
    """Samples that `now` loses and gains."""
    return int((reference & ~now).sum()), int((now & ~reference).sum())
