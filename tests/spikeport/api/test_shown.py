"""Results show themselves: one short line, HTML, a frame, a plot, all with the same numbers."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from support.networks.random_networks import random_network, random_stimulus
from support.pages.html_page import Page
from support.pages.reports import full_report

import spikeport as sp
from spikeport.export.common.tabular import Table, Tabular

LINE = 400
"""Characters of a repr at most; it was 12,000."""


def results() -> list[Tabular]:
    network = random_network(3)
    stimulus = random_stimulus(3, network)
    record, report = sp.backend("reference")(network, stimulus, "spikes"), full_report()
    shown = [network, record, sp.verify(network, stimulus), report, report.cost, report.fisher, report.truncation]
    assert all(shown)
    return shown


@pytest.mark.parametrize("result", results(), ids=lambda r: type(r).__name__)
def test_one_line_html_and_frame_agree(result):
    assert len(repr(result)) <= LINE and "\n" not in repr(result)
    table, frame = result.table(), pytest.importorskip("pandas") and result.to_frame()
    assert list(frame.columns) == list(table.columns) and len(frame) == len(next(iter(table.columns.values())))
    page = Page(result._repr_html_())
    assert [tag for tag, _ in page.tags].count("tr") == 1 + len(frame)
    for name in table.columns:
        assert name in page.text
    if table.y:
        assert np.isfinite(frame[list(table.y)].to_numpy(float)).any()


def test_curves_are_drawn_from_the_table():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    cost = full_report().cost
    axes = cost.plot()
    (dynamic, total) = axes.get_lines()
    np.testing.assert_allclose(dynamic.get_ydata(), cost.dynamic.mean)
    np.testing.assert_allclose(total.get_ydata(), cost.total.mean)
    assert cost.plot(axes) is axes and len(axes.get_lines()) == 4
    matplotlib.pyplot.close(axes.figure)
    with pytest.raises(sp.InputError, match="nothing to draw"):
        random_network(3).plot()


class Hostile(Tabular):
    """A result whose names came from a file."""

    def table(self) -> Table:
        return Table("a\x1b[2J<script>", {"<b>": ["<img src=x>"] * 60})


def test_what_a_file_says_is_text():
    page = Hostile()._repr_html_()
    assert "<script>" not in page and "<img" not in page and "20 more rows" in page
    assert "\x1b" not in repr(Hostile()) + page


def test_without_the_extra_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(sp.InputError, match=r"pip install 'spikeport\[notebook\]'"):
        full_report().to_frame()
