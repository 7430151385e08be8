"""Cores onto the places of a chip's mesh, so that messages have short ways.

Messages go east or west first, then north or south (Davies et al. 2018). Cores of one tile share a
router: between them there is no hop. Several chips stand side by side, their meshes joined row by
row. What is kept small is the sum of messages times hops, a crossing between
chips counting as `CROSSING` hops: cores are swapped in pairs, the best pair first, until no swap
helps (2-opt). Nothing is drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeport.hw.mapping.traffic import Traffic
from spikeport.hw.semantics.limits import Chip

CROSSING = 8
"""Hops that a crossing from chip to chip counts as in the search, the width of a chip: assumed, no
price is public.
"""
EFFORT = 150_000_000
"""Pairs of places looked at, all swaps together: bounds the time of the search on many chips."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Where every core of a network lies, int64 `(cores,)` each: chip, column and row of its tile
    (columns counted on through all chips).
    """

    chip: Chip
    chips: np.ndarray
    columns: np.ndarray
    rows: np.ndarray

    @property
    def count(self) -> int:
        """Chips in use."""
        return int(self.chips.max(initial=0)) + 1

    def east_west(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Hops along rows between cores a and cores b, `(a, b)`."""
        return np.abs(self.columns[a][:, None] - self.columns[b])

    def north_south(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Hops along columns."""
        return np.abs(self.rows[a][:, None] - self.rows[b])

    def crossings(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Steps from chip to chip."""
        return np.abs(self.chips[a][:, None] - self.chips[b])


def arranged(traffic: Traffic) -> Mesh:
    """The placement found for these messages."""
    chip, sent = traffic.placed.chip, traffic.matrix
    starts = [_places(chip, len(sent), snake) for snake in (False, True)]
    ways = [_ways(start) for start in starts]
    both = np.zeros_like(ways[0])
    both[: len(sent), : len(sent)] = sent + sent.T
    np.fill_diagonal(both, 0)
    best = int(np.argmin([(both * way).sum() for way in ways]))
    order = _swapped(both, ways[best])[: len(sent)]
    return _at(starts[best], order)


def in_order(traffic: Traffic) -> Mesh:
    """Layer by layer, row by row: what the placement that was found is measured against."""
    cores = len(traffic.matrix)
    return _at(_places(traffic.placed.chip, cores, snake=False), np.arange(cores))


def _places(chip: Chip, cores: int, snake: bool) -> Mesh:
    """All places of as many chips as the cores need; of a snake, every other row runs back."""
    columns = chip.tiles[0]
    here = np.arange(max(1, -(-cores // chip.cores)) * chip.cores)
    number, tile = here // chip.cores, here % chip.cores // chip.tile_cores
    row, column = tile // columns, tile % columns
    column = np.where(row % 2 * snake == 1, columns - 1 - column, column)
    return Mesh(chip, number, number * columns + column, row)


def _at(places: Mesh, order: np.ndarray) -> Mesh:
    return Mesh(places.chip, places.chips[order], places.columns[order], places.rows[order])


def _ways(places: Mesh) -> np.ndarray:
    """Length of the way between every two places, crossings included."""
    here = np.arange(len(places.chips))
    return (places.east_west(here, here) + places.north_south(here, here) + CROSSING * places.crossings(here, here)).astype(np.float64)


def _swapped(sent: np.ndarray, ways: np.ndarray) -> np.ndarray:
    """Place of each core after the swaps. sent: messages either way, symmetric, by place, `(places,
    places)`; empty places send none.

    Swapping i and j changes the sum by A_ij + A_ji - A_ii - A_jj + 2 sent_ij ways_ij, A = sent @
    ways; A follows each swap by one outer product.
    """
    sent, core_at = sent.copy(), np.arange(len(sent))
    product = sent @ ways
    for _ in range(EFFORT // len(sent) ** 2):
        own = np.diagonal(product)
        change = product + product.T - own[:, None] - own + 2 * sent * ways
        i, j = divmod(int(change.argmin()), len(sent))
        if change[i, j] >= -1e-9 * max(1.0, own.sum()):
            break
        product += np.outer(sent[:, j] - sent[:, i], ways[i] - ways[j])
        sent[[i, j]], core_at[[i, j]] = sent[[j, i]], core_at[[j, i]]
        sent[:, [i, j]] = sent[:, [j, i]]
        product[[i, j]] = sent[[i, j]] @ ways
    return np.argsort(core_at)


@dataclass(frozen=True)
class Load:
    """What messages ask of a mesh, of one sample. east_west, north_south: hops. crossings: from
    chip to chip.

    heaviest: messages over the busiest link at each timestep, `(T,)` means over samples.
    """

    messages: float
    east_west: float
    north_south: float
    crossings: float
    heaviest: tuple[float, ...]

    @property
    def hops(self) -> float:
        """In either direction."""
        return self.east_west + self.north_south


def load(traffic: Traffic, mesh: Mesh) -> Load:
    """Hops and the heaviest link of these messages on this placement."""
    blocks = [(traffic.numbers(a), traffic.numbers(b), traffic.messages[name]) for name, (a, b) in traffic.ends.items()]
    steps = max((len(block) for *_, block in blocks), default=1)
    links = [np.zeros((steps, *shape)) for shape in _link_shapes(mesh)]
    for a, b, block in blocks:
        _add(links, mesh, a, b, block)
    heaviest = np.max([np.cumsum(link, axis=2).max(axis=(1, 2)) for link in links], axis=0)

    def total(way) -> float:
        return float(sum((block.sum(axis=0) * way(a, b)).sum() for a, b, block in blocks))

    return Load(
        messages=float(sum(block.sum() for *_, block in blocks)),
        east_west=total(mesh.east_west),
        north_south=total(mesh.north_south),
        crossings=total(mesh.crossings),
        heaviest=tuple(heaviest.tolist()),
    )


def _link_shapes(mesh: Mesh) -> list[tuple[int, int]]:
    """Of links to the east, west, south, north: lines, and places along a line."""
    columns, rows = int(mesh.columns.max(initial=0)) + 1, int(mesh.rows.max(initial=0)) + 1
    return [(rows, columns)] * 2 + [(columns, rows)] * 2


def _add(links: list[np.ndarray], mesh: Mesh, a: np.ndarray, b: np.ndarray, block: np.ndarray) -> None:
    """Each message raises the load where its way along a line begins and lowers it where it ends;
    the running sum is the load of links.
    """
    across = np.broadcast_arrays(mesh.rows[a][:, None], mesh.columns[a][:, None], mesh.columns[b][None])
    along = np.broadcast_arrays(mesh.columns[b][None], mesh.rows[a][:, None], mesh.rows[b][None])
    for number, (line, start, end) in ((0, across), (2, along)):
        for link, on in ((links[number], end > start), (links[number + 1], end < start)):
            low, high = np.minimum(start, end)[on], np.maximum(start, end)[on]
            for step, messages in zip(link, block[:, on]):
                np.add.at(step, (line[on], low), messages)
                np.add.at(step, (line[on], high), -messages)
