"""Fisher information for people: a section of the report, a page of its own, and words for the
command line.
"""

from __future__ import annotations

from spikeport.analysis.common.numbers import counted
from spikeport.analysis.figures.fisher import blocks_figure, centroid_figure, epochs_figure, fisher_figure, groups_figure
from spikeport.analysis.figures.markup import Element, el
from spikeport.analysis.information.fisher import FisherResult
from spikeport.analysis.information.history import FisherHistory
from spikeport.analysis.pages.beside import Beside, page_beside
from spikeport.analysis.pages.page import section


def fisher_page(fisher: FisherResult, history: FisherHistory | None, title: str, beside: Beside | None = None) -> str:
    """A self-contained HTML page."""
    part = fisher_section(fisher, history, whole=True)
    return page_beside(title, "Fisher information over time", part, foot="All data is in the JSON file beside.", beside=beside)


def fisher_section(fisher: FisherResult, history: FisherHistory | None, *, whole: bool = False) -> Element:
    """Figures by block and by kind of parameter, and over training where it was followed; with the
    curve itself where `whole`.

    Where there is no information there is nothing to draw of it.
    """
    figures = []
    if fisher.informative:
        figures += [fisher_figure(fisher, proposal=fisher.proposal())] if whole else []
        figures += [draw(fisher) for draw, curves in ((blocks_figure, fisher.per_block), (groups_figure, fisher.per_group)) if curves]
    if history and (followed := history.informative).epochs:
        figures += [centroid_figure(followed), epochs_figure(followed)]
    return section("Temporal information", describe(fisher), el("div", figures, class_="pair"))


def describe(fisher: FisherResult) -> str:
    """Centroid, proposal and what was left out, in words."""
    batch = f" of {fisher.batch}" if fisher.estimator == "batch" else ""
    out = f" Not in the sums: {', '.join(fisher.left_out)}." if fisher.left_out else ""
    return f"{_found(fisher)} {fisher.samples:,} samples, {fisher.labels} labels, estimator {fisher.estimator}{batch}.{out}"


def _found(fisher: FisherResult) -> str:
    if not fisher.informative:
        return (
            f"No information in {counted(fisher.timesteps, 'timestep')}: no weight moves the answer, as where there is one output or no spike. "
            "So there is no centroid, and no number of timesteps is proposed."
        )
    limits = ""
    if fisher.intervals:
        low, high = fisher.intervals.centroid
        limits = f" ({100 * fisher.intervals.confidence:g} % limits {low:.3f} to {high:.3f})"
    return (
        f"Information centroid {fisher.centroid:.3f}{limits} of {counted(fisher.timesteps, 'timestep')}; at most 5 % of the information is still to come "
        f"after {fisher.proposal(0.05)}."
    )
