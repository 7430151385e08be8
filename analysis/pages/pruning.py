"""Pruning for people: a section of the report, and a page of its own that can show several runs."""

from __future__ import annotations

from collections.abc import Sequence

from spikeport.analysis.common.numbers import counted, percent
from spikeport.analysis.figures.charts import Curve, Frame, axes, chart, padded, series, series_key
from spikeport.analysis.figures.markup import Child, Element, el
from spikeport.analysis.figures.tables import data_table
from spikeport.analysis.pages.beside import Beside, page_beside
from spikeport.analysis.pages.page import section
from spikeport.analysis.results.pruning_cycles import Pruning


def pruning_page(results: Sequence[Pruning], title: str, beside: Beside | None = None) -> str:
    """A self-contained HTML page; the first run is the one in question."""
    part = pruning_section(results[0], results[1:])
    return page_beside(title, "iterative magnitude pruning", part, foot="All data is in the JSON file beside.", beside=beside)


def pruning_section(result: Pruning, beside: Sequence[Pruning] = ()) -> Element:
    """The figure, with other runs in it, what was done, and the table."""
    head, rows = table_rows(result)
    cells: list[list[Child]] = [list(row) for row in rows]
    table = data_table(head, cells, range(len(head)), "Pruning")
    figure = sparsity_figure([result, *beside])
    return section("Pruning", None, el("div", figure, el("p", lead(result), class_="lead"), class_="pair"), table)


def lead(result: Pruning) -> str:
    """What was done and what it saved, in words."""
    where = "in the whole network" if result.scope == "global" else "in every layer"
    return (
        f"{100 * result.fraction:g} % of the weights {where}, those of least size, pruned in each of {counted(result.planned, 'cycle')}, the others "
        f"retrained from where they were for {counted(result.epochs, 'epoch')} with {result.retraining_timesteps} of {result.timesteps} timesteps "
        f"({result.chosen_by}); accuracy is that of all {result.timesteps}. Against retraining with {result.timesteps}, "
        f"{percent(result.saved, 1)} of all training in sample-timesteps saved; retraining took "
        f"{sum(c.seconds for c in result.cycles):,.0f} s, the first training {result.before.seconds:,.0f} s, validation included. Seed {result.seed}."
    )


def sparsity_figure(results: Sequence[Pruning]) -> Element:
    """Accuracy over sparsity (figure 7), one curve a run; a step to the right for each cycle."""
    curves = [[100 * c.accuracy[-1] for c in r.stages] for r in results]
    most = max(map(len, curves))
    frame = Frame(0.6, most + 0.4, *padded([y for ys in curves for y in ys], 0.1, floor=0, ceiling=100.5))
    longest = next(r for r, ys in zip(results, curves) if len(ys) == most)
    names = [f"{100 * longest.sparsity(c):.1f}" for c in longest.stages]
    labels = ("weights that are zero, %", "accuracy at T, %")
    marks = axes(frame, *labels, names=names)
    for i, (r, ys) in enumerate(zip(results, curves)):
        notes = [f"{percent(r.sparsity(c))} zero: {y:.2f} %, T_retrain = {r.retraining_timesteps}" for c, y in zip(r.stages, ys)]
        marks += series(frame, i, list(range(1, len(ys) + 1)), ys, notes)
    runs = [f"T_retrain = {r.retraining_timesteps}" for r in results]
    drawn = [Curve(run, [100 * r.sparsity(c) for c in r.stages], ys) for run, r, ys in zip(runs, results, curves)]
    summary = f"Test accuracy after each of {most - 1} cycles of pruning"
    return chart("Accuracy and sparsity", summary, marks, curves=drawn, labels=labels, caption=series_key(runs))


def table_rows(result: Pruning) -> tuple[list[str], list[list[str]]]:
    """Head and rows, one for every stage."""
    head = ["cycle", "weights left", "zero", "test accuracy", "validation", "epoch", "retraining, s", "sample-timesteps"]
    each = result.epochs * result.samples * result.retraining_timesteps
    rows = [
        [
            str(i) if i else "none",
            f"{sum(c.remaining.values()):,}",
            percent(result.sparsity(c)),
            percent(c.accuracy[-1]),
            percent(c.validation),
            str(c.epoch),
            f"{c.seconds:,.1f}",
            f"{each if i else result.first_training:,}",
        ]
        for i, c in enumerate(result.stages)
    ]
    return head, rows
