"""The report's figures: accuracy over timesteps, and accuracy against energy and latency."""

from __future__ import annotations

from collections.abc import Sequence

from spikeport.analysis.common.numbers import percent, points, si, si_scale
from spikeport.analysis.cost.intervals import Band
from spikeport.analysis.decision.timestep_cut import Truncation
from spikeport.analysis.figures.charts import Curve, Frame, axes, chart, dots, level, line, padded, whiskers
from spikeport.analysis.figures.labels import Labels, uprights
from spikeport.analysis.figures.markup import Element, el
from spikeport.analysis.figures.reach import BELOW_KEY, lowest, parts_above
from spikeport.analysis.results.report import AccuracyCurve, Report

ROOM = 0.12
"""Share of the height that is left above all curves, for what a vertical line says."""
MOST_INTERVAL = 3.0
"""The axis makes room for an interval up to so many times the largest mean; the caption tells the
rest.
"""
ACCURACY_STAGES = ("quantized", "Lava", "float")


def accuracy_figure(report: Report) -> Element | None:
    """Accuracy after every T': the measured curves, and the validation losses that decided."""
    curves = [c for stage in ACCURACY_STAGES if (c := report.curve(stage))]
    if not curves and not report.truncation:
        return None
    steps = report.network.timesteps
    values = [100 * a for c in curves for a in c.accuracy]
    if report.truncation:
        values += [100 * s.accuracy for s in report.truncation.steps]
        values.append(values[-1] - report.truncation.tolerance)
    low, high = padded(values, 0.14, floor=0, ceiling=100.5)
    frame = Frame(0.5, steps + 0.5, low, high + ROOM * (high - low))
    labels = ("timesteps T'", "accuracy, %")
    marks = axes(frame, *labels, steps=steps, y_most=high)
    if report.truncation:
        marks += _validation_marks(frame, report.truncation)
    for curve in curves[:1]:
        marks += _curve_marks(frame, curve)
    chosen = report.chosen
    marks += uprights(frame, (chosen, f"T' = {chosen}", "cut"))
    shown = f"{curves[0].stage}, {curves[0].split} data (line)" if curves else ""
    also = (
        f"validation data with the interval of the loss (dots); tolerance {points(report.truncation.tolerance)} (dashed)"
        if report.truncation
        else ""
    )
    summary = f"Accuracy after 1 to {steps} timesteps; chosen T' is {chosen}"
    caption = "; ".join(s for s in (shown, also) if s)
    return chart(
        "Accuracy over timesteps", summary, marks, curves=_accuracies(curves[:1], report.truncation), labels=labels, caption=caption
    )


def _accuracies(curves: Sequence[AccuracyCurve], truncation: Truncation | None) -> list[Curve]:
    """What the figure shows, as numbers."""
    drawn = [Curve(f"{c.stage}, {c.split}", range(1, len(c.accuracy) + 1), [100 * a for a in c.accuracy]) for c in curves]
    if truncation:
        steps, full = truncation.steps, 100 * truncation.steps[-1].accuracy
        limits = [(full - s.losses.full.high, full - s.losses.full.low) for s in steps]
        drawn.append(Curve("validation", [s.timesteps for s in steps], [100 * s.accuracy for s in steps], limits))
    return drawn


def _curve_marks(frame: Frame, curve: AccuracyCurve) -> list[Element]:
    xs = list(range(1, len(curve.accuracy) + 1))
    ys = [100 * a for a in curve.accuracy]
    notes = [f"{curve.stage}, {curve.split}, T' = {x}: {y:.2f} %" for x, y in zip(xs, ys)]
    return [line(frame, xs, ys, "main"), *dots(frame, xs, ys, notes, "main")]


def _validation_marks(frame: Frame, truncation: Truncation) -> list[Element]:
    steps, full = truncation.steps, 100 * truncation.steps[-1].accuracy
    xs = [s.timesteps + 0.14 for s in steps]
    notes = [
        f"validation, T' = {s.timesteps}: {percent(s.accuracy)}, loss {s.losses.full.value:.2f} ({s.losses.full.low:.2f} to {s.losses.full.high:.2f}) points"
        for s in steps
    ]
    marks = [level(frame, full - truncation.tolerance, "faint")]
    marks += whiskers(frame, xs, [full - s.losses.full.high for s in steps], [full - s.losses.full.low for s in steps], "second")
    return marks + dots(frame, xs, [100 * s.accuracy for s in steps], notes, "second", 2.5)


def trade_off_figure(report: Report, cost: Band, what: str, unit: str) -> Element | None:
    """Accuracy against energy or latency, one point for each T'."""
    curve = report.curve(*ACCURACY_STAGES)
    if curve is None:
        return None
    steps = min(len(curve.accuracy), len(cost.mean))
    factor, prefix = si_scale(cost.mean[steps - 1])
    xs, lows, highs = ([v / factor for v in values[:steps]] for values in (cost.mean, cost.low, cost.high))
    ys = [100 * a for a in curve.accuracy[:steps]]
    chosen = min(report.chosen, steps)
    low, high = padded([max(y, lowest([ys[chosen - 1], ys[-1]])) for y in ys], 0.16, ceiling=100.5)
    most = max(max(xs) * 1.08, min(highs[chosen - 1] * 1.04, MOST_INTERVAL * max(xs)))
    frame = Frame(0, most, low, high + ROOM * (high - low))
    labels = (f"{what} per sample, {prefix}{unit}", "accuracy, %")
    marks = axes(frame, *labels, y_most=high)
    bottom = [
        el(
            "line",
            x1=frame.x(lows[chosen - 1]),
            x2=frame.x(min(highs[chosen - 1], frame.x_high)),
            y1=frame.y(ys[chosen - 1]),
            y2=frame.y(ys[chosen - 1]),
            class_="whisker cut wide",
        )
    ]
    notes = [
        f"T' = {t}: {y:.2f} %, {si(m, unit)} ({si(a, unit)} to {si(b, unit)})"
        for t, y, m, a, b in zip(range(1, steps + 1), ys, cost.mean, cost.low, cost.high)
    ]
    marks += [line(frame, [x for x, _ in part], [y for _, y in part], "main") for part in parts_above(list(zip(xs, ys)), low)]
    reached = [t for t in range(1, steps + 1) if ys[t - 1] >= low]
    marks += bottom
    for t in reached:
        marks += dots(frame, [xs[t - 1]], [ys[t - 1]], [notes[t - 1]], "main")
    marks += [el("circle", cx=frame.x(xs[chosen - 1]), cy=frame.y(ys[chosen - 1]), r=7, class_="ring cut")]
    beside = Labels(frame)
    beside.avoid(xs, [max(y, low) for y in ys])
    beside.avoid([lows[chosen - 1], min(highs[chosen - 1], frame.x_high)], [ys[chosen - 1]] * 2)
    marks += [
        beside.beside(xs[t - 1], ys[t - 1], f"T' = {t}", "cut" if t == chosen else "faint")
        for t in sorted({1, chosen, steps} & set(reached))
    ]
    summary = f"Accuracy against {what} for 1 to {steps} timesteps"
    interval = f"{si(cost.low[chosen - 1], unit)} to {si(cost.high[chosen - 1], unit)}"
    caption = f"each point one T' from 1 to {steps}; bar: 95 % interval at the chosen one, {interval}" + (
        f". {BELOW_KEY}" if min(ys) < low else ""
    )
    curves = [Curve(f"T' = {t}", [x], [y]) for t, x, y in zip(range(1, steps + 1), xs, ys)]
    return chart(f"Accuracy and {what}", summary, marks, curves=curves, labels=labels, caption=caption)
