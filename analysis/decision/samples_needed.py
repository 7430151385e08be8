"""How many samples would have shown what was not shown, if they changed at the same rates."""

from __future__ import annotations

from spikeport.analysis.common.paired import loss_p_value

FACTOR = 64
"""So many times the samples that were there are looked at."""
FINEST = 0.02
"""Of the answer."""


def samples_needed(lost: int, gained: int, samples: int, margin: float, level: float) -> int | None:
    """About the smallest number of samples (rounding apart, to 2 %) whose exact test shows a loss
    below `margin` (a fraction) at this level.

    lost, gained: seen among `samples`, of which others are taken to have the same share, rounded.
    None where no number would, because the loss itself is not below the margin, or where it would
    be more than `FACTOR` times as many.
    """
    if (lost - gained) / samples >= margin:
        return None

    def shown(factor: float) -> bool:
        return loss_p_value(round(lost * factor), round(gained * factor), round(samples * factor), margin) <= level

    low, high = 0.0, 1.0
    while not shown(high):
        low, high = high, 2 * high
        if low >= FACTOR:
            return None
    while high - low > FINEST * high:
        middle = (low + high) / 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return round(samples * high)
