"""The report's sections below the headline. Each is left out where its stage was not run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from spikeport.analysis.common.numbers import DASH, TIMES, percent
from spikeport.analysis.figures.cost import accuracy_figure
from spikeport.analysis.figures.markup import Element, el
from spikeport.analysis.figures.raster import raster_figure
from spikeport.analysis.figures.tables import data_table
from spikeport.analysis.pages.agreement import agreement_section
from spikeport.analysis.pages.chain import chain_section
from spikeport.analysis.pages.energy import energy_section, layers_section, prices_section
from spikeport.analysis.pages.fisher import fisher_section
from spikeport.analysis.pages.page import cited, section
from spikeport.analysis.pages.pruning import pruning_section
from spikeport.analysis.pages.robustness import robustness_section
from spikeport.analysis.pages.timesteps import timesteps_section
from spikeport.analysis.results.citation import citation
from spikeport.analysis.results.comparison import flat
from spikeport.analysis.results.report import AccuracyCurve, Report


def all_sections(report: Report) -> list[Element]:
    """Those that there is something to say in, in order."""
    made = [
        chain_section(report),
        _accuracy(report),
        timesteps_section(report),
        agreement_section(report.agreement, report.loss) if report.agreement else None,
        fisher_section(report.fisher, report.fisher_history) if report.fisher else None,
        robustness_section(report.robustness) if report.robustness else None,
        pruning_section(report.pruning) if report.pruning else None,
        energy_section(report),
        _samples(report),
        layers_section(report),
        _meaning(report),
        cited(citation(report)),
        prices_section(report),
        _again(report),
    ]
    return [part for part in made if part is not None]


def _accuracy(report: Report) -> Element | None:
    figure = accuracy_figure(report)
    if figure is None:
        return None
    table = _accuracy_table(report.accuracy, report.network.timesteps, report.chosen) if report.accuracy else None
    return section("Accuracy", None, el("div", figure, table, class_="pair"))


def _accuracy_table(curves: Sequence[AccuracyCurve], full: int, chosen: int) -> Element:
    columns = [full] if chosen == full else [full, chosen]
    rows = [[c.stage, f"{c.split}, {c.samples:,}", *(_or_dash(c.at(t)) for t in columns)] for c in curves]
    return data_table(["stage", "samples", *(f"T = {t}" if t == full else f"T' = {t}" for t in columns)], rows, (2, 3), "Accuracy by stage")


def _or_dash(accuracy: float | None) -> str:
    return DASH if accuracy is None else percent(accuracy)


def _samples(report: Report) -> Element | None:
    if not report.samples:
        return None
    return section(
        "Spikes",
        "Every mark is a spike; the last line is the answer so far.",
        el("div", [raster_figure(s, report.chosen) for s in report.samples], class_="samples"),
    )


def _meaning(report: Report) -> Element:
    facts = report.network
    size = {"size": f"{facts.neurons:,} neurons, {facts.synapses:,} synapses, input {f' {TIMES} '.join(map(str, facts.input_shape))}"}
    return section("What the network means", None, _pairs({**report.semantics, **size}))


def _pairs(values: Mapping[str, object]) -> Element:
    return el("dl", [[el("dt", key), el("dd", value if isinstance(value, str) else json.dumps(value))] for key, value in values.items()])


def _again(report: Report) -> Element | None:
    if not (report.seeds or report.versions or report.configuration):
        return None
    parts = {"Seeds": report.seeds, "Versions": report.versions, "Configuration": report.configuration}
    blocks = [el("div", el("h3", name), _pairs(dict(flat(values)))) for name, values in parts.items() if values]
    return el("section", el("details", el("summary", "To get the same again"), blocks))
