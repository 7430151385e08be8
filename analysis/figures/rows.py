"""Charts of rows: what a row is of stands above it, its bar or interval lies along a common axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from spikeport.analysis.common.numbers import nice_ticks
from spikeport.analysis.figures.charts import WIDTH
from spikeport.analysis.figures.markup import Element, el

EDGE, PITCH, NAME, THICK, FOOT = 8, 36, 12, 13, 36
"""Beside the axis; from row to row; from a row's top to the line of its name; height of a bar; room
for ticks and the axis' label.
"""


@dataclass(frozen=True)
class Rows:
    """So many rows over a range of values. log: the axis has a place for every power of ten."""

    count: int
    low: float
    high: float
    log: bool = False

    @property
    def height(self) -> int:
        """Of the whole drawing."""
        return self.count * PITCH + FOOT

    def x(self, value: float) -> float:
        """Horizontal position; ends of the axis for what lies beyond them."""
        low, high, at = (log10(v) for v in (self.low, self.high, max(value, self.low))) if self.log else (self.low, self.high, value)
        return EDGE + min(max((at - low) / (high - low), 0.0), 1.0) * (WIDTH - 2 * EDGE)

    def top(self, row: int) -> float:
        """Of a row's bar."""
        return float(row * PITCH + NAME + 5)

    def axes(self, label: str, unit: float = 1.0) -> list[Element]:
        """Grid, ticks and the label of the axis. unit: what values are divided by to be shown."""
        bottom, marks = float(self.count * PITCH + 2), []
        for value in self._ticks(unit):
            at = self.x(value * unit)
            marks.append(el("line", x1=at, x2=at, y1=0, y2=bottom, class_="grid"))
            place = "end" if at > WIDTH - 30 else "start" if at < 20 else "middle"
            marks.append(el("text", f"{value:g}", x=at, y=bottom + 13, class_=f"tick {place}"))
        marks.append(el("line", x1=EDGE, x2=WIDTH - EDGE, y1=bottom, y2=bottom, class_="axis"))
        return [*marks, el("text", label, x=WIDTH / 2, y=self.height - 5, class_="label middle")]

    def _ticks(self, unit: float) -> Iterable[float]:
        if self.log:
            return (10.0**power for power in range(ceil(log10(self.low / unit)), floor(log10(self.high / unit)) + 1))
        return nice_ticks(self.low / unit, self.high / unit)

    def name(self, row: int, text: str, value: str) -> list[Element]:
        """What a row is of, and its value at the other end of the line."""
        y = row * PITCH + NAME
        return [el("text", text, x=EDGE, y=y, class_="label note"), el("text", value, x=WIDTH - EDGE, y=y, class_="end note")]

    def bar(self, row: int, start: float, stop: float, kind: str, note: str) -> Element:
        """From one value to another."""
        left, right = sorted((self.x(start), self.x(stop)))
        return el("rect", el("title", note), x=left, y=self.top(row), width=right - left, height=THICK, class_=f"bar {kind}")

    def interval(self, row: int, low: float, mid: float, high: float, kind: str, note: str) -> list[Element]:
        """A line between limits, and a dot."""
        y = self.top(row) + THICK / 2
        across = el("line", x1=self.x(low), x2=self.x(high), y1=y, y2=y, class_=f"whisker wide {kind}")
        return [across, el("circle", el("title", note), cx=self.x(mid), cy=y, r=4, class_=f"dot {kind}")]


def decades(values: Sequence[float]) -> tuple[float, float]:
    """Powers of ten around positive values."""
    return 10.0 ** floor(log10(min(values))), 10.0 ** ceil(log10(max(values)) + 1e-9)
