"""The chip as a picture: a square for every core at its place on the mesh, coloured by layer and
filled as far as its memory is; and where the energy goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from spikeport.analysis.common.numbers import counted, percent, si, si_scale
from spikeport.analysis.cost.result import CorePlace, Cost
from spikeport.analysis.figures.charts import SERIES, WIDTH, Curve, Frame, axes, chart, series_key
from spikeport.analysis.figures.markup import Child, Element, el
from spikeport.analysis.results.chip_use import MEMORY, ChipUse, LayerCores
from spikeport.hw.semantics.limits import Chip

GAP, BETWEEN, EDGE, TITLE = 2.0, 5.0, 1.0, 18.0
"""Between two cores of a tile; between two tiles; beside the outer ones, for their lines; above
each chip, for its name.
"""
WIDE = 0.62
"""Part of a timestep's place that its column takes."""


@dataclass(frozen=True)
class Grid:
    """Places of a chip's cores in the drawing: tiles in columns and rows, cores in a square within
    each.
    """

    chip: Chip

    @property
    def wide(self) -> int:
        """Cores beside each other in a tile."""
        return ceil(self.chip.tile_cores**0.5)

    @property
    def side(self) -> float:
        """Of a core's square."""
        columns = self.chip.tiles[0]
        spaces = columns * (self.wide - 1) * GAP + (columns - 1) * BETWEEN
        return (WIDTH - 2 * EDGE - spaces) / (columns * self.wide)

    @property
    def high(self) -> float:
        """From one chip to the next."""
        return TITLE + self.chip.tiles[1] * (self._tile(ceil(self.chip.tile_cores / self.wide)) + BETWEEN) + GAP

    def _tile(self, cores: int) -> float:
        return cores * self.side + (cores - 1) * GAP

    def at(self, spot: tuple[int, int, int, int]) -> tuple[float, float]:
        """Left and top of a core: chip, column and row of its tile, and which of the tile's it is."""
        chip, column, row, core = spot
        x = EDGE + column * (self._tile(self.wide) + BETWEEN) + core % self.wide * (self.side + GAP)
        y = row * (self._tile(ceil(self.chip.tile_cores / self.wide)) + BETWEEN) + core // self.wide * (self.side + GAP)
        return x, chip * self.high + TITLE + y

    def spots(self, chips: int) -> list[tuple[int, int, int, int]]:
        """All of so many chips, tile by tile, row by row."""
        columns, rows = self.chip.tiles
        tiles = ((n, c, r) for n in range(chips) for r in range(rows) for c in range(columns))
        return [(*tile, core) for tile in tiles for core in range(self.chip.tile_cores)]


def chip_figure(use: ChipUse, chip: Chip, places: Sequence[CorePlace] = ()) -> Element:
    """Cores of all chips in use. places: of the cores on the mesh, layer by layer; where there are
    none, cores are drawn in the order of the layers.
    """
    grid, chips = Grid(chip), max([1, ceil(use.used / use.cores), *(place.chip + 1 for place in places)])
    held = [(i, layer, k) for i, layer in enumerate(use.layers) for k in range(len(layer.memory))]
    every = grid.spots(chips)
    taken = _on_mesh(places, chip) if places else every[: len(held)]
    marks: list[Child] = [el("text", _title(use, taken, n, chips), x=EDGE, y=n * grid.high + 11, class_="label") for n in range(chips)]
    marks += [_square(*grid.at(spot), grid.side, "core") for spot in every if spot not in set(taken)]
    for number, (spot, (i, layer, k)) in enumerate(zip(taken, held)):
        busy = f", busy {si(places[number].busy, 's')} a timestep" if places else ""
        marks += _core(*grid.at(spot), grid.side, number, busy, i, layer, k)
    fullest = max(use.layers, key=lambda layer: max(layer.memory))
    layers = ", ".join(f"{layer.name} {len(layer.memory)}" for layer in use.layers)
    summary = (
        f"{counted(use.used, 'core')} of {use.chip} in use: {layers}; the fullest, in {fullest.name}, has "
        f"{percent(max(fullest.memory), 0)} of its {MEMORY} taken"
    )
    again = f" Colours begin anew after {SERIES} layers." if len(use.layers) > SERIES else ""
    order = "Cores are at their places on the mesh" if places else "Cores are drawn in the order of the layers"
    caption: list[Child] = [
        series_key([layer.name for layer in use.layers]),
        el("div", f"Height of the colour: {MEMORY} in use. {order}; those close together share a router.{again}"),
    ]
    height = round(chips * grid.high - GAP)
    return chart(
        "Cores and their memory", summary, marks, curves=_curves(use), labels=("core", "in use, %"), caption=caption, height=height
    )


def _on_mesh(places: Sequence[CorePlace], chip: Chip) -> list[tuple[int, int, int, int]]:
    """Spots of cores; columns are counted on through all chips."""
    spots: list[tuple[int, int, int, int]] = []
    for place in places:
        tile = (place.chip, place.column - place.chip * chip.tiles[0], place.row)
        spots.append((*tile, sum(spot[:3] == tile for spot in spots)))
    return spots


def _curves(use: ChipUse) -> list[Curve]:
    curves, first = [], 1
    for layer in use.layers:
        numbers = range(first, first + len(layer.memory))
        curves += [Curve(f"{layer.name}, {name}", numbers, [100 * share for share in shares]) for name, shares in layer.shares.items()]
        first += len(numbers)
    return curves


def _title(use: ChipUse, taken: Sequence[tuple[int, int, int, int]], chip: int, chips: int) -> str:
    here = sum(spot[0] == chip for spot in taken)
    which = f", chip {chip + 1} of {chips}" if chips > 1 else ""
    return f"{use.chip}{which}: {here} of {counted(use.cores, 'core')}"


def _core(x: float, y: float, side: float, number: int, busy: str, i: int, layer: LayerCores, k: int) -> list[Child]:
    shares = ", ".join(f"{percent(values[k], 0)} of its {name}" for name, values in layer.shares.items())
    full = side * min(layer.memory[k], 1)
    colour = f"s{i % SERIES}"
    level = el("rect", x=x, y=y + side - full, width=side, height=full, rx=min(3.0, full / 2), class_=f"bar {colour}")
    return [_square(x, y, side, f"core used {colour}", f"core {number + 1}, {layer.name}: {shares}{busy}"), level]


def _square(x: float, y: float, side: float, kind: str, note: str | None = None) -> Element:
    return el("rect", el("title", note) if note else None, x=x, y=y, width=side, height=side, rx=3, class_=kind)


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
