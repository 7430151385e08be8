"""Populations onto cores: how many a network needs, how full they are, and what limits.

Every population has cores of its own, each with a block of neighbouring neurons: some rows of some
channels of a map; a synapse lies with its target. Blocks are of equal size and as few as fit: every
number of channels is tried, with as many rows as fit beside it. Encoding and block are those with
the fewest cores; of equals those whose events take the least time (zeros that are not stored are
not read), then those with the fewest axons (each is a message), then those with the least memory.
So a layer turns sparse when about a fifth of its weights are zero, a kernel when a third is, if
that takes no more cores.

A chip with `cut="columns"` is placed as Intel's compiler placed PilotNet, by its log (lava-dl): a
block has all channels and rows, and the largest power of two of columns that fits. Where not even
one column fits, or only the search gets the network onto one chip, the search above decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from math import prod

import numpy as np

from spikeport.export.model.network import Connection, Dense, Population, QuantizedNetwork, Shape
from spikeport.hw.mapping.encoding import EVENT_NANOSECONDS, SHARED_SLOTS, Encoding, Stored, encodings, store
from spikeport.hw.records.fanout import Part
from spikeport.hw.semantics.limits import Chip


@dataclass(frozen=True)
class CoreUse:
    """What one core holds: neurons, bits of synapses, axons that come in, and entries for axons
    that go out.
    """

    neurons: int
    synapse_bits: int
    axons_in: int
    axons_out: int

    def shares(self, chip: Chip) -> dict[str, float]:
        """Of each limited resource, 1 for full."""
        core = chip.core
        shares = {"neurons": self.neurons / core.neurons, "synaptic memory": self.synapse_bits / core.synapse_bits}
        return shares if core.axons is None else shares | {"axons in": self.axons_in / core.axons, "axons out": self.axons_out / core.axons}


@dataclass(frozen=True)
class Placement:
    """One population on its cores. encodings: by connection into it. synapses: stored, weight
    sharing unrolled, by the same.

    layout: how its neurons lie when they are cut into `parts`, the slices of it that each core
    holds.
    """

    name: str
    neurons: int
    cores: tuple[CoreUse, ...]
    layout: Shape
    parts: tuple[tuple[slice, ...], ...]
    encodings: Mapping[str, Encoding]
    synapses: Mapping[str, int]

    def fullest(self, chip: Chip) -> tuple[str, float]:
        """The resource of which a core has used the largest share, and the share."""
        return max((share for core in self.cores for share in core.shares(chip).items()), key=lambda share: share[1])


@dataclass(frozen=True)
class NetworkMap:
    """A whole network on a chip, populations in order of update."""

    chip: Chip
    placements: tuple[Placement, ...]

    def __getitem__(self, name: str) -> Placement:
        return next(p for p in self.placements if p.name == name)

    @property
    def cores(self) -> int:
        """All cores in use."""
        return sum(len(p.cores) for p in self.placements)

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Why it does not fit, one line each; empty where it does. All commands go by these."""
        overfull = [f"{p.name}: {reason}" for p in self.placements if (reason := self.overfull(p.name))]
        return (*overfull, self.too_many) if self.too_many else tuple(overfull)

    def overfull(self, population: str) -> str:
        """Of which resource a population's cores have too little; "" where none."""
        cores = len(self[population].cores)
        resource, share = self[population].fullest(self.chip)
        return f"{'1 core' if cores == 1 else f'one of {cores} cores'}, {share:.0%} of the {resource} that a core has" if share > 1 else ""

    @property
    def too_many(self) -> str:
        """That one chip has too few cores; "" where it has enough."""
        if self.cores <= self.chip.cores:
            return ""
        largest = max(self.placements, key=lambda p: len(p.cores))
        return (
            f"{self.cores} cores needed, {self.chip.name} has {self.chip.cores}; {largest.name} takes {len(largest.cores)}, "
            f"limited by {largest.fullest(self.chip)[0]}"
        )


def map_network(network: QuantizedNetwork, chip: Chip) -> NetworkMap:
    """Place a network, targets before sources, so that a source knows how many cores its axons lead
    to.
    """
    placed = _placed(network, chip)
    if chip.cut == "columns" and placed.too_many:
        fewest = replace(_placed(network, replace(chip, cut="fewest")), chip=chip)
        return placed if fewest.too_many else fewest
    return placed


