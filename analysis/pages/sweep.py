"""A sweep for people: a table of all points, and for every varied field what it does to
information, accuracy and robustness.
"""

from __future__ import annotations

from spikeport.analysis.common.numbers import DASH, percent
from spikeport.analysis.figures.charts import SERIES, Curve, Frame, axes, bars, chart, padded, series, series_key
from spikeport.analysis.figures.markup import Child, Element, el
from spikeport.analysis.figures.tables import data_table
from spikeport.analysis.pages.beside import Beside, page_beside
from spikeport.analysis.pages.page import section
from spikeport.analysis.results.training_comparison import Sweep, SweepPoint

WIDE = 0.8
"""Part of a condition's place that its columns take."""


def sweep_page(sweep: Sweep, beside: Beside | None = None) -> str:
    """A self-contained HTML page."""
    failures = el("ul", [el("li", f"{name}: {reason}") for name, reason in sweep.failed.items()], class_="notes")
    points = section("Points", None, _table(*table_rows(sweep), 1, "Points"), failures if sweep.failed else None)
    head, rows = robustness_rows(sweep)
    robustness = (
        section("Robustness", "Accuracy at T on clean and on perturbed images.", _table(head, rows, 2, "Robustness")) if rows else None
    )
    subtitle = f"{len(sweep.points)} of {sweep.planned} trainings finished"
    sections = [_section(sweep, name) for name in sweep.figures]
    return page_beside(sweep.title, subtitle, points, robustness, *sections, foot="All data is in sweep.json.", beside=beside)


def _table(head: list[str], rows: list[list[str]], names: int, label: str) -> Element:
    """All columns but the first ones, which name the row, are numbers."""
    cells: list[list[Child]] = [list(row) for row in rows]
    return data_table(head, cells, range(names, len(head)), label)


def table_rows(sweep: Sweep) -> tuple[list[str], list[list[str]]]:
    """Head and rows, one per point."""
    widths = list(dict.fromkeys(bits for point in sweep.points for bits in point.fixed_point))
    head = ["point", "T", "test accuracy", *(f"in {bits} bits" for bits in widths), "information centroid", "I_T", "proposed T'"]
    return head, [_row(point, widths) for point in sweep.points]


def _row(point: SweepPoint, widths: list[str]) -> list[str]:
    fisher = point.fisher
    centroid = DASH if fisher.centroid is None else f"{fisher.centroid:.3f}"
    quantized = (percent(point.fixed_point[bits][-1]) if bits in point.fixed_point else DASH for bits in widths)
    numbers = [percent(point.accuracy[-1]), *quantized, centroid, f"{fisher.per_step[-1]:.4g}", str(fisher.proposal() or DASH)]
    return [point.name, str(fisher.timesteps), *numbers]


def robustness_rows(sweep: Sweep) -> tuple[list[str], list[list[str]]]:
    """Head and rows, one per point and network: accuracy at T under every perturbation (table 1);
    no rows where none was measured.
    """
    measured = [(point.name, point.robustness) for point in sweep.points if point.robustness]
    names = list(dict.fromkeys(c.name for _, result in measured for c in result.conditions))
    rows = [
        [name, network, *(percent(c.outcomes[network].accuracy[-1]) for c in result.conditions)]
        for name, result in measured
        for network in result.networks
    ]
    return ["point", "network", *names], rows


def figures(sweep: Sweep, name: str) -> list[Element]:
    """The pictures of a varied field, in the order of the page."""
    points = sweep.of(name)
    networks = dict.fromkeys(network for _, p in points if p.robustness for network in p.robustness.networks)
    return [
        *([centroid_figure(points, name)] if all(p.history.informative.epochs for _, p in points) else []),
        information_figure(points, name),
        accuracy_figure(points, name),
        *([bits_figure(points, name)] if all(p.fixed_point for _, p in points) else []),
        *(robustness_figure(points, network, name) for network in networks),
    ]


def _section(sweep: Sweep, name: str) -> Element:
    return section(name, None, el("div", figures(sweep, name), class_="pair"))


def centroid_figure(points: list[tuple[str, SweepPoint]], by: str) -> Element:
    """The information centroid over epochs (figure 4, left panels)."""
    followed = [(label, p.history.informative) for label, p in points]
    last = max(epoch for _, history in followed for epoch in history.epochs)
    frame = Frame(0.5, last + 0.5, *padded([c for _, history in followed for c in history.centroids], 0.1))
    labels = ("epoch", "information centroid, timesteps")
    marks, curves = axes(frame, *labels, steps=last), []
    for i, (label, history) in enumerate(followed):
        curves.append(Curve(label, history.epochs, history.centroids))
        notes = [f"{label}, epoch {e}: centroid {c:.3f}" for e, c in zip(history.epochs, history.centroids)]
        marks += series(frame, i, history.epochs, history.centroids, notes)
    named = [f"{label} ({history.centroids[0]:.2f} to {history.centroids[-1]:.2f})" for label, history in followed]
    summary = f"Information centroid over {last} epochs"
    return chart(f"Information centroid over training, by {by}", summary, marks, curves=curves, labels=labels, caption=series_key(named))


