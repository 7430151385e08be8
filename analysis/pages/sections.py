"""The report's sections below the headline. Each is left out where its stage was not run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from spikeport.analysis.common.numbers import DASH, TIMES, count, percent, si, significant
from spikeport.analysis.cost.result import Cost
from spikeport.analysis.cost.verdict import verdict
from spikeport.analysis.figures.chip import chip_figure, steps_figure
from spikeport.analysis.figures.cost import accuracy_figure, trade_off_figure
from spikeport.analysis.figures.markup import Child, Element, el
from spikeport.analysis.figures.raster import raster_figure
from spikeport.analysis.figures.tables import data_table, filled_bar
from spikeport.analysis.pages.agreement import agreement_section
from spikeport.analysis.pages.chain import chain_section
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
        _cost(report),
        _samples(report),
        _layers(report),
        _meaning(report),
        cited(citation(report)),
        _prices(report),
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


def _cost(report: Report) -> Element | None:
    cost = report.cost
    if cost is None:
        return None
    figures = [trade_off_figure(report, cost.total, "total energy", "J"), trade_off_figure(report, cost.latency, "latency", "s")]
    lead = f"{cost.device.title}: {cost.device.note}. {cost.samples:,} samples; {cost.cores} cores, {cost.depth} timesteps deep."
    return section("Energy and latency", lead, el("div", figures, class_="pair"), _terms(cost, report.chosen), _beside(cost, report.chosen))


def _terms(cost: Cost, chosen: int) -> Element:
    at = min(chosen, cost.timesteps) - 1
    # The place in the list of all terms gives the colour, so that it is the same for every device.
    priced = [(f"part{i}", t.name, t.count[at], t.energy[at]) for i, t in enumerate(cost.terms) if t.energy and t.energy[at]]
    total = sum(energy for *_, energy in priced) or 1.0
    segments = [
        el("span", style=f"width:{100 * e / total:.2f}%", class_=f"part {colour}", title=f"{name}: {si(e, 'J')}")
        for colour, name, _, e in priced
    ]
    rows: list[list[Child]] = [
        [[el("span", class_=f"key {colour}"), name], count(n), si(e, "J"), percent(e / total, 1)] for colour, name, n, e in priced
    ]
    table = data_table(
        [f"where it goes at T' = {at + 1}", "events per sample", "energy", "share"], rows, (1, 2, 3), "Energy by kind of event"
    )
    return el("div", el("div", segments, class_="stack", role="img", aria_label="Energy by kind of event"), table)


def _beside(cost: Cost, chosen: int) -> Element:
    at = min(chosen, cost.timesteps) - 1
    return el(
        "ul",
        el(
            "li",
            f"With static power: {si(cost.total.mean[at], 'J')} per sample when samples are streamed, one every {si(cost.period[at], 's')}.",
        ),
        el(
            "li",
            f"The same network without spikes: {cost.ann_multiplications:,} multiply-accumulates, {si(cost.ann_energy, 'J')} of 8-bit arithmetic at "
            f"45 nm without any memory access; here {count(cost.operations[at])} synaptic operations.",
        ),
        *(el("li", f"{words[:1].upper()}{words[1:]}.") for words in verdict(cost, at + 1)),
        el("li", "Not in these figures: " + "; ".join(cost.unpriced) + "."),
        class_="notes",
    )


def _samples(report: Report) -> Element | None:
    if not report.samples:
        return None
    return section(
        "Spikes",
        "Every mark is a spike; the last line is the answer so far.",
        el("div", [raster_figure(s, report.chosen) for s in report.samples], class_="samples"),
    )


def _layers(report: Report) -> Element | None:
    cost = report.cost
    if cost is None:
        return None
    at = min(report.chosen, cost.timesteps) - 1
    shapes = dict(report.network.layers)
    most = {name: max(getattr(layer, name)[at] for layer in cost.layers) or 1.0 for name in ("operations", "energy")}
    rows: list[list[Child]] = [
        [
            layer.name,
            f" {TIMES} ".join(map(str, shapes.get(layer.name, (layer.neurons,)))),
            count(layer.cores),
            count(layer.spikes[at]),
            filled_bar(layer.rate(at + 1), percent(layer.rate(at + 1), 1)),
            filled_bar(layer.operations[at] / most["operations"], count(layer.operations[at])),
            filled_bar(layer.energy[at] / most["energy"], si(layer.energy[at], "J")),
            percent(layer.bottleneck, 0),
        ]
        for layer in cost.layers
    ]
    head = ["layer", "neurons", "cores", "spikes", "rate", "synaptic operations", "energy", "busiest"]
    lead = f"Means per sample at T' = {at + 1}. Rate: spikes per neuron and timestep. Busiest: share of timesteps that wait for this layer."
    figures = el("div", chip_figure(report.chip) if report.chip else None, steps_figure(cost), class_="pair")
    return section("Layers and cores", lead, figures, data_table(head, rows, (2, 3, 4, 5, 6, 7), "Layers"))


def _meaning(report: Report) -> Element:
    facts = report.network
    size = {"size": f"{facts.neurons:,} neurons, {facts.synapses:,} synapses, input {f' {TIMES} '.join(map(str, facts.input_shape))}"}
    return section("What the network means", None, _pairs({**report.semantics, **size}))


def _pairs(values: Mapping[str, object]) -> Element:
    return el("dl", [[el("dt", key), el("dd", value if isinstance(value, str) else json.dumps(value))] for key, value in values.items()])


def _prices(report: Report) -> Element | None:
    if report.cost is None:
        return None
    device = report.cost.device
    prices = [
        *((t, p) for t, p in device.energy.items()),
        *((t, p) for t, p in device.time.items()),
        ("static power of a chip", device.static),
    ]
    rows: list[list[Child]] = [
        [term, f"{significant(p.value)} {p.unit}", p.evidence, f"{TIMES} {1 + p.spread:.2f}", p.source] for term, p in prices
    ]
    barrier = ", ".join(f"{n:g} ns on {t} tiles" for t, n in zip(device.barrier.tiles, device.barrier.nanoseconds))
    rows.append(["barrier", barrier, device.barrier.evidence, "", device.barrier.source])
    table = data_table(["term", "price", "evidence", "95 % within", "source"], rows, (1, 3), "Prices")
    return el("section", el("details", el("summary", f"Prices of {device.title} and their sources"), table))


def _again(report: Report) -> Element | None:
    if not (report.seeds or report.versions or report.configuration):
        return None
    parts = {"Seeds": report.seeds, "Versions": report.versions, "Configuration": report.configuration}
    blocks = [el("div", el("h3", name), _pairs(dict(flat(values)))) for name, values in parts.items() if values]
    return el("section", el("details", el("summary", "To get the same again"), blocks))
