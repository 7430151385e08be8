"""Runs side by side as pictures: accuracy against energy, and over timesteps, a curve for every
run.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from spikeport.analysis.common.numbers import percent, si, si_scale
from spikeport.analysis.figures.charts import SERIES, Curve, Frame, axes, chart, dots, line, padded, series, series_key
from spikeport.analysis.figures.labels import Labels
from spikeport.analysis.figures.markup import Child, Element, el
from spikeport.analysis.figures.reach import BELOW_KEY, lowest, parts_above
from spikeport.analysis.results.comparison import ComparedRun

KEY = "Large: each run at its chosen T'; small: at every other T'."
RING_KEY = " Ringed: no other run beats it."
FRONT_KEY = " Dashed: through the runs that no other one beats."
ROOM = 0.12
"""Share of the height that is left above all curves, for what stands beside a point."""


def pareto_figure(runs: Sequence[ComparedRun], beaten: Sequence[str]) -> Element | None:
    """Accuracy against total energy: a curve over T' for each run, its chosen T' a large dot, and
    the front through those.

    beaten: names of runs that another one beats, which the front leaves out. None where no run has
    both numbers.
    """
    drawn = [run for run in runs if run.deployed]
    if not drawn:
        return None
    factor, prefix = si_scale(max(energy for run in drawn for energy, _ in run.points))
    scaled = {run.name: [(energy / factor, 100 * accuracy) for energy, accuracy in run.points] for run in drawn}
    xs, ys = zip(*(point for points in scaled.values() for point in points))
    chosen = {run.name: scaled[run.name][run.chosen - 1] for run in drawn}
    low = lowest([y for _, y in chosen.values()])
    low, high = padded([max(y, low) for y in ys], 0.16, ceiling=100.5)
    frame = Frame(0, max(xs) * 1.08 or 1.0, low, high + ROOM * (high - low))
    labels = (f"total energy per sample, {prefix}J", "accuracy, %")
    marks = axes(frame, *labels, y_most=high)
    front = _front(frame, sorted(chosen[run.name] for run in drawn if run.name not in beaten))
    marks += front
    beside = Labels(frame)
    for i, run in enumerate(drawn):
        energies, accuracies = zip(*scaled[run.name])
        (x, y), kind = chosen[run.name], f"s{i % SERIES}"
        marks += [line(frame, [x for x, _ in part], [y for _, y in part], kind) for part in parts_above(scaled[run.name], low)]
        marks += _small_dots(frame, run, scaled[run.name], kind)
        marks += dots(frame, [x], [y], [f"{run.name}, {_note(run, run.chosen)}"], kind, 7)
        marks += [] if run.name in beaten else [el("circle", cx=frame.x(x), cy=frame.y(y), r=10, class_="ring cut")]
        beside.avoid(energies, [max(y, low) for y in accuracies])
    marks += [beside.beside(*chosen[run.name], f"T' = {run.chosen}", "faint") for run in drawn]
    summary = "Accuracy against total energy: " + "; ".join(f"{run.name}, {_note(run, run.chosen)}" for run in drawn)
    caption: list[Child] = [
        series_key([run.name for run in drawn]),
        el("div", KEY + RING_KEY + (FRONT_KEY if front else "") + (f" {BELOW_KEY}" if min(ys) < low else "")),
    ]
    curves = [Curve(run.name, *zip(*scaled[run.name])) for run in drawn]
    return chart("Accuracy and total energy", summary, marks, curves=curves, labels=labels, caption=caption)


def accuracy_figure(runs: Sequence[ComparedRun]) -> Element | None:
    """Accuracy of the quantized networks after every T', the chosen one a large dot; None where
    none was measured.
    """
    drawn = [(run, run.quantized) for run in runs if run.quantized and run.chosen <= len(run.quantized.accuracy)]
    if not drawn:
        return None
    steps = max(len(curve.accuracy) for _, curve in drawn)
    frame = Frame(0.5, steps + 0.5, *padded([100 * a for _, curve in drawn for a in curve.accuracy], 0.14, floor=0, ceiling=100.5))
    labels = ("timesteps T'", "accuracy, %")
    marks, curves = axes(frame, *labels, steps=steps), []
    for i, (run, curve) in enumerate(drawn):
        xs, ys = list(range(1, len(curve.accuracy) + 1)), [100 * a for a in curve.accuracy]
        curves.append(Curve(run.name, xs, ys))
        notes = [f"{run.name}, T' = {x}: {y:.2f} %" for x, y in zip(xs, ys)]
        marks += series(frame, i, xs, ys, notes)
        marks += dots(frame, [run.chosen], [ys[run.chosen - 1]], [notes[run.chosen - 1]], f"s{i % SERIES}", 7)
    summary = f"Accuracy over 1 to {steps} timesteps of {len(drawn)} runs"
    caption = series_key([run.name for run, _ in drawn])
    return chart("Accuracy over timesteps", summary, marks, curves=curves, labels=labels, caption=caption)


def _front(frame: Frame, points: Sequence[tuple[float, float]]) -> list[Element]:
    """The front as stairs: between two of its points no run has the accuracy of the next for less."""
    stairs = [corner for (_, y), (x, top) in pairwise(points) for corner in ((x, y), (x, top))]
    path = [*points[:1], *stairs]
    return [line(frame, [x for x, _ in path], [y for _, y in path], "front")] if stairs else []


def _small_dots(frame: Frame, run: ComparedRun, points: Sequence[tuple[float, float]], kind: str) -> list[Element]:
    """Every T' that the axis reaches."""
    shown = [(x, y, f"{run.name}, {_note(run, t)}") for t, (x, y) in enumerate(points, 1) if y >= frame.y_low]
    return [dot for x, y, note in shown for dot in dots(frame, [x], [y], [note], kind, 3)]


def _note(run: ComparedRun, steps: int) -> str:
    energy, accuracy = run.points[steps - 1]
    return f"T' = {steps}: {percent(accuracy)}, {si(energy, 'J')}"
