"""Exact bound on the accuracy that one classifier loses against another on the same samples.

Of n samples, b go from right to wrong ("lost") and c from wrong to right ("gained"); the loss is
p_b - p_c. Tests and limits
are exact and unconditional (Hsueh, Liu & Chen 2001): outcomes are ordered by Tango's score
statistic (Tango 1998, Statistics in Medicine 17, 891) and the probability of one at least as
extreme is maximised over what the loss leaves open, so a stated level holds at any sample size,
also where nothing changed (b = c = 0: the bound is 1 - alpha^(1/n), the rule of three).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import optimize, special, stats

NUISANCE_POINTS = 48
"""Values of p_c over which the probability is maximised, close together where few samples change.
"""


@cache
def loss_p_value(lost: int, gained: int, samples: int, margin: float) -> float:
    """P-value of "the loss is at least `margin`" (a fraction within (-1, 1)); small means the loss
    is shown to be smaller.
    """
    observed = float(_score(lost, np.array([gained]), samples, margin)[0])
    if observed >= 0:
        return 1.0
    low, high = max(0.0, -margin), (1 - margin) / 2
    gains = low + (high - low) * np.append(0.0, np.geomspace(0.05 / samples, 1, NUISANCE_POINTS))
    lost_within = _most_lost(observed, np.arange(samples + 1), samples, margin)
    return max(_tail(lost_within, samples, margin, gain) for gain in gains)


@cache
def largest_loss(lost: int, gained: int, samples: int, alpha: float = 0.05) -> float:
    """Upper confidence limit, one-sided at 1 - alpha, of the loss as a fraction;
    `-largest_loss(gained, lost, ...)` is the lower one.
    """
    if lost == samples:
        return 1.0
    estimate = (lost - gained) / samples
    return float(optimize.brentq(lambda margin: loss_p_value(lost, gained, samples, margin) - alpha, estimate, 1 - 1e-9, xtol=1e-6))


def _score(lost: np.ndarray | int, gained: np.ndarray, samples: int, margin: float) -> np.ndarray:
    """Tango's statistic: the loss's distance from `margin` in standard errors estimated at that
    margin.
    """
    linear = -lost - gained + (2 * samples - lost + gained) * margin
    root = np.sqrt(np.maximum(linear**2 + 8 * samples * gained * margin * (1 - margin), 0))
    gain = np.maximum((root - linear) / (4 * samples), max(0.0, -margin))
    variance = samples * (2 * gain + margin * (1 - margin))
    return (lost - gained - samples * margin) / np.sqrt(np.maximum(variance, 1e-300))


def _tail(lost_within: np.ndarray, samples: int, margin: float, gain: float) -> float:
    """Probability, rounded up, of b <= lost_within[c] where truly p_c = gain and p_b = gain +
    margin.
    """
    reach = 8 * np.sqrt(samples * gain) + 30
    gained = np.arange(max(0, int(samples * gain - reach)), min(samples, int(samples * gain + reach)) + 1)
    mass = stats.binom.pmf(gained, samples, gain)
    lost = np.minimum(lost_within[gained], samples - gained)
    below = np.where(lost < 0, 0.0, special.bdtr(np.maximum(lost, 0), samples - gained, min((gain + margin) / (1 - gain), 1.0)))
    return float(mass @ below + max(0.0, 1 - mass.sum()))


def _most_lost(observed: float, gained: np.ndarray, samples: int, margin: float) -> np.ndarray:
    """Largest b with a score of at most `observed` for each c; -1 where there is none.

    The score rises with b.
    """
    low, high = np.full(len(gained), -1.0), np.floor(gained + max(margin, 0) * samples) + 1
    while (high - low > 1).any():
        middle = np.floor((low + high) / 2)
        within = _score(middle, gained, samples, margin) <= observed + 1e-9
        low, high = np.where(within, middle, low), np.where(within, high, middle)
    return low