def _placed(network: QuantizedNetwork, chip: Chip) -> NetworkMap:
    made: dict[str, _Split] = {}
    for population in reversed(network.populations):
        made[population.name] = _best_split(network, population, chip, made)
    return NetworkMap(chip, tuple(made[p.name].placement(made) for p in network.populations))


class _Split:
    """A population cut into blocks, one for a core, with the encodings of the connections into it."""

    def __init__(self, network: QuantizedNetwork, population: Population, chip: Chip, block: Shape, chosen: Mapping[str, Encoding]) -> None:
        self.network, self.population, self.chip, self.chosen = network, population, chip, chosen
        self.layout = _layout(network, population)
        self.parts: list[tuple[slice, ...]] = [
            tuple(slice(o, min(o + b, n)) for o, b, n in zip(origin, block, self.layout))
            for origin in product(*(range(0, n, b) for n, b in zip(self.layout, block)))
        ]
        self._stored: dict[int, dict[str, Stored]] = {}
        self._leads: dict[str, np.ndarray] = {}

    def stored(self, i: int) -> dict[str, Stored]:
        """What block i holds of each connection; counted when it is first asked for."""
        if i not in self._stored:
            self._stored[i] = {c.name: self._store(c, self.parts[i]) for c in self.network.incoming(self.population.name)}
        return self._stored[i]

    def _store(self, connection: Connection, part: tuple[slice, ...]) -> Stored:
        source = self.network.shape(connection.source)
        inside = part_of(connection, source, self.layout, part)
        return store(connection, source, self.chosen[connection.name], inside, _size(part), self.network.weight_bits, self.chip.core)

    def use(self, i: int, made: Mapping[str, _Split]) -> CoreUse:
        """What block i takes; axons out only towards populations that are placed."""
        here, outgoing = self.stored(i).values(), self.network.outgoing(self.population.name)
        return CoreUse(
            neurons=_size(self.parts[i]),
            synapse_bits=sum(s.bits for s in here),
            axons_in=sum(s.axons for s in here),
            axons_out=sum(self._axons_out(c, self.parts[i], made[c.target]) for c in outgoing if c.target in made),
        )

    def _axons_out(self, connection: Connection, part: tuple[slice, ...], target: _Split) -> int:
        """Entries for one connection: each neuron's, or each position's of a shared kernel, for
        every core that it leads to.
        """
        leads = target.leads(connection.name).reshape(self.layout)
        if target.chosen[connection.name] == "convolution":  # channels share an axon, so those of one channel are those of all
            return SHARED_SLOTS * int(leads[0][part[1:]].sum())
        return int(leads[part].sum())

    def leads(self, name: str) -> np.ndarray:
        """To how many of the cores here each source neuron of a connection leads; counted once."""
        if name not in self._leads:
            self._leads[name] = np.sum([self.stored(j)[name].wired for j in range(len(self.parts))], axis=0)
        return self._leads[name]

    def fits(self, made: Mapping[str, _Split]) -> bool:
        """Whether no block takes more than a core has."""
        made = {**made, self.population.name: self}
        middle = len(self.parts) // 2  # a block inside the map takes most: where it does not fit, no other needs a look
        blocks = (middle, *range(middle), *range(middle + 1, len(self.parts)))
        return all(share <= 1 for i in blocks for share in self.use(i, made).shares(self.chip).values())

    def rank(self, made: Mapping[str, _Split]) -> tuple[float, ...]:
        """Less is better."""
        held = [(name, s) for i in range(len(self.parts)) for name, s in self.stored(i).items()]
        time = sum(EVENT_NANOSECONDS[self.chosen[name]] * s.synapses for name, s in held)
        axons = sum(int(np.count_nonzero(s.wired)) for _, s in held)
        return not self.fits(made), len(self.parts), time, axons, sum(s.bits for _, s in held)

    def placement(self, made: Mapping[str, _Split]) -> Placement:
        """The result."""
        held = [self.stored(i) for i in range(len(self.parts))]
        return Placement(
            name=self.population.name,
            neurons=self.population.size,
            cores=tuple(self.use(i, made) for i in range(len(self.parts))),
            layout=self.layout,
            parts=tuple(self.parts),
            encodings=dict(self.chosen),
            synapses={name: sum(block[name].synapses for block in held) for name in self.chosen},
        )


