"""Tables on narrow pages, and charts whose intervals are wide."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from spikeport.analysis.figures.charts import Frame, whiskers
from spikeport.analysis.figures.fisher import MOST_LIMIT, STAIRS, fisher_figure
from spikeport.analysis.figures.markup import el
from spikeport.analysis.figures.tables import data_table
from spikeport.analysis.information.fisher import FisherResult, Intervals
from spikeport.analysis.pages.page import style_sheet


def test_a_narrow_page_breaks_tables_before_brackets_and_nowhere_in_a_number():
    table = data_table(["T' = 3", "loss"], [["not tested", "8.25 % (6.05 to 10.94)"], ["x", el("span", "3")]], (1,))
    assert [cell.text for cell in table.iter("td") if not len(cell)] == ["not tested", "x"]
    first, second = (cell for cell in table.iter("td") if len(cell))
    assert [(part.text, part.tail, part.get("class")) for part in first] == [("8.25 %", " ", "whole"), ("(6.05 to 10.94)", None, "whole")]
    assert [part.get("class") for part in second] == ["whole"] and "".join(second.itertext()) == "3"
    unbroken = re.findall(r"([^{}]*)\{[^{}]*white-space: nowrap[^{}]*\}", style_sheet())
    assert ".whole" in " ".join(unbroken) and not re.search(r"\.number|\bt[dh]\b", " ".join(unbroken))


def test_columns_reach_100_per_cent_and_a_limit_beyond_the_axis_is_an_arrow():
    limits = ((1.0, 3.0), (2.0, 4.5), (2.0, 40.0))
    fisher = FisherResult((2.0, 3.0, 4.0), (0.1,) * 3, (2.0, 1.0, 1.0), {}, 9, "true", "mean", 0)
    wide = replace(fisher, intervals=Intervals(limits, ((0.0, 0.5),) * 3, (2.0, 2.4)))
    frame = Frame(0, 1, 0, MOST_LIMIT + STAIRS)
    drawn = fisher_figure(wide)
    tops = [float(bar.get("y")) for bar in drawn.iter("rect")]
    assert tops == pytest.approx([frame.y(y) for y in (50, 75, 100)], abs=0.01)
    arrows = [mark.get("points") for mark in drawn.iter("polyline") if "whisker" in mark.get("class")]
    assert len(arrows) == 1 and f",{frame.y(frame.y_high):.1f} " in arrows[0]
    assert "% of the largest I_t, 4 (columns), % still to come (line)" in "".join(drawn.itertext())
    assert not [mark for mark in fisher_figure(fisher).iter("polyline") if "whisker" in mark.get("class")]
    (_, tip) = whiskers(Frame(0, 1, 10, 20), [0.5], [5], [15], "second")
    assert tip.get("points").split()[1].endswith(f",{Frame(0, 1, 10, 20).bottom:.1f}")
