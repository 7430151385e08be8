"""Labels in charts: none lies on a line, a point or another label."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spikeport.analysis.figures.charts import HEIGHT, LEFT, RIGHT, WIDTH, Frame, padded
from spikeport.analysis.figures.labels import Labels, uprights

LETTER = 6.0
FRAME = Frame(0.4, 16.6, 0, 148)
inside = st.floats(1, 16)


def box(text):
    """Left, right, top and bottom of a text node, as a browser would draw it."""
    x, y, width = float(text.get("x")), float(text.get("y")), LETTER * len(text.text)
    left = x - width if "end" in text.get("class") else x
    return left, left + width, y - 9, y + 2


def overlap(a, b):
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]


@given(st.lists(inside, min_size=1, max_size=3, unique=True))
def test_no_vertical_line_runs_through_a_label(positions):
    marks = uprights(FRAME, *((x, label, "cut") for x, label in zip(positions, ("centroid 12.34", "proposal 10", "T' = 16"))))
    boxes = [box(mark) for mark in marks if mark.tag == "text"]
    lines = [[float(mark.get(name)) for name in ("x1", "x2", "y1", "y2")] for mark in marks if mark.tag == "line"]
    assert len(boxes) == len(lines) == len(positions)
    assert not any(
        left < x < right and top < bottom and low < end for left, right, top, bottom in boxes for x, _, low, end in lines if low < bottom
    )
    assert not any(overlap(a, b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(0 <= left and right <= WIDTH for left, right, _, _ in boxes)


@given(st.lists(st.floats(0, 140), min_size=2, max_size=6), st.data())
def test_labels_of_points_are_inside_and_clear_of_the_curve(ys, data):
    """Curves with few points leave room everywhere; what is covered is counted on a finer grid than
    the labels were placed with.
    """
    xs = list(np.linspace(2, 15, len(ys)))
    frame = Frame(0, 16.2, *padded(ys, 0.16))
    labels = Labels(frame)
    labels.avoid(xs, ys)
    chosen = data.draw(st.lists(st.sampled_from(range(len(ys))), min_size=1, max_size=2, unique=True))
    boxes = [box(labels.beside(xs[i], ys[i], f"T' = {i + 1}", "faint")) for i in chosen]
    fine = np.linspace(2, 15, 20_000)
    px, py = frame.x(fine), frame.y(np.interp(fine, xs, ys))
    for left, right, top, bottom in boxes:
        assert LEFT <= left and right <= WIDTH - RIGHT + 5 and bottom <= HEIGHT
        assert not ((px > left + 1) & (px < right - 1) & (py > top + 1) & (py < bottom - 1)).any()
    assert not any(overlap(a, b) for i, a in enumerate(boxes) for b in boxes[:i])
