"""Robustness for people: a section of the report, and a page of its own."""

from __future__ import annotations

from collections.abc import Sequence

from spikeport.analysis.common.numbers import percent
from spikeport.analysis.figures.charts import Curve, Frame, axes, bars, chart, padded, series, series_key, whiskers
from spikeport.analysis.figures.markup import Child, Element, el
from spikeport.analysis.figures.tables import data_table
from spikeport.analysis.pages.beside import Beside, page_beside
from spikeport.analysis.pages.page import section
from spikeport.analysis.results.perturbed_accuracy import Condition, Robustness

WIDE = 0.7
"""Part of a category's place that its columns take."""


def robustness_page(result: Robustness, title: str, beside: Beside | None = None) -> str:
    """A self-contained HTML page."""
    subtitle, foot = "robustness against noise, blur and attacks", "All data is in the JSON file beside."
    return page_beside(title, subtitle, robustness_section(result), foot=foot, beside=beside)


def robustness_section(result: Robustness) -> Element:
    """Figures and the table."""
    figures = [conditions_figure(result), *(over_time_figure(result, n) for n in result.networks)]
    if result.windows:
        figures.append(windows_figure(result))
    return section("Robustness", lead(result), el("div", figures, class_="pair"), _table(result))


def lead(result: Robustness) -> str:
    """What was done, in words."""
    s = result.strengths
    coarse = "fixed point" in result.networks and 0 < min(s.epsilon, s.step) < result.level
    start = "random start" if s.random_start else "from the image"
    return (
        f"{result.samples:,} test samples, seed {result.seed}. Gaussian noise of {s.noise:g} times the image's l2 norm; blur by {s.blur:g}; "
        f"FGSM {_level(s.epsilon)}; PGD {_level(s.epsilon)} in {s.iterations} steps of {_level(s.step)}, {start}. "
        "Attacks are made on the float network (white box) and sent as integers to the quantized one."
        + (f" One level of its input is {_level(result.level)}: rounding changes how strong they are there." if coarse else "")
    )


def _level(value: float) -> str:
    return f"{255 * value:.4g}/255"


def conditions_figure(result: Robustness) -> Element:
    """Accuracy at T under every condition, one column per network, with the limits of the loss."""
    count, networks = len(result.conditions), result.networks
    frame, width = Frame(0.4, count + 0.6, 0, 105), WIDE / len(networks)
    names, curves = [c.name for c in result.conditions], []
    marks = axes(frame, "", "accuracy at T, %", y_most=100, names=names)
    for i, network in enumerate(networks):
        xs = [c + 1 + (i - (len(networks) - 1) / 2) * width for c in range(count)]
        outcomes = [c.outcomes[network] for c in result.conditions]
        clean = 100 * outcomes[0].accuracy[-1]
        notes = [f"{network}, {c.name}: {percent(o.accuracy[-1])}" for c, o in zip(result.conditions, outcomes)]
        marks += bars(frame, xs, [100 * o.accuracy[-1] for o in outcomes], notes, f"s{i}", width * 0.92)
        limits = [(clean - o.high, clean - o.low) for o in outcomes]
        marks += whiskers(frame, xs, [low for low, _ in limits], [high for _, high in limits], "faint")
        curves.append(Curve(network, names, [100 * o.accuracy[-1] for o in outcomes], limits))
    summary = f"Accuracy on clean images and under {count - 1} perturbations"
    caption = [series_key(networks), "whiskers: 95 % limits of the loss against clean images, paired"]
    return chart("Accuracy under perturbations", summary, marks, curves=curves, labels=("images", "accuracy at T, %"), caption=caption)


def over_time_figure(result: Robustness, network: str) -> Element:
    """Accuracy after every number of timesteps under every condition."""
    xs = list(range(1, result.timesteps + 1))
    curves = [[100 * a for a in c.outcomes[network].accuracy] for c in result.conditions]
    frame = Frame(0.5, result.timesteps + 0.5, *padded([y for ys in curves for y in ys], 0.08, floor=0, ceiling=100.5))
    labels = ("timesteps T'", "accuracy, %")
    marks = axes(frame, *labels, steps=result.timesteps)
    for i, (condition, ys) in enumerate(zip(result.conditions, curves)):
        marks += series(frame, i, xs, ys, [f"{condition.name}, T' = {x}: {y:.2f} %" for x, y in zip(xs, ys)])
    caption = series_key([c.name for c in result.conditions])
    drawn = [Curve(condition.name, xs, ys) for condition, ys in zip(result.conditions, curves)]
    summary = f"Accuracy of the {network} network over timesteps"
    return chart(f"Over timesteps, {network}", summary, marks, curves=drawn, labels=labels, caption=caption)


def windows_figure(result: Robustness) -> Element:
    """Accuracy with the deficit in each window against that in the last window."""
    xs = [w.first for w in result.windows]
    curves = [result.relative(network) for network in result.networks]
    frame = Frame(0.5, max(xs) + 0.5, *padded([0.0, *(y for ys in curves for y in ys)], 0.1))
    labels = ("first timestep of the window", "accuracy, points")
    marks = axes(frame, *labels, steps=max(xs))
    for i, (network, ys) in enumerate(zip(result.networks, curves)):
        notes = [f"{network}, steps {w.first} to {w.last}: {y:+.2f} points" for w, y in zip(result.windows, ys)]
        marks += series(frame, i, xs, ys, notes)
    width = result.windows[0].last - result.windows[0].first + 1
    steps = f"{width} timestep{'s' if width > 1 else ''}"
    caption = [series_key(result.networks), f"{result.deficit} in a window of {steps}; accuracy minus that with the last window"]
    drawn = [Curve(network, xs, ys) for network, ys in zip(result.networks, curves)]
    summary = f"Accuracy with {result.deficit} in a sliding window of {steps}"
    return chart("Deficits in a window", summary, marks, curves=drawn, labels=labels, caption=caption)


def table_rows(result: Robustness) -> tuple[list[str], list[list[str]]]:
    """Head and rows: every condition and window with every network."""
    cut = [result.cut] if result.cut and result.cut < result.timesteps else []
    head = ["images", "network", f"T = {result.timesteps}", *(f"T' = {t}" for t in cut), "loss at T, points", "95 % limits"]
    windows = [(_window_name(result.deficit, w), w) for w in result.windows]
    rows = [
        [name, network, *_numbers(condition, network, cut)]
        for name, condition in [*((c.name, c) for c in result.conditions), *windows]
        for network in result.networks
    ]
    return head, rows


def _numbers(condition: Condition, network: str, cut: Sequence[int]) -> list[str]:
    o = condition.outcomes[network]
    accuracy = [percent(o.accuracy[-1]), *(percent(o.accuracy[t - 1]) for t in cut)]
    return [*accuracy, *(("", "") if condition.name == "clean" else (f"{o.loss:+.2f}", f"{o.low:+.2f} to {o.high:+.2f}"))]


def _window_name(deficit: str, window: Condition) -> str:
    return f"{deficit}, steps {window.first} to {window.last}"


def _table(result: Robustness) -> Element:
    head, rows = table_rows(result)
    cells: list[list[Child]] = [list(row) for row in rows]
    return data_table(head, cells, range(2, len(head)), "Accuracy under perturbations")
