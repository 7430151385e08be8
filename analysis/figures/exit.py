"""Figures of the early exit: accuracy against mean timesteps over the ladder of thresholds, and
when samples stop.
"""

from __future__ import annotations

from spikeport.analysis.common.numbers import percent, points
from spikeport.analysis.decision.early_exit import EarlyExit
from spikeport.analysis.decision.timestep_cut import Truncation
from spikeport.analysis.figures.charts import Curve, Frame, axes, bars, chart, dots, level, line, padded
from spikeport.analysis.figures.labels import uprights
from spikeport.analysis.figures.markup import Element, el


def exit_figure(truncation: Truncation, early_exit: EarlyExit) -> Element:
    """Validation accuracy over the mean number of timesteps: a line over thresholds (early exit), a
    dot for each T' (cut).
    """
    exits = early_exit.points
    cuts, heights = [s.timesteps for s in truncation.steps], [100 * s.accuracy for s in truncation.steps]
    xs, ys = [p.mean_steps for p in exits], [100 * p.accuracy for p in exits]
    least = 100 * max(truncation.steps[-1].accuracy, truncation.accuracy_floating) - truncation.tolerance
    frame = Frame(0.8, truncation.timesteps + 0.2, *padded([*ys, *heights, least], 0.14, floor=0, ceiling=100.5))
    labels = ("mean timesteps", "accuracy, %")
    marks = axes(frame, *labels, steps=truncation.timesteps)
    marks.append(level(frame, least, "faint"))
    marks += dots(
        frame, xs, ys, [f"margin {p.threshold}: {y:.2f} % after {p.mean_steps:.2f} ({p.verdict})" for p, y in zip(exits, ys)], "main", 2
    )
    marks.append(line(frame, xs, ys, "main"))
    marks += dots(frame, cuts, heights, [f"T' = {t}: {y:.2f} %" for t, y in zip(cuts, heights)], "second", 3)
    marks += [
        el("circle", cx=frame.x(p.mean_steps), cy=frame.y(100 * p.accuracy), r=7, class_="ring cut")
        for p in exits
        if p.threshold == early_exit.threshold
    ]
    caption = (
        "validation data; line: early exit, threshold by threshold (ring: chosen); dots: the same number of timesteps for all samples; "
        f"dashed: tolerance {points(truncation.tolerance)}"
    )
    curves = [Curve("early exit", xs, ys), Curve("cut", cuts, heights)]
    return chart("Early exit and cut", "Accuracy against mean timesteps", marks, curves=curves, labels=labels, caption=caption)


def exit_histogram(early_exit: EarlyExit) -> Element:
    """Share of test samples that stop after each number of timesteps."""
    steps = len(early_exit.exits)
    xs, heights = list(range(1, steps + 1)), [100 * share for share in early_exit.exits]
    frame = Frame(0.4, steps + 0.6, 0, 1.25 * max(heights))
    labels = ("timesteps", "samples that stop, %")
    marks = axes(frame, *labels, steps=steps, y_most=max(heights))
    marks += bars(frame, xs, heights, [f"{percent(share)} after {t}" for t, share in zip(xs, early_exit.exits)], "second", 0.62)
    marks += uprights(frame, (early_exit.mean_steps, f"mean {early_exit.mean_steps:.2f}", "cut"))
    summary, curves = f"Samples stop after {early_exit.mean_steps:.2f} timesteps on average", [Curve("test data", xs, heights)]
    return chart("When samples stop", summary, marks, curves=curves, labels=labels, caption="test data")
