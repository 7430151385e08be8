"""Small SVG charts: a frame with axes, and marks to put into it.

Colours and fonts come from the page's style sheet.

Drawn at about the size they are shown at (360 units wide), so that text stays readable from phone
to laptop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from spikeport.analysis.common.numbers import DASH, nice_ticks, plain
from spikeport.analysis.figures.markup import Child, Element, el
from spikeport.analysis.figures.tables import data_table

WIDTH, HEIGHT = 360, 244
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 24, 40
SERIES = 9
"""Colours of the style sheet, p0 to p8; more curves begin anew."""
MOST_TICKS, STRIDES = 12, (1, 4, 10, 20, 50, 100)
"""Steps that are labelled on a horizontal axis, and from one to the next."""


@dataclass(frozen=True)
class Frame:
    """A plot area: data ranges, drawn left to right and bottom to top."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        """Horizontal position."""
        return LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Vertical position."""
        return HEIGHT - BOTTOM - (value - self.y_low) / (self.y_high - self.y_low) * (HEIGHT - TOP - BOTTOM)

    @property
    def bottom(self) -> float:
        """Vertical position of the horizontal axis."""
        return float(HEIGHT - BOTTOM)


@dataclass(frozen=True)
class Curve:
    """What a chart draws of one thing, as numbers. limits: lowest and highest at every x, where
    they are drawn.
    """

    name: str
    xs: Sequence[float | str]
    ys: Sequence[float]
    limits: Sequence[tuple[float, float]] = ()


def padded(values: Sequence[float], share: float = 0.08, floor: float | None = None, ceiling: float | None = None) -> tuple[float, float]:
    """A range around values, never empty."""
    low, high = min(values), max(values)
    space = (high - low) * share or abs(high) * share or 1.0
    low, high = low - space, high + space
    return (low if floor is None else max(low, floor)), (high if ceiling is None else min(high, ceiling))


def chart(
    title: str, summary: str, *marks: Child, curves: Sequence[Curve], labels: tuple[str, str], caption: Child = None, height: int = HEIGHT
) -> Element:
    """A figure; `summary` is what a screen reader says, and what is drawn stands in a table below.
    labels: of both axes.
    """
    drawing = el("svg", el("title", summary), marks, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=summary)
    below = [el("figcaption", caption) if caption else None, _values(title, curves, labels)]
    return el("figure", el("h3", title), drawing, below, class_="chart")


def values(table: Element) -> Element:
    """The numbers of a figure, shown when asked for."""
    return el("details", el("summary", "Values"), table, class_="values")


def _values(title: str, curves: Sequence[Curve], labels: tuple[str, str]) -> Element:
    limited = any(curve.limits for curve in curves)
    rows: list[list[Child]] = [
        [curve.name, x if isinstance(x, str) else plain(x), plain(y), *_limits(curve, i, limited)]
        for curve in curves
        for i, (x, y) in enumerate(zip(curve.xs, curve.ys))
    ]
    head = ["drawn", *labels, *(("low", "high") if limited else ())]
    return values(data_table(head, rows, range(1, len(head)), title))


def _limits(curve: Curve, i: int, limited: bool) -> list[Child]:
    if not limited:
        return []
    return [plain(end) for end in curve.limits[i]] if curve.limits else [DASH, DASH]


def axes(frame: Frame, x_label: str, y_label: str, *, steps: int = 0, y_most: float = inf, names: Sequence[str] = ()) -> list[Element]:
    """Grid, ticks and labels. steps: label 1 .. steps on the horizontal axis, thinned out where
    they are many. y_most: last tick.

    names: labels at 1, 2, ... on the horizontal axis, instead of numbers.
    """
    marks = []
    for value in nice_ticks(frame.y_low, min(frame.y_high, y_most)):
        marks.append(el("line", x1=LEFT, x2=WIDTH - RIGHT, y1=frame.y(value), y2=frame.y(value), class_="grid"))
        marks.append(el("text", f"{value:g}", x=LEFT - 6, y=frame.y(value) + 3.5, class_="tick end"))
    numbers = _step_ticks(steps) if steps else nice_ticks(frame.x_low, frame.x_high)
    for value, name in enumerate(names, 1) if names else ((n, f"{n:g}") for n in numbers):
        marks.append(el("text", name, x=frame.x(value), y=HEIGHT - BOTTOM + 15, class_="tick middle"))
    marks.append(el("line", x1=LEFT, x2=WIDTH - RIGHT, y1=frame.bottom, y2=frame.bottom, class_="axis"))
    marks.append(el("text", x_label, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 6, class_="label middle"))
    return [*marks, el("text", y_label, x=2, y=9, class_="label")]


