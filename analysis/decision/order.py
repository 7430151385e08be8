"""In which order numbers of timesteps are tested, and at which level: one error for the whole,
whatever the order.

Without a proposal: T, T - 1 .. 1, each at the full level, up to the first that is not shown (fixed
sequence, `guarantee`).

With a proposal P, which the validation data must have no part in, two chains share the level (a
sequentially rejective graph, Bretz, Maurer, Brannath and Posch 2009, Statistics in Medicine 28,
586):

1. up:   T, T - 1 .. P + 1, at `UP` of the level, up to the first that is not shown;
2. down: P, P - 1 .. 1, at the rest of it; at the whole where all of the chain above was shown,
   which then needs its share no more.

A false claim in either chain begins with its first false candidate, so the chances add up to the
level at most; no accuracy need be monotone in T'. The smallest T' that was shown is chosen. So P is
tested where a larger T' fails, which the plain sequence cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikeport.analysis.decision.guarantee import References, Verdict, fixed_sequence

UP = 0.4
"""Share of the level for the candidates above the proposal, fixed before any data: the proposal and
what lies below get the larger one.
"""


@dataclass(frozen=True)
class Judged:
    """A candidate's verdict and the level it was tested at, or would have been."""

    verdict: Verdict
    level: float


def in_order(
    candidates: Sequence[np.ndarray], references: References, tolerance: float, alpha: float, proposal: int | None = None
) -> list[Judged]:
    """Judge T' = 1 .. T, each bool `(samples,)`, T last and `references.full` itself. tolerance:
    percentage points.
    alpha: of the whole.
    """
    last = len(candidates)
    if proposal is None or proposal >= last:
        return list(reversed(_chain(candidates, last, 0, references, tolerance, alpha)))
    upper = _chain(candidates, last, proposal, references, tolerance, alpha * UP)
    freed = all(judged.verdict == "shown" for judged in upper)
    lower = _chain(candidates, proposal, 0, references, tolerance, alpha if freed else alpha * (1 - UP))
    return list(reversed([*upper, *lower]))


def _chain(candidates: Sequence[np.ndarray], first: int, end: int, references: References, tolerance: float, level: float) -> list[Judged]:
    """T' = first, first - 1 .. end + 1."""
    verdicts = fixed_sequence((candidates[t - 1] for t in range(first, end, -1)), references, tolerance, level)
    return [Judged(verdict, level) for verdict in verdicts]