def information_figure(points: list[tuple[str, SweepPoint]], by: str) -> Element:
    """I_t over timesteps, each curve in per cent of its largest value (figure 4, right panels)."""
    steps = max(p.fisher.timesteps for _, p in points)
    frame = Frame(0.5, steps + 0.5, 0, 108)
    labels = ("timestep t", "I_t, % of its peak")
    marks, curves = axes(frame, *labels, steps=steps, y_most=100), []
    for i, (label, point) in enumerate(points):
        peak = max(point.fisher.per_step) or 1.0
        ys = [100 * value / peak for value in point.fisher.per_step]
        xs = list(range(1, len(ys) + 1))
        curves.append(Curve(label, xs, ys))
        marks += series(frame, i, xs, ys, [f"{label}, t = {x}: I = {v:.4g}" for x, v in zip(xs, point.fisher.per_step)])
    centroids = [(label, point.fisher.centroid) for label, point in points]
    named = [f"{label} (no information)" if centroid is None else f"{label} (centroid {centroid:.2f})" for label, centroid in centroids]
    summary = f"Fisher information over {steps} timesteps"
    return chart(f"Fisher information, by {by}", summary, marks, curves=curves, labels=labels, caption=series_key(named))


def accuracy_figure(points: list[tuple[str, SweepPoint]], by: str) -> Element:
    """Validation accuracy over epochs."""
    last = max(len(p.validation) for _, p in points)
    values = [100 * v for _, p in points for v in p.validation]
    frame = Frame(0.5, last + 0.5, *padded(values, 0.08, floor=0, ceiling=100.5))
    labels = ("epoch", "validation accuracy, %")
    marks, curves = axes(frame, *labels, steps=last), []
    for i, (label, point) in enumerate(points):
        xs, ys = list(range(1, len(point.validation) + 1)), [100 * v for v in point.validation]
        curves.append(Curve(label, xs, ys))
        marks += series(frame, i, xs, ys, [f"{label}, epoch {x}: {y:.2f} %" for x, y in zip(xs, ys)])
    summary, caption = f"Validation accuracy over {last} epochs", series_key([label for label, _ in points])
    return chart(f"Accuracy over training, by {by}", summary, marks, curves=curves, labels=labels, caption=caption)


def bits_figure(points: list[tuple[str, SweepPoint]], by: str) -> Element:
    """Accuracy in fixed point at T over bits of a weight."""
    widths = list(dict.fromkeys(bits for _, p in points for bits in p.fixed_point))
    values = [[100 * accuracy[-1] for accuracy in p.fixed_point.values()] for _, p in points]
    frame = Frame(0.5, len(widths) + 0.5, *padded([v for ys in values for v in ys], 0.08, floor=0, ceiling=100.5))
    labels = ("bits of a weight", "test accuracy at T, %")
    marks, curves = axes(frame, *labels, names=widths), []
    for i, ((label, point), ys) in enumerate(zip(points, values)):
        xs = [widths.index(bits) + 1 for bits in point.fixed_point]
        curves.append(Curve(label, list(point.fixed_point), ys))
        marks += series(frame, i, xs, ys, [f"{label}, {bits} bits: {y:.2f} %" for bits, y in zip(point.fixed_point, ys)])
    summary, caption = f"Accuracy in fixed point with {', '.join(widths)} bits", series_key([label for label, _ in points])
    return chart(f"Accuracy in fixed point, by {by}", summary, marks, curves=curves, labels=labels, caption=caption)


def robustness_figure(points: list[tuple[str, SweepPoint]], network: str, by: str) -> Element:
    """Accuracy at T under every perturbation, one column per point."""
    with_it = [(label, p.robustness) for label, p in points if p.robustness and network in p.robustness.networks]
    conditions = [c.name for c in with_it[0][1].conditions]
    frame, width = Frame(0.4, len(conditions) + 0.6, 0, 105), WIDE / len(with_it)
    marks, curves = axes(frame, "", "accuracy at T, %", y_most=100, names=conditions), []
    for i, (label, result) in enumerate(with_it):
        xs = [c + 1 + (i - (len(with_it) - 1) / 2) * width for c in range(len(conditions))]
        ys = [100 * c.outcomes[network].accuracy[-1] for c in result.conditions]
        curves.append(Curve(label, conditions, ys))
        marks += bars(frame, xs, ys, [f"{label}, {c}: {y:.2f} %" for c, y in zip(conditions, ys)], f"s{i % SERIES}", width * 0.92)
    summary, caption = f"Accuracy under perturbations, {network}", series_key([label for label, _ in with_it])
    labels = ("images", "accuracy at T, %")
    return chart(f"Robustness, {network}, by {by}", summary, marks, curves=curves, labels=labels, caption=caption)