def _step_ticks(steps: int) -> list[int]:
    """The first step, and as many multiples of a stride as there is room for."""
    stride = next(s for s in (*STRIDES, steps) if steps <= MOST_TICKS * s)
    return sorted({1, *range(stride, steps + 1, stride)})


def line(frame: Frame, xs: Sequence[float], ys: Sequence[float], kind: str) -> Element:
    """A polyline."""
    return el("polyline", points=_points(frame, xs, ys), class_=f"line {kind}")


def band(frame: Frame, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], kind: str) -> Element:
    """The area between two curves."""
    return el("polygon", points=_points(frame, [*xs, *reversed(xs)], [*lows, *reversed(highs)]), class_=f"band {kind}")


def dots(frame: Frame, xs: Sequence[float], ys: Sequence[float], notes: Sequence[str], kind: str, radius: float = 3.5) -> list[Element]:
    """Points that say their values when pointed at."""
    return [
        el("circle", el("title", note), cx=frame.x(x), cy=frame.y(y), r=radius, class_=f"dot {kind}") for x, y, note in zip(xs, ys, notes)
    ]


def bars(frame: Frame, xs: Sequence[float], ys: Sequence[float], notes: Sequence[str], kind: str, width: float) -> list[Element]:
    """Columns from zero; width in data units."""
    wide, zero = frame.x(width) - frame.x(0), frame.y(max(frame.y_low, 0))
    return [
        el(
            "rect",
            el("title", note),
            x=frame.x(x) - wide / 2,
            y=frame.y(y),
            width=wide,
            height=zero - frame.y(y),
            rx=2,
            class_=f"bar {kind}",
        )
        for x, y, note in zip(xs, ys, notes)
    ]


def whiskers(frame: Frame, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], kind: str) -> list[Element]:
    """Vertical intervals; an end beyond the plot area is an arrow."""
    marks = []
    for x, low, high in zip(xs, lows, highs):
        at, bottom, top = frame.x(x), frame.y(max(low, frame.y_low)), frame.y(min(high, frame.y_high))
        marks.append(el("line", x1=at, x2=at, y1=bottom, y2=top, class_=f"whisker {kind}"))
        tips = [*([(top, 4)] if high > frame.y_high else []), *([(bottom, -4)] if low < frame.y_low else [])]
        marks += [
            el(
                "polyline",
                points=f"{at - 3:.1f},{tip + back:.1f} {at:.1f},{tip:.1f} {at + 3:.1f},{tip + back:.1f}",
                class_=f"whisker {kind}",
            )
            for tip, back in tips
        ]
    return marks


def level(frame: Frame, y: float, kind: str) -> Element:
    """A horizontal line; the caption says what it is, since words beside it would stand in the
    curves' way.
    """
    return el("line", x1=LEFT, x2=WIDTH - RIGHT, y1=frame.y(y), y2=frame.y(y), class_=f"mark {kind}")


def _points(frame: Frame, xs: Sequence[float], ys: Sequence[float]) -> str:
    return " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in zip(xs, ys))


def series_key(names: Sequence[str]) -> list[Child]:
    """What the colours of lines and columns of kinds s0, s1, ... stand for."""
    return [el("span", el("span", class_=f"key part{i % SERIES}"), name, class_="named") for i, name in enumerate(names)]


def series(frame: Frame, i: int, xs: Sequence[float], ys: Sequence[float], notes: Sequence[str]) -> list[Element]:
    """The i-th curve of several, in its own colour."""
    return [line(frame, xs, ys, f"s{i % SERIES}"), *dots(frame, xs, ys, notes, f"s{i % SERIES}", 3)]
