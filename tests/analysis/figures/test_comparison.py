"""The front of a picture of several runs, and names that are too long for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.oracles.compared import run_at

from spikeport.analysis.cost.estimate import Band
from spikeport.analysis.figures.charts import BOTTOM, HEIGHT, LEFT, WIDTH
from spikeport.analysis.figures.comparison import pareto_figure
from spikeport.analysis.results.report import AccuracyCurve


def front(figure) -> list[tuple[float, float]]:
    """Positions along the dashed line."""
    lines = [mark.get("points") for mark in figure.iter("polyline") if "front" in mark.get("class")]
    return [tuple(map(float, pair.split(","))) for text in lines for pair in text.split()]


def test_the_front_rises_in_stairs_through_the_runs_that_nobody_beats():
    figure = pareto_figure([run_at("a", 4, 0.9), run_at("b", 1, 0.5), run_at("c", 3, 0.4)], beaten=["c"])
    assert "Dashed" in "".join(figure.itertext())
    (x0, y0), corner, (x1, y1) = front(figure)
    assert x0 < x1 and y0 > y1 and corner == (x1, y0)
    large = [dot for dot in figure.iter("circle") if dot.get("r") == "7"]
    centres = {(round(float(d.get("cx")), 1), round(float(d.get("cy")), 1)) for d in large}
    assert len(large) == 3 and {(x0, y0), (x1, y1)} < centres


def test_one_run_has_no_front_and_none_no_picture():
    one = pareto_figure([run_at("a", 1, 0.5)], [])
    assert front(one) == [] and "Dashed" not in "".join(one.itertext())
    assert pareto_figure([], []) is None


@pytest.mark.parametrize("place", [(1, 0.1), (50, 0.5), (100, 0.9)])
def test_the_chosen_timesteps_stand_beside_the_point_and_the_name_in_the_key(place):
    name = "some/very/long/folder/of/runs"
    figure = pareto_figure([run_at(name, *place), run_at("b", 100, 0.2), run_at("c", 1, 0.95)], [])
    labels = [text for text in figure.iter("text") if text.text == "T' = 1"]
    for label in labels:
        left = float(label.get("x")) - (36 if "end" in label.get("class") else 0)
        assert left >= 0 and left + 36 <= WIDTH
    assert len(labels) == 3 and name in "".join(figure.find("figcaption").itertext())


def test_what_is_near_chance_is_cut_off_where_the_axis_ends():
    """One curve begins far below the chosen points of both runs: its line enters at the axis, its
    dots there are not drawn.
    """
    rising = replace(
        run_at("a", 1, 0.9),
        timesteps=3,
        chosen=3,
        quantized=AccuracyCurve("quantized", "test", 100, (0.1, 0.88, 0.9)),
        cost=replace(run_at("a", 1, 0.9).cost, total=Band((1.0, 2.0, 3.0), (1.0, 2.0, 3.0), (1.0, 2.0, 3.0))),
    )
    figure = pareto_figure([rising, run_at("b", 2, 0.89)], ["b"])
    (course, _) = [mark.get("points") for mark in figure.iter("polyline") if "s" in mark.get("class").split()[1][:1]]
    points = [tuple(map(float, pair.split(","))) for pair in course.split()]
    assert len(points) == 3 and points[0][1] == pytest.approx(HEIGHT - BOTTOM, abs=0.1) and points[0][0] > LEFT
    assert len([dot for dot in figure.iter("circle") if dot.get("r") == "3"]) == 3
    assert "cut off" in "".join(figure.itertext()) and "10" in "".join(figure.find("details").itertext())
