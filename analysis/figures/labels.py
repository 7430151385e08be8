"""Labels of points and of vertical lines, where no line, dot or other label is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from spikeport.analysis.figures.charts import LEFT, RIGHT, TOP, WIDTH, Frame
from spikeport.analysis.figures.markup import Element, el

LETTER, HIGH = 6.0, 11.0
"""Mean width of a letter and height of a line at the size of the style sheet."""
STAIR, GAP = 14.0, 5.0
"""From the label of a vertical line to that of the next one below, and to its line."""
AWAY, DOT = 10.0, 4.0
"""From the middle of a point to its label, clear of a ring around it; radius of a point."""


@dataclass(frozen=True)
class Box:
    """A place for a label: its edges, and which side of the point it is on."""

    left: float
    top: float
    right: float
    bottom: float
    before: bool

    def hits(self, points: np.ndarray) -> int:
        """How many of `(n, 2)` positions it would cover."""
        x, y = points.T
        return int(((x > self.left) & (x < self.right) & (y > self.top) & (y < self.bottom)).sum())

    @property
    def outline(self) -> np.ndarray:
        """Positions all over it, for labels to come."""
        xs, ys = np.meshgrid(np.linspace(self.left, self.right, 9), np.linspace(self.top, self.bottom, 5))
        return np.stack([xs.ravel(), ys.ravel()], axis=1)


@dataclass
class Labels:
    """Places labels in a frame one after the other; taken: positions `(n, 2)` where something is
    drawn.
    """

    frame: Frame
    taken: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))

    def avoid(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        """Keep clear of a curve and its points."""
        x, y = (np.array([to(v) for v in values]) for to, values in ((self.frame.x, xs), (self.frame.y, ys)))
        along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
        at = np.arange(0.0, along[-1] + 1.0)
        line = np.stack([np.interp(at, along, x), np.interp(at, along, y)], axis=1)
        around = DOT * np.array([(1, 1), (1, -1), (-1, 1), (-1, -1)])
        self.taken = np.concatenate([self.taken, line, *(np.stack([x, y], axis=1) + a for a in around)])

    def beside(self, x: float, y: float, text: str, kind: str) -> Element:
        """The label of a point, where it covers least."""
        box = min(self._places(self.frame.x(x), self.frame.y(y), LETTER * len(text)), key=lambda place: place.hits(self.taken))
        self.taken = np.concatenate([self.taken, box.outline])
        at = box.right if box.before else box.left
        return el("text", text, x=at, y=box.bottom - 2, class_=f"note {kind} {'end' if box.before else ''}")

    def _places(self, x: float, y: float, width: float) -> Iterator[Box]:
        """Inside the plot area, the best looking first."""
        for down in (AWAY - 2, 2 - AWAY - HIGH, -HIGH / 2):
            for before in (False, True):
                left = x - AWAY - width if before else x + AWAY
                if left >= LEFT and left + width <= WIDTH - RIGHT + 4 and TOP <= y + down and y + down + HIGH <= self.frame.bottom:
                    yield Box(left, y + down, left + width, y + down + HIGH, before)


def uprights(frame: Frame, *lines: tuple[float, str, str]) -> list[Element]:
    """Vertical lines, each a position, label and kind.

    Labels go down like stairs and every line begins at its own, so that no line runs through a
    label: from the right edge inwards those that have room on the left of their lines only, then
    from left to right the others.
    """
    inwards: list[tuple[float, str, str]] = []
    rightward: list[tuple[float, str, str]] = []
    limit = float(WIDTH - RIGHT)
    for line in sorted(lines, reverse=True):
        at = frame.x(line[0])
        if at + GAP + LETTER * len(line[1]) <= limit:
            rightward.insert(0, line)
        else:
            inwards.append(line)
            limit = at
    marks = []
    for i, (x, label, kind) in enumerate([*inwards, *rightward]):
        at, top, before = frame.x(x), TOP + STAIR * i, i < len(inwards)
        marks.append(el("line", x1=at, x2=at, y1=top, y2=frame.bottom, class_=f"mark {kind}"))
        marks.append(el("text", label, x=at - GAP if before else at + GAP, y=top + 9, class_=f"note {kind} {'end' if before else ''}"))
    return marks
