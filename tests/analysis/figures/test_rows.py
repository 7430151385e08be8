"""Charts of rows show the estimate's numbers: lengths along the axis are values, parts add up, and
limits are limits.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import log10

import pytest
from support.pages.reports import full_report

from spikeport.analysis.cost.result import Cost
from spikeport.analysis.figures.ranges import LEAST, MOST, beside_figure, tornado_figure
from spikeport.analysis.figures.rows import Rows, decades
from spikeport.analysis.figures.time import floorline_figure, step_parts, timestep_figure


@cache
def cost() -> Cost:
    return full_report().cost


def spans(figure, tag: str = "rect") -> list[tuple[float, float]]:
    """Left and right of every bar, or of every interval."""
    if tag == "rect":
        return [(float(r.get("x")), float(r.get("x")) + float(r.get("width"))) for r in figure.iter("rect")]
    return [(float(r.get("x1")), float(r.get("x2"))) for r in figure.iter("line") if "wide" in r.get("class")]


def test_a_layer_is_as_long_as_its_core_is_busy_and_named_by_what_binds_it():
    figure, bars = floorline_figure(cost()), spans(floorline_figure(cost()))
    parts = [seconds for layer in cost().layers for seconds in layer.resources.values()]
    lengths = [right - left for left, right in bars]
    assert lengths == pytest.approx([p / max(parts) * max(lengths) for p in parts], abs=0.02)
    words = "".join(figure.itertext())
    assert all(f"{layer.name}: bound by {layer.binding}" in words for layer in cost().layers)
    idle = replace(cost(), layers=tuple(replace(x, resources=dict.fromkeys(x.resources, 0.0)) for x in cost().layers))
    assert floorline_figure(idle) is None


def test_parts_of_a_timestep_are_the_time_between_streamed_samples():
    parts = step_parts(cost())
    assert sum(parts.values()) == pytest.approx(cost().pipelined.mean[-1] / cost().timesteps)
    assert len(spans(timestep_figure(cost()))) == len(parts)
    assert "No price, so not in it: management of a timestep, input injection" in "".join(timestep_figure(cost()).itertext())


@pytest.mark.parametrize("quantity", ["total energy", "latency"])
def test_a_tornado_has_the_widest_first_and_none_that_moves_nothing(quantity):
    base = (cost().total if quantity == "total energy" else cost().latency).mean[-1]
    moving = [s for s in cost().sensitivity if s.quantity == quantity and s.high - s.low >= LEAST * base][:MOST]
    figure = tornado_figure(cost(), quantity)
    lengths = [right - left for left, right in spans(figure)]
    assert lengths == sorted(lengths, reverse=True) and len(lengths) == len(moving) > 0
    widths = [s.high - s.low for s in moving]
    assert lengths == pytest.approx([w / widths[0] * lengths[0] for w in widths], abs=0.02)
    assert tornado_figure(replace(cost(), sensitivity=()), quantity) is None


def test_energies_with_and_without_spikes_lie_on_one_logarithmic_axis():
    lines = spans(beside_figure(cost(), 6), "line")
    ends = [(cost().dynamic.low[5], cost().dynamic.high[5]), *((b.low, b.high) for b in cost().compared(6))]
    rows = Rows(len(ends), *decades([*(e for pair in ends for e in pair)]), log=True)
    assert len(lines) == len(ends)
    for (left, right), (low, high) in zip(lines, ends):
        assert (right - left) / (log10(high) - log10(low)) == pytest.approx(
            (rows.x(rows.high) - rows.x(rows.low)) / (log10(rows.high / rows.low)), rel=1e-2
        )
    none = replace(cost(), dynamic=replace(cost().dynamic, low=(0.0,) * 6, mean=(0.0,) * 6))
    assert beside_figure(none, 6) is None
