"""The report's sections on energy, time, layers and cores, and prices."""

from __future__ import annotations

from spikeport.analysis.common.numbers import TIMES, count, percent, si, significant
from spikeport.analysis.cost.result import Cost
from spikeport.analysis.cost.verdict import verdict
from spikeport.analysis.figures.charts import SERIES
from spikeport.analysis.figures.chip import chip_figure, steps_figure
from spikeport.analysis.figures.cost import trade_off_figure
from spikeport.analysis.figures.markup import Child, Element, el
from spikeport.analysis.figures.ranges import beside_figure, tornado_figure
from spikeport.analysis.figures.tables import data_table, filled_bar
from spikeport.analysis.figures.time import floorline_figure, timestep_figure
from spikeport.analysis.pages.page import section
from spikeport.analysis.results.report import Report


def energy_section(report: Report) -> Element | None:
    """What an answer costs, how sure that is, and what the same network costs without spikes."""
    cost = report.cost
    if cost is None:
        return None
    figures = [trade_off_figure(report, cost.total, "total energy", "J"), trade_off_figure(report, cost.latency, "latency", "s")]
    lead = f"{cost.device.title}: {cost.device.note}. {cost.samples:,} samples; {cost.cores} cores, {cost.depth} timesteps deep."
    more = [beside_figure(cost, _at(report, cost) + 1), timestep_figure(cost)]
    more += [tornado_figure(cost, what) for what in ("total energy", "latency")]
    return section(
        "Energy and latency",
        lead,
        el("div", figures, class_="pair"),
        _terms(cost, report.chosen),
        _beside(cost, report.chosen),
        el("div", more, class_="pair below"),
    )


def _at(report: Report, cost: Cost) -> int:
    """Place of the chosen T' in what is counted per timestep."""
    return min(report.chosen, cost.timesteps) - 1


def _terms(cost: Cost, chosen: int) -> Element:
    at = min(chosen, cost.timesteps) - 1
    # The place among those that are shown gives the colour: of all terms there are more than colours.
    terms = [(t.name, t.count[at], t.energy[at]) for t in cost.terms if t.energy and t.energy[at]]
    priced = [(f"part{i % SERIES}", *term) for i, term in enumerate(terms)]
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
        *(el("li", f"{words[:1].upper()}{words[1:]}.") for words in verdict(cost, at + 1)),
        el("li", "Not in these figures: " + "; ".join(cost.unpriced) + "."),
        class_="notes",
    )


def layers_section(report: Report) -> Element | None:
    """Every layer: its cores on the chip, what it costs, and what it waits for."""
    cost = report.cost
    if cost is None:
        return None
    at = _at(report, cost)
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
    places = [place for layer in cost.layers for place in layer.places]
    chip = chip_figure(report.chip, cost.device.chip, places) if report.chip else None
    figures = el("div", chip, steps_figure(cost), floorline_figure(cost), class_="pair")
    return section("Layers and cores", lead, figures, data_table(head, rows, (2, 3, 4, 5, 6, 7), "Layers"))


def prices_section(report: Report) -> Element | None:
    """Every price with its source."""
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
