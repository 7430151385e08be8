"""How a core stores synapses: what it costs in memory and axons, and which synapses a spike makes
it read.

| encoding | a spike finds | zero weights | axons |
|---|---|---|---|
| dense | one list per source neuron, a weight for every neuron of the core, in order | stored and read | one per neuron |
| sparse | one list per source neuron, weights with their targets' indices | neither | one per neuron |
| convolution | one list for all channels, shared by positions that see the same taps, with indices | stored and read | one per position |

A list is cut into blocks of 64 synapses, each with 10 bits of its own and rounded up to 64-bit
words; indices take 6 to 12 bits. Loihi 1 as nengo-loihi sets it up (`block.py`: `bits_per_axon`,
`SynapseConfig`, `Axon.slots_per_axon`), where a shared kernel stays a rectangle of channels times
targets, so that single zeros in it cannot be left out, and positions at a border need shorter lists
of their own.

Loihi 2's compiler shows in its logs how many words of 64 bits its lists take (`limits.LOIHI2`): a
dense list has indices of 12 bits, 10 bits of its own, and is rounded up once; a kernel's lists, one
for every input channel and tap, have weights alone. Sparse lists are taken to be like dense ones,
without their zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Literal, TypeAlias

import numpy as np

from spikeport.export.model.network import Connection, Conv, Dense, Shape
from spikeport.hw.records.fanout import Part, fan_out, spans
from spikeport.hw.semantics.limits import Core

Encoding: TypeAlias = Literal["dense", "sparse", "convolution"]

EVENT_NANOSECONDS: dict[Encoding, float] = {"dense": 3.8, "sparse": 4.7, "convolution": 3.1}
"""Time of a synaptic event on Loihi 1, fitted to boards (SANA-FE, IEEE TCAD 2025)."""
BLOCK, BLOCK_BITS, WORD = 64, 10, 64
INDEX_BITS = (6, 12)
WORDS_INDEX = 12
WEIGHT_FORMATS = (1, 2, 3, 4, 5, 6, 8)
"""Bits that a weight can be stored in."""
SHARED_SLOTS = 2
"""Entries that an axon shared by channels takes in its source's table; others take one."""


@dataclass(frozen=True, eq=False)
class Stored:
    """One connection's synapses on one core.

    bits: of synaptic memory. wired: bool of the source's shape, neurons that have an axon into the
    core. axons: how many of them there
    are here, neurons or positions. synapses: that a spike of every source neuron would read, int64.
    """

    bits: int
    wired: np.ndarray
    axons: int
    synapses: int


def encodings(connection: Connection, source: Shape) -> tuple[Encoding, ...]:
    """Those that can hold a connection exactly."""
    if isinstance(connection.op, Dense) and _uniform(connection, source):
        return ("dense", "sparse")
    tiled = connection.pool is None or (connection.pool.stride == connection.pool.kernel and not any(connection.pool.padding))
    return ("convolution", "sparse") if isinstance(connection.op, Conv) and tiled else ("sparse",)


def _uniform(connection: Connection, source: Shape) -> bool:
    """Whether every source neuron reaches every target once: pooling windows neither overlap nor
    leave any out.
    """
    reach = fan_out(connection, source, zeros=True)
    return bool((reach == connection.weight.shape[0]).all())


def store(connection: Connection, source: Shape, encoding: Encoding, part: Part, neurons: int, weight_bits: int, core: Core) -> Stored:
    """A connection's synapses into part of its targets, `neurons` of them on the core."""
    reach = fan_out(connection, source, part, zeros=encoding != "sparse")
    weight = next(b for b in WEIGHT_FORMATS if b >= weight_bits)
    wired = reach > 0
    if encoding == "convolution":
        positions = wired.any(axis=0)
        bits = _shared_bits(connection, source, part, neurons, weight, core)
        return Stored(bits, np.broadcast_to(positions, source), int(positions.sum()), int(reach.sum()))
    return Stored(_own_bits(reach[wired], encoding, neurons, weight, core), wired, int(wired.sum()), int(reach.sum()))


def _own_bits(lists: np.ndarray, encoding: Encoding, neurons: int, weight: int, core: Core) -> int:
    """Memory of one list per source neuron."""
    if core.lists == "words":
        return int(np.sum(_block_bits(lists.astype(np.int64), weight + WORDS_INDEX)))
    return lists_bits(lists, weight + _index_bits(neurons) * (encoding == "sparse"))


def _shared_bits(connection: Connection, source: Shape, part: Part, neurons: int, weight: int, core: Core) -> int:
    """Memory of a shared kernel."""
    if core.lists == "blocks":
        return lists_bits(_shared_lists(connection, source, part, core.border_lists), weight + _index_bits(neurons))
    op = connection.op
    assert isinstance(op, Conv)
    words = -(-_channels(op, part) * weight // WORD) * WORD
    return int(words.sum()) * op.weight.shape[1] * prod(op.kernel)


def _index_bits(neurons: int) -> int:
    return max(INDEX_BITS[0], (neurons - 1).bit_length())


def lists_bits(lengths: np.ndarray, bits: int) -> int:
    """Memory of lists of so many synapses of so many bits each."""
    full, rest = np.divmod(np.asarray(lengths, np.int64), BLOCK)
    return int((full * _block_bits(BLOCK, bits) + np.where(rest, _block_bits(rest, bits), 0)).sum())


def _block_bits(synapses: np.ndarray | int, bits: int) -> np.ndarray | int:
    return -(-(synapses * bits + BLOCK_BITS) // WORD) * WORD


def _shared_lists(connection: Connection, source: Shape, part: Part, border_lists: bool) -> np.ndarray:
    """Lengths of a shared kernel's lists, all channels of a group together: one for each set of
    taps that some position sees.
    """
    op = connection.op
    assert isinstance(op, Conv)
    shape = connection.pooled_shape(source)
    axes = [
        _tap_sets(n, span, k, s, p, d)
        for n, span, k, s, p, d in zip(shape[1:], spans(op, shape, part), op.kernel, op.stride, op.padding, op.dilation)
    ]
    if not border_lists:
        axes = [frozenset(taps for taps in sets if not any(taps < other for other in sets)) for sets in axes]
    taps = np.array([prod(sizes) for sizes in _products([[len(taps) for taps in sets] for sets in axes])], np.int64)
    lengths = op.weight.shape[1] * np.outer(_channels(op, part), taps).ravel()
    return lengths[lengths > 0]


def _channels(op: Conv, part: Part) -> np.ndarray:
    """Channels of each group that lie in the part."""
    inside = np.zeros(op.weight.shape[0], np.int64)
    inside[part[:1]] = 1
    return inside.reshape(op.groups, -1).sum(axis=1)


@lru_cache(maxsize=1 << 12)
def _tap_sets(size: int, outputs: range, kernel: int, stride: int, padding: int, dilation: int) -> frozenset[frozenset[int]]:
    """The different sets of taps through which positions along one axis reach some outputs."""
    sets = set()
    for position in range(size):
        taps = (k for k in range(kernel) if (position + padding - k * dilation) % stride == 0)
        sets.add(frozenset(k for k in taps if (position + padding - k * dilation) // stride in outputs))
    return frozenset(sets - {frozenset()})


def _products(sizes: list[list[int]]) -> list[tuple[int, ...]]:
    return [tuple(index) for index in np.stack(np.meshgrid(*sizes), axis=-1).reshape(-1, len(sizes)).tolist()]
