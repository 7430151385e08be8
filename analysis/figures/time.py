"""Where time goes: which resource binds each layer (floorline), and what a timestep is made of."""

from __future__ import annotations

from spikeport.analysis.common.numbers import percent, si, si_scale
from spikeport.analysis.cost.result import Cost
from spikeport.analysis.cost.timing import BARRIER, RESOURCES
from spikeport.analysis.figures.charts import Curve, chart, series_key
from spikeport.analysis.figures.markup import Child, Element, el
from spikeport.analysis.figures.rows import Rows


def floorline_figure(cost: Cost) -> Element | None:
    """Seconds a timestep of every layer's busiest core, by resource: the longest part bounds it
    from below (floorline, arXiv 2511.21549).
    """
    most = max(sum(layer.resources.values()) for layer in cost.layers)
    if not most:
        return None
    unit, prefix = si_scale(most)
    rows, label = Rows(len(cost.layers), 0, most * 1.02), f"busiest core's time a timestep, {prefix}s"
    marks: list[Child] = [rows.axes(label, unit)]
    for row, layer in enumerate(cost.layers):
        share = percent(layer.bottleneck, 0)
        marks += rows.name(row, f"{layer.name}: bound by {layer.binding}", f"{si(sum(layer.resources.values()), 's')}, busiest in {share}")
        start = 0.0
        for i, what in enumerate(RESOURCES):
            seconds = layer.resources[what]
            marks.append(rows.bar(row, start, start + seconds, f"s{i}", f"{layer.name}, {what}: {si(seconds, 's')}"))
            start += seconds
    names = [layer.name for layer in cost.layers]
    curves = [Curve(what, names, [layer.resources[what] / unit for layer in cost.layers]) for what in RESOURCES]
    summary = "What each layer's busiest core is busy with: " + ", ".join(f"{layer.name} {layer.binding}" for layer in cost.layers)
    note = "The longest part is the least that a layer's timestep takes, their sum what the estimate takes."
    caption: list[Child] = [series_key(list(RESOURCES)), el("div", f"{note} Busiest: share of timesteps that wait for this layer.")]
    return chart("What each layer waits for", summary, marks, curves=curves, labels=("layer", label), caption=caption, height=rows.height)


def timestep_figure(cost: Cost) -> Element:
    """Mean seconds of a timestep while samples stream: cores and links, barrier, and what comes
    after.
    """
    parts = step_parts(cost)
    whole = sum(parts.values())
    unit, prefix = si_scale(whole)
    rows, label = Rows(1, 0, whole or 1.0), f"time of a timestep, {prefix}s"
    marks, start = [*rows.axes(label, unit), *rows.name(0, "all of a timestep", si(whole, "s"))], 0.0
    for i, (name, seconds) in enumerate(parts.items()):
        marks.append(rows.bar(0, start, start + seconds, f"s{i}", f"{name}: {si(seconds, 's')}"))
        start += seconds
    unknown = [term.name for term in cost.times if term.seconds is None]
    key = series_key([f"{name} {si(seconds, 's')}" for name, seconds in parts.items()])
    without = f"No price, so not in it: {', '.join(unknown)}. " if unknown else ""
    note = f"{without}Mean of {cost.samples:,} samples of {cost.timesteps} timesteps that are streamed."
    curves = [Curve(name, [name], [seconds / unit]) for name, seconds in parts.items()]
    summary = "A timestep is made of " + ", ".join(f"{name} {si(seconds, 's')}" for name, seconds in parts.items())
    return chart(
        "What a timestep is made of",
        summary,
        marks,
        curves=curves,
        labels=("part", label),
        caption=[key, el("div", note)],
        height=rows.height,
    )


def step_parts(cost: Cost) -> dict[str, float]:
    """Mean seconds of a timestep, by what it is spent on; parts without a price are left out."""
    chip, *after = ({term.name: term.seconds[-1] / cost.timesteps} for term in cost.times if term.seconds)
    barrier = cost.step[BARRIER]
    parts = {"cores and links": sum(chip.values()) - barrier, BARRIER: barrier}
    return parts | {name: seconds for term in after for name, seconds in term.items()}
