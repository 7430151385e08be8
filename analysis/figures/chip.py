"""The chip as a picture: a square for every core, coloured by layer and filled as far as its memory
is; and where the energy goes.
"""

from __future__ import annotations

from math import ceil

from spikeport.analysis.common.numbers import counted, percent, si, si_scale
from spikeport.analysis.cost.result import Cost
from spikeport.analysis.figures.charts import SERIES, WIDTH, Curve, Frame, axes, chart, series_key
from spikeport.analysis.figures.markup import Child, Element, el
from spikeport.analysis.results.chip_use import MEMORY, ChipUse, LayerCores

ACROSS, GAP, EDGE, TITLE = 16, 3.0, 1.0, 18.0
"""Cores in a row; between two of them; beside the outer ones, for their lines; above each chip, for
its name.
"""
SIDE = (WIDTH - 2 * EDGE - (ACROSS - 1) * GAP) / ACROSS
WIDE = 0.62
"""Part of a timestep's place that its column takes."""


def chip_figure(use: ChipUse) -> Element:
    """Cores of all chips in use."""
    chips, rows = max(1, ceil(use.used / use.cores)), ceil(use.cores / ACROSS)
    high = TITLE + rows * (SIDE + GAP) + GAP
    held = [(i, layer, k) for i, layer in enumerate(use.layers) for k in range(len(layer.memory))]
    marks: list[Child] = []
    for chip in range(chips):
        marks.append(el("text", _title(use, chip, chips), x=EDGE, y=chip * high + 11, class_="label"))
        for place in range(use.cores):
            number = chip * use.cores + place
            x, y = EDGE + place % ACROSS * (SIDE + GAP), chip * high + TITLE + place // ACROSS * (SIDE + GAP)
            marks += _core(x, y, number, *held[number]) if number < len(held) else [_square(x, y, "core")]
    fullest = max(use.layers, key=lambda layer: max(layer.memory))
    layers = ", ".join(f"{layer.name} {len(layer.memory)}" for layer in use.layers)
    summary = (
        f"{counted(use.used, 'core')} of {use.chip} in use: {layers}; the fullest, in {fullest.name}, has "
        f"{percent(max(fullest.memory), 0)} of its {MEMORY} taken"
    )
    again = f" Colours begin anew after {SERIES} layers." if len(use.layers) > SERIES else ""
    order = "Cores are drawn in the order of the layers, not at their places on the mesh."
    caption: list[Child] = [
        series_key([layer.name for layer in use.layers]),
        el("div", f"Height of the colour: {MEMORY} in use. {order}{again}"),
    ]
    curves, first = [], 1
    for layer in use.layers:
        numbers = range(first, first + len(layer.memory))
        curves += [Curve(f"{layer.name}, {name}", numbers, [100 * share for share in shares]) for name, shares in layer.shares.items()]
        first += len(numbers)
    height = round(chips * high - GAP)
    return chart("Cores and their memory", summary, marks, curves=curves, labels=("core", "in use, %"), caption=caption, height=height)


def _title(use: ChipUse, chip: int, chips: int) -> str:
    here = min(use.used - chip * use.cores, use.cores)
    which = f", chip {chip + 1} of {chips}" if chips > 1 else ""
    return f"{use.chip}{which}: {here} of {counted(use.cores, 'core')}"


def _core(x: float, y: float, number: int, i: int, layer: LayerCores, k: int) -> list[Child]:
    shares = ", ".join(f"{percent(values[k], 0)} of its {name}" for name, values in layer.shares.items())
    full = SIDE * min(layer.memory[k], 1)
    colour = f"s{i % SERIES}"
    level = el("rect", x=x, y=y + SIDE - full, width=SIDE, height=full, rx=min(3.0, full / 2), class_=f"bar {colour}")
    return [_square(x, y, f"core used {colour}", f"core {number + 1}, {layer.name}: {shares}"), level]


def _square(x: float, y: float, kind: str, note: str | None = None) -> Element:
    return el("rect", el("title", note) if note else None, x=x, y=y, width=SIDE, height=SIDE, rx=3, class_=kind)


def steps_figure(cost: Cost) -> Element:
    """Dynamic energy of every timestep as a column, a part for each layer."""
    steps = range(1, cost.timesteps + 1)
    spent = [[after - before for before, after in zip((0.0, *layer.energy), layer.energy)] for layer in cost.layers]
    totals = [sum(column) for column in zip(*spent)]
    factor, prefix = si_scale(max(totals))
    frame = Frame(0.4, cost.timesteps + 0.6, 0, 1.08 * max(totals) / factor or 1.0)
    labels = ("timestep t", f"dynamic energy of the timestep, {prefix}J")
    marks, tops = axes(frame, *labels, steps=cost.timesteps), [0.0] * cost.timesteps
    for i, (layer, energies) in enumerate(zip(cost.layers, spent)):
        for t, energy in enumerate(energies):
            low, tops[t] = tops[t], tops[t] + energy / factor
            marks.append(_part(frame, t + 1, low, tops[t], f"s{i % SERIES}", f"{layer.name}, t = {t + 1}: {si(energy, 'J')}"))
    curves = [Curve(layer.name, steps, [e / factor for e in energies]) for layer, energies in zip(cost.layers, spent)]
    summary = f"Dynamic energy of each of {cost.timesteps} timesteps by layer, {si(sum(totals), 'J')} in all"
    caption: list[Child] = [series_key([layer.name for layer in cost.layers]), el("div", f"means of {counted(cost.samples, 'sample')}")]
    return chart("Energy by layer and timestep", summary, marks, curves=curves, labels=labels, caption=caption)


def _part(frame: Frame, step: int, low: float, high: float, kind: str, note: str) -> Element:
    left, right = frame.x(step - WIDE / 2), frame.x(step + WIDE / 2)
    height = frame.y(low) - frame.y(high)
    return el("rect", el("title", note), x=left, y=frame.y(high), width=right - left, height=height, class_=f"bar {kind}")