def _best_split(network: QuantizedNetwork, population: Population, chip: Chip, made: Mapping[str, _Split]) -> _Split:
    """The best blocks over all encodings; where none fits, as many blocks as the neurons alone
    would need.
    """
    layout, incoming = _layout(network, population), network.incoming(population.name)
    best: _Split | None = None
    for choice in product(*(encodings(c, network.shape(c.source)) for c in incoming)):
        chosen = dict(zip((c.name for c in incoming), choice))
        split = partial(_Split, network, population, chip, chosen=chosen)
        columns = _columns(layout, chip.core.neurons) if chip.cut == "columns" else []
        best = _better(best, split, columns, made) if columns else best
        if columns and best and best.fits(made):
            continue
        for rows in _families(layout, chip.core.neurons):
            best = _better(best, split, rows, made)
    assert best is not None
    return best


def _better(best: _Split | None, split: Callable[[Shape], _Split], rows: list[Shape], made: Mapping[str, _Split]) -> _Split:
    """The better of the best so far and the tallest blocks of a family that fit.

    Shorter blocks need not fit where taller ones do not: a kernel is stored once for each way that
    positions see it.
    """
    if best is not None and best.fits(made):  # who needs more cores than that is no better
        rows = [block for block in rows if _count(best.layout, block) <= len(best.parts)]
    candidates = (split(block) for block in rows)
    fitting = next((candidate for candidate in candidates if candidate.fits(made)), None)
    if best is None:
        return fitting or split(rows[0])
    return fitting if fitting and fitting.rank(made) < best.rank(made) else best


def _layout(network: QuantizedNetwork, population: Population) -> Shape:
    """How a population's neurons lie: as the map that a connection computes, even where it is
    flattened afterwards.
    """
    shapes = [c.output_shape(network.shape(c.source)) for c in network.incoming(population.name)]
    return max([population.shape, *shapes], key=len)


def _families(layout: Shape, neurons: int) -> Iterator[list[Shape]]:
    """Blocks that a core's neurons allow, by channels in a block, from all of them down: each
    family from all rows to one.

    Of sizes that make equally many blocks only the most even is tried. A row that is too long for a
    core is not cut.
    """
    channels, *rest = layout
    for wide in _even(channels):
        blocks: list[Shape] = [(wide, tall, *rest[1:]) for tall in _even(rest[0])] if rest else [(wide,)]
        allowed = [block for block in blocks if prod(block) <= neurons]
        if allowed:
            yield allowed
    if prod(layout[2:]) > neurons:
        yield [(1, *(1,) * bool(rest), *rest[1:])]


def _columns(layout: Shape, neurons: int) -> list[Shape]:
    """Blocks of whole columns that a core's neurons allow, powers of two, the widest first; empty
    where the layout is no map.
    """
    if len(layout) != 3:
        return []
    channels, rows, columns = layout
    widths = (1 << power for power in reversed(range((columns - 1).bit_length() + 1)))
    return [(channels, rows, wide) for wide in widths if channels * rows * wide <= neurons]


def _even(count: int) -> list[int]:
    """Sizes that cut so many into 1, 2, 3 ... equal pieces, the largest first."""
    return sorted({-(-count // pieces) for pieces in range(1, count + 1)}, reverse=True)


def part_of(connection: Connection, source: Shape, layout: Shape, part: tuple[slice, ...]) -> Part:
    """A block in the connection's own output; all of it, as an upper bound, where that is a map of
    another shape.
    """
    shape = connection.output_shape(source)
    if shape == layout:
        return part
    if isinstance(connection.op, Dense):
        return (np.arange(prod(layout)).reshape(layout)[part].ravel(),)
    return ()


def _count(layout: Shape, block: Shape) -> int:
    """Blocks that a layout is cut into."""
    return prod(-(-n // b) for n, b in zip(layout, block))


def _size(part: tuple[slice, ...]) -> int:
    return prod(s.stop - s.start for s in part)
