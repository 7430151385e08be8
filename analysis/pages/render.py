"""The report as one self-contained HTML file."""

from __future__ import annotations

from pathlib import Path

from spikeport.analysis.common.numbers import counted, percent, points, si
from spikeport.analysis.figures.markup import Element, el
from spikeport.analysis.pages import sections
from spikeport.analysis.pages.beside import Beside, page_beside, write_beside
from spikeport.analysis.pages.page import fact
from spikeport.analysis.results.report import Report
from spikeport.export.common.digest import short
from spikeport.hw.backends.through_lava import LavaProof
from spikeport.hw.backends.verify import Verification


def render(report: Report, beside: Beside | None = None) -> str:
    """The whole page. beside: what keeps its figures and tables as files too, and is linked."""
    parts = [_hero(report), _warnings(report), *sections.all_sections(report)]
    foot = f"spikeport, report format {report.version}. All data is in report.json.{_made_of(report)}"
    day = f", reported {report.date}" if report.date else ""
    return page_beside(report.title, f"{report.subtitle}{day}", *parts, foot=foot, beside=beside)


def _made_of(report: Report) -> str:
    """Which networks and data the report speaks of, by the first digits of their content digests."""
    named = ", ".join(f"{name} {short(digest)}" for name, digest in report.made_of.items())
    return f" Made of, by content: {named}." if named else ""


def write_page(report: Report, path: Path) -> None:
    """Write `report.html`, whole, and its figures and tables in a folder beside it."""
    write_beside(path, report.made_of, lambda beside: render(report, beside))


def _hero(report: Report) -> Element:
    return el("section", _stamp(report.verification, report.lava), el("div", _facts(report), class_="facts"), class_="hero")


def _stamp(verification: Verification | None, lava: LavaProof | None) -> Element:
    if verification is None:
        return _stamp_box("absent", None, "No backend was compared with the reference in this run.", None)
    differences = sum(verification.differences.values()) + (lava.differences if lava else 0)
    backends = (
        " = ".join(("reference", *verification.backends)) if verification.equal else "reference against " + ", ".join(verification.backends)
    )
    compared = (
        f"{verification.compared:,} neuron-steps with {counted(verification.spikes, 'spike')} and {verification.outputs:,} readout values, "
        f"{counted(verification.samples, 'sample')}, {counted(verification.timesteps, 'timestep')}"
    )
    rest = [f"Real Lava against the engine: {lava.sentences[0]}; {lava.sentences[1]}."] if lava else []
    if not differences:
        return _stamp_box("equal", "0", f"in {compared}", backends, *rest)
    first = f". First: {verification.first}" if verification.first else ""
    return _stamp_box("different", f"{differences:,}", f"in {compared}{first}", backends, *rest)


def _stamp_box(kind: str, figure: str | None, detail: str, backends: str | None, *rest: str) -> Element:
    heading = {"equal": "Verified spike for spike", "different": "Verification failed", "absent": "Not verified"}[kind]
    text = el(
        "div",
        el("h2", heading),
        el("p", el("strong", figure), " differences", class_="figure") if figure else None,
        el("p", detail, class_="detail"),
        el("p", backends, class_="backends") if backends else None,
        [el("p", line, class_="detail") for line in rest],
    )
    return el("div", _seal(kind), text, class_=f"stamp {kind}")


def _seal(kind: str) -> Element:
    sign = {"equal": "M30 51l14 14 27-31", "different": "M35 35l30 30M65 35L35 65", "absent": "M32 50h36"}[kind]
    ring = el("circle", cx=50, cy=50, r=45, class_="ring-outer", stroke_dasharray="2.2 3.455")
    return el("svg", ring, el("circle", cx=50, cy=50, r=37), el("path", d=sign), viewBox="0 0 100 100", aria_hidden="true", class_="seal")


def _facts(report: Report) -> list[Element]:
    chosen, full, cost = report.chosen, report.network.timesteps, report.cost
    curve = report.curve("quantized", "Lava", "float")
    accuracy = curve.at(chosen) if curve else None
    whole = curve.at(full) if curve else None
    facts = [fact("Timesteps", f"{full} → {chosen}" if chosen < full else f"{full}", _how_chosen(report))]
    if curve and accuracy is not None:
        against = f"{percent(whole)} at T = {full}; " if whole is not None and chosen < full else ""
        facts.insert(0, fact("Accuracy", percent(accuracy), f"{against}{curve.stage}, {counted(curve.samples, f'{curve.split} sample')}"))
    if cost:
        total, dynamic, latency, at = cost.total, cost.dynamic, cost.latency, min(chosen, cost.timesteps) - 1
        sure = "" if cost.device.calibrated else ", uncalibrated"
        parts = f"dynamic {si(dynamic.mean[at], 'J')}, {_range(dynamic.low[at], dynamic.high[at], 'J')}"
        note = f"{_range(total.low[at], total.high[at], 'J')} in all; {parts}; {cost.device.title}{sure}"
        facts.append(fact("Energy per sample", si(total.mean[at], "J"), note))
        facts.append(fact("Latency", si(latency.mean[at], "s"), f"{_range(latency.low[at], latency.high[at], 's')}, one sample alone"))
    return facts


def _how_chosen(report: Report) -> str:
    truncation = report.truncation
    if truncation is None:
        return "truncation not run"
    if not truncation.shown:
        return f"nothing shown: loss below {points(truncation.tolerance)} against the float network"
    if truncation.chosen == truncation.timesteps:
        return f"none can go: loss below {points(truncation.tolerance)} not shown"
    return f"loss below {points(truncation.tolerance)} with {100 * truncation.confidence:g} % confidence"


def _range(low: float, high: float, unit: str) -> str:
    return f"{si(low, unit, 2)} to {si(high, unit, 2)}"


def _warnings(report: Report) -> Element | None:
    warnings = [*report.all_warnings]
    if report.absent:
        warnings.append(f"not run: {', '.join(report.absent)}")
    return (
        el("aside", el("h2", "Please note"), el("ul", [el("li", w[:1].upper() + w[1:] + ".") for w in warnings]), class_="mind")
        if warnings
        else None
    )
