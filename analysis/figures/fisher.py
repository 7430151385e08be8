"""Pictures of Fisher information: over time, by block, and over training (Kim et al. 2023, figures
1, 3 and 4).
"""

from __future__ import annotations

from collections.abc import Sequence

from spikeport.analysis.figures.charts import Curve, Frame, axes, band, bars, chart, dots, line, padded, series, series_key, whiskers
from spikeport.analysis.figures.labels import uprights
from spikeport.analysis.figures.markup import Element
from spikeport.analysis.information.fisher import Curves, FisherResult, normalised
from spikeport.analysis.information.history import FisherHistory

MOST_LIMIT, STAIRS = 160.0, 48.0
"""Largest limit that the columns make room for, and the room above them for labels, both in per
cent of the largest column.
"""
SHOWN_EPOCHS = 4
"""Epochs whose I_t is drawn beside the centroid, as in figure 1."""


def fisher_figure(fisher: FisherResult, chosen: int | None = None, proposal: int | None = None) -> Element:
    """I_t as columns, the share still to come as a line, both with their limits; centroid and cut.

    Only where there is information.
    """
    steps, limits, top = fisher.timesteps, fisher.intervals, max(fisher.per_step)
    assert fisher.centroid is not None
    xs = list(range(1, steps + 1))
    highest = max(100 * high / top for _, high in limits.per_step) if limits else 100.0
    roof = min(max(highest, 100.0), MOST_LIMIT)
    frame = Frame(0.4, steps + 0.6, 0, roof + STAIRS)
    share = [100 * value for value in fisher.to_come]
    information = [
        f"{i:.4g}" + (f" ({limits.per_step[t][0]:.4g} to {limits.per_step[t][1]:.4g})" if limits else "")
        for t, i in enumerate(fisher.per_step)
    ]
    marks = axes(frame, "timestep t", f"% of the largest I_t, {top:.3g} (columns), % still to come (line)", steps=steps, y_most=100)
    marks += bars(
        frame, xs, [100 * i / top for i in fisher.per_step], [f"t = {t}: I = {i}" for t, i in zip(xs, information)], "second", 0.62
    )
    if limits:
        marks += whiskers(frame, xs, *_scaled(limits.per_step, 100 / top), "second")
        marks.append(band(frame, xs, *_scaled(limits.to_come, 100), "main"))
        marks.append(band(frame, limits.centroid, [0, 0], [roof + STAIRS - 8] * 2, "centroid"))
    marks += [
        line(frame, xs, share, "main"),
        *dots(frame, xs, share, [f"after t = {t}: {s:.1f} % to come" for t, s in zip(xs, share)], "main", 3),
    ]
    marks += uprights(
        frame,
        (fisher.centroid, f"centroid {fisher.centroid:.2f}", "centroid"),
        *([(proposal, f"proposal {proposal}", "faint")] if proposal and proposal != chosen else []),
        *([(chosen, f"T' = {chosen}", "cut")] if chosen else []),
    )
    marks.sort(key=lambda mark: mark.tag == "text")  # words lie above lines
    caption = f"columns: Fisher information I_t, accumulated to t; line: share of information after t. {_how(fisher)}"
    summary = f"Fisher information over {steps} timesteps, centroid at {fisher.centroid:.2f}"
    curves = [
        Curve("I_t", xs, fisher.per_step, limits.per_step if limits else ()),
        Curve("share still to come, %", xs, share, [(100 * low, 100 * high) for low, high in limits.to_come] if limits else ()),
    ]
    return chart("Fisher information", summary, marks, curves=curves, labels=("timestep t", "value"), caption=caption)


def blocks_figure(fisher: FisherResult) -> Element:
    """Every block's I_t over its own peak (figure 3)."""
    return _curves(normalised(fisher.per_block), "Fisher information by block", "% of the block's own peak")


def groups_figure(fisher: FisherResult) -> Element:
    """Each kind of parameter's part of I_t."""
    shares = {name: tuple(v / (i or 1.0) for v, i in zip(values, fisher.per_step)) for name, values in fisher.per_group.items()}
    return _curves(shares, "Fisher information by kind of parameter", "% of I_t")


def centroid_figure(history: FisherHistory) -> Element:
    """The information centroid over epochs, with its limits (figures 1 and 4); all of them with
    information.
    """
    epochs, centroids = history.epochs, history.centroids
    limits = [r.intervals.centroid if r.intervals else (c, c) for r, c in zip(history.results, centroids)]
    frame = Frame(*padded(epochs, 0.04), *padded([y for pair in limits for y in pair] + list(centroids), 0.12))
    labels = ("epoch", "information centroid, timesteps")
    marks = axes(frame, *labels)
    marks.append(band(frame, epochs, *_scaled(limits, 1), "main"))
    marks += [
        line(frame, epochs, centroids, "main"),
        *dots(frame, epochs, centroids, [f"epoch {e}: centroid {c:.3f}" for e, c in zip(epochs, centroids)], "main", 3),
    ]
    steps = history.results[-1].timesteps
    summary = f"Information centroid from {centroids[0]:.2f} at epoch {epochs[0]} to {centroids[-1]:.2f} at epoch {epochs[-1]}"
    curves, caption = [Curve("centroid", epochs, centroids, limits)], f"of {steps} timesteps. {_how(history.results[-1])}"
    return chart("Information centroid over training", summary, marks, curves=curves, labels=labels, caption=caption)


def epochs_figure(history: FisherHistory) -> Element:
    """I_t after some epochs, each over its own sum (figure 1's panels, figure 4's right side)."""
    count = min(SHOWN_EPOCHS, len(history.epochs))
    shown = sorted({round(i * (len(history.epochs) - 1) / max(count - 1, 1)) for i in range(count)})
    curves = {f"epoch {history.epochs[i]}": history.results[i].per_step for i in shown}
    return _curves(normalised(curves, by="sum"), "Fisher information over training", "% of the epoch's sum over t")


def _curves(curves: Curves, title: str, label: str) -> Element:
    values, labels = [100 * y for ys in curves.values() for y in ys], ("timestep t", label)
    xs = list(range(1, len(next(iter(curves.values()))) + 1))
    frame = Frame(0.5, len(xs) + 0.5, 0, padded([0.0, *values], 0.08)[1])
    marks = axes(frame, *labels, steps=len(xs))
    for i, (name, ys) in enumerate(curves.items()):
        marks += series(frame, i, xs, [100 * y for y in ys], [f"{name}, t = {x}: {100 * y:.1f} %" for x, y in zip(xs, ys)])
    drawn = [Curve(name, xs, [100 * y for y in ys]) for name, ys in curves.items()]
    return chart(title, f"{title}: {', '.join(curves)}", marks, curves=drawn, labels=labels, caption=series_key(list(curves)))


def _scaled(limits: Sequence[tuple[float, float]], factor: float) -> tuple[list[float], list[float]]:
    return [factor * low for low, _ in limits], [factor * high for _, high in limits]


def _how(fisher: FisherResult) -> str:
    estimator = f", squared means of batches of {fisher.batch}" if fisher.estimator == "batch" else ""
    limits = f"; {100 * fisher.intervals.confidence:g} % limits, {fisher.intervals.method}" if fisher.intervals else ""
    return f"{fisher.samples:,} samples, {fisher.labels} labels{estimator}{limits}"
