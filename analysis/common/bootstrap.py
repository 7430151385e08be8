"""Confidence intervals by the bootstrap, bias-corrected and accelerated (BCa; Efron 1987, J.

Am. Stat. Assoc. 82, 171-185).

Squared gradient norms are skewed, a few samples carrying much of the sum; intervals that are
symmetric about the estimate miss too often on one side. BCa corrects for the bias and the skewness
of the bootstrap distribution, and needs no variance formula.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import norm

METHOD = "BCa bootstrap"


def bca_intervals(
    units: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], *, confidence: float, seed: int, resamples: int = 2000
) -> np.ndarray:
    """Intervals `(statistics, 2)` of a smooth function of means.

    units: `(units, features)`, independent and identically distributed, at least 2. statistic:
    means `(..., features)` to `(..., statistics)`. A statistic that no resampling moves has the
    interval of width 0.
    """
    count = len(units)
    assert count >= 2
    rng = np.random.default_rng(seed)
    estimate = statistic(units.mean(0))
    picks = rng.integers(count, size=(resamples, count)) + count * np.arange(resamples)[:, None]
    weights = np.bincount(picks.ravel(), minlength=resamples * count).reshape(resamples, count) / count
    drawn = np.sort(statistic(weights @ units), axis=0)
    without = statistic((units.sum(0) - units) / (count - 1))
    pull = without.mean(0) - without
    spread = (pull**2).sum(0) ** 1.5
    acceleration = np.divide((pull**3).sum(0), 6 * spread, out=np.zeros_like(spread), where=spread > 0)
    below = ((drawn < estimate).mean(0) + (drawn <= estimate).mean(0)) / 2
    bias = norm.ppf(np.clip(below, 0.5 / resamples, 1 - 0.5 / resamples))
    shifted = bias + norm.ppf([[(1 - confidence) / 2], [(1 + confidence) / 2]])
    ranks = norm.cdf(bias + shifted / (1 - acceleration * shifted))
    at = np.clip((ranks * resamples).astype(int), 0, resamples - 1)
    return np.stack([drawn[at[0], range(len(estimate))], drawn[at[1], range(len(estimate))]], axis=1)
