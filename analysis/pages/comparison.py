"""Runs side by side for people: a column for each, accuracy against energy, what differs between
them, and what to know of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from spikeport.analysis.common.numbers import DASH, Quantity, counted, percent, si
from spikeport.analysis.cost.intervals import Band
from spikeport.analysis.figures.comparison import accuracy_figure, pareto_figure
from spikeport.analysis.figures.markup import Child, Element, el
from spikeport.analysis.figures.tables import data_table, unbroken
from spikeport.analysis.pages.beside import Beside, page_beside, write_beside
from spikeport.analysis.pages.headlines import headlines
from spikeport.analysis.pages.page import cited, section
from spikeport.analysis.pages.timesteps import limits
from spikeport.analysis.results.citation import comparison_citation
from spikeport.analysis.results.comparison import ComparedRun, Comparison
from spikeport.analysis.results.report import AccuracyCurve
from spikeport.export.common.digest import short

NOTE = (
    "In brackets: where the number comes from, or its 95 % interval. Loss: percentage points on the same test samples, negative where accuracy "
    "is gained, with limits that hold at 95 % each. A run is beaten by one that is at least as accurate for no more total energy, each at its T', and better in one of them; "
    "this compares means only. Prices are shared, so that their errors move all runs together."
)


def comparison_page(comparison: Comparison, beside: Beside | None = None) -> str:
    """A self-contained HTML page. beside: what keeps its figures and tables as files too, and is
    linked.
    """
    names = ", ".join(run.name for run in comparison.runs)
    parts = [
        headlines(comparison),
        _remarks(comparison),
        *(_pictures(comparison, group) for group in comparison.groups),
        section("What was found", None, _table(comparison), el("p", NOTE, class_="aside")),
        _differences(comparison),
        _warnings(comparison),
        cited(comparison_citation(comparison)),
    ]
    foot = "spikeport. All data is in the .json file beside this page, and in every run's own report."
    return page_beside("Runs side by side", names, *parts, foot=foot, beside=beside)


def write_comparison(comparison: Comparison, path: Path, made_of: Mapping[str, str]) -> None:
    """Write the page, whole, and its figures and tables in a folder beside it. made_of: of the
    networks, by run.
    """
    write_beside(path, made_of, lambda beside: comparison_page(comparison, beside))


def table_rows(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Head and rows: a column for each run, a row for each property."""
    columns = [list(_properties(comparison, run)) for run in comparison.runs]
    head = ["", *(run.name for run in comparison.runs)]
    return head, [[name, *(column[i][1] for column in columns)] for i, (name, _) in enumerate(columns[0])]


def _properties(comparison: Comparison, run: ComparedRun) -> Iterator[tuple[str, str]]:
    at = run.chosen - 1
    yield "what", run.title
    yield "network", short(run.made_of.get("network", ""))
    yield "test data", short(run.test_data)
    yield "method", run.method
    yield "weight bits", str(run.weight_bits or DASH)
    yield "T", str(run.timesteps)
    yield "T' (deployed)", str(run.chosen)
    yield "float accuracy at T", _accuracy(run.floating, run.timesteps)
    yield "quantized at T", _accuracy(run.quantized, run.timesteps)
    yield "deployed at T'", _accuracy(run.quantized, run.chosen)
    yield "loss at T'", _loss(run)
    yield "spike for spike", _verdict(run)
    yield "dynamic energy at T'", _band(run, "dynamic", at)
    yield "total energy at T'", _band(run, "total", at)
    yield "latency at T'", _band(run, "latency", at)
    yield "cores", str(run.cost.cores) if run.cost else DASH
    yield "device", run.cost.device if run.cost else DASH
    yield "beaten by", _beaten(comparison, run)


def _accuracy(curve: AccuracyCurve | None, steps: int) -> str:
    accuracy = curve.at(steps) if curve else None
    if curve is None or accuracy is None:
        return DASH
    return Quantity(f"{percent(accuracy)} ({counted(curve.samples, f'{curve.split} sample')})", 100 * accuracy, "%")


def _loss(run: ComparedRun) -> str:
    if run.loss is None:
        return DASH
    loss = limits(run.loss)
    return Quantity(f"{loss[:-1]}, against {run.against})", loss.value, loss.unit, loss.limits)


def _verdict(run: ComparedRun) -> str:
    verification = run.verification
    if verification is None:
        return "not verified"
    of = f"({', '.join(verification.backends)}; {counted(verification.samples, 'sample')})"
    return f"equal {of}" if verification.equal else f"{counted(sum(verification.differences.values()), 'difference')} {of}"


def _band(run: ComparedRun, name: str, at: int) -> str:
    """A mean and its interval; a device that was not calibrated says so beside the number."""
    band: Band | None = getattr(run.cost, name, None)
    if run.cost is None or band is None or at >= len(band.mean):
        return DASH
    unit = "s" if name == "latency" else "J"
    sure = "" if run.cost.calibrated else ", uncalibrated"
    text = f"{si(band.mean[at], unit)} ({si(band.low[at], unit, 2)} to {si(band.high[at], unit, 2)}{sure})"
    return Quantity(text, band.mean[at], unit, (band.low[at], band.high[at]))


def _beaten(comparison: Comparison, run: ComparedRun) -> str:
    others = comparison.beaten.get(run.name)
    alone = len(next(group for group in comparison.groups if run.name in group)) == 1
    return DASH if others is None or alone else ", ".join(others) or "none"


def _remarks(comparison: Comparison) -> Element | None:
    if not comparison.remarks:
        return None
    items = [el("li", f"{remark[:1].upper()}{remark[1:]}.") for remark in comparison.remarks]
    return el("aside", el("h2", "Please note"), el("ul", items), class_="mind")


def _table(comparison: Comparison) -> Element:
    head, rows = table_rows(comparison)
    cells: list[list[Child]] = [[name, *(unbroken(v) if name == "spike for spike" else v for v in values)] for name, *values in rows]
    return data_table(head, cells, label="Runs side by side", across=True)


def _pictures(comparison: Comparison, group: Sequence[str]) -> Element | None:
    """Only of runs that may be compared; named where there is more than one such group."""
    runs = comparison.of(group)
    figures = [pareto_figure(runs, [name for name in group if comparison.beaten.get(name)]), accuracy_figure(runs)]
    if not any(figure is not None for figure in figures):
        return None
    title = "Accuracy, energy and timesteps" + ("" if len(comparison.groups) == 1 else f": {', '.join(group)}")
    return section(title, None, el("div", figures, class_="pair"))


def _differences(comparison: Comparison) -> Element:
    lead = "Settings, meaning and versions that are not the same in all runs."
    if not comparison.differences:
        return section("What differs", "All settings are the same.")
    head = ["setting", *(run.name for run in comparison.runs)]
    rows: list[list[Child]] = [[name, *(DASH if v is None else v for v in values)] for name, values in comparison.differences.items()]
    return section("What differs", lead, data_table(head, rows, label="Settings that differ", across=True))


def _warnings(comparison: Comparison) -> Element | None:
    warned = [run for run in comparison.runs if run.warnings]
    lists = [el("div", el("h3", run.name), el("ul", [el("li", w) for w in run.warnings], class_="notes"), class_="below") for run in warned]
    return section("What each run warns of", None, lists) if lists else None
