"""Synthetic records of right and wrong over time, and what is claimed of them."""

from __future__ import annotations

import numpy as np

from spikeport.analysis.decision.guarantee import References
from spikeport.analysis.decision.timestep_cut import judge


def draws(rng: np.random.Generator, samples: int, accuracies: list[float], flips: float) -> np.ndarray:
    """Synthetic record `(samples, T)`: correctness at T' has the given true accuracy and shares
    most errors with the others.
    """
    correct = rng.random((samples, 1)) < np.array(accuracies)
    flipped = rng.random(correct.shape) < flips
    return np.where(flipped, rng.random(correct.shape) < np.array(accuracies), correct)


def smallest_shown(drawn: np.ndarray, proposal: int | None) -> int:
    """T' of a draw `(samples, 5)`, the float network last, at a tolerance of a point; 5 for none."""
    judged = judge(drawn[:, :4], References(drawn[:, 3], drawn[:, 4]), 1.0, 0.05, proposal)
    return next((t for t, one in enumerate(judged, start=1) if one.verdict == "shown"), 5)
