"""How far down an accuracy axis goes: at a few timesteps networks are near chance, and would
squeeze everything else together.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]
SPREAD, LEAST = 1.5, 2.0
"""The axis goes so many times the spread of the accuracies that matter below them, at least so many
percentage points.
"""
BELOW_KEY = "What is less accurate than the axis reaches is cut off; it stands among the values."


def lowest(accuracies: Sequence[float]) -> float:
    """Where the axis may end, from the accuracies that matter, in per cent."""
    low, high = min(accuracies), max(accuracies)
    return low - max(SPREAD * (high - low), LEAST)


def parts_above(points: Sequence[Point], low: float) -> list[list[Point]]:
    """A curve without what lies below `low`, cut where it crosses."""
    parts: list[list[Point]] = [[]]
    for (x0, y0), (x1, y1) in pairwise([points[0], *points]):
        if (y0 < low) != (y1 < low):
            parts[-1].append((x0 + (x1 - x0) * (low - y0) / (y1 - y0), low))
        if y1 >= low:
            parts[-1].append((x1, y1))
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]
