"""Synapses per source neuron, exact: borders, stride, dilation, groups and zero weights counted."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from spikeport.export.model.network import Connection, Conv, Dense, Shape
from spikeport.export.model.synapse import Pool

Part: TypeAlias = "tuple[slice | np.ndarray, ...]"
"""Some of the neurons that a connection ends in: slices of `Connection.output_shape`, axes left out
for all; or indices, of a dense one.
"""


def fan_out(connection: Connection, source: Shape, part: Part = (), *, zeros: bool = False) -> np.ndarray:
    """Number of nonzero synapses that a spike of each source neuron reaches, int64 of the source's
    shape.

    A pooled connection counts the synapses of the expanded kernel: each neuron of a window has its
    own copy of the weights.
    part: only synapses that end there. zeros: count synapses of weight 0 too, as an encoding that
    stores them does.
    """
    shape, op = connection.pooled_shape(source), connection.op
    if isinstance(op, Dense):
        reach = _counted(op.weight[part[:1]], zeros).reshape(shape)
    elif isinstance(op, Conv):
        reach = _scatter(_per_tap(op, part, zeros), spans(op, shape, part), shape, op.stride, op.padding, op.dilation)
    else:
        reach = np.zeros(shape, bool)
        reach[part] = True if zeros else np.broadcast_to(op.weight != 0, shape)[part]
    reach = reach.astype(np.int64)
    return _through_pool(reach, connection.pool, source) if connection.pool else reach


def spans(op: Conv, source: Shape, part: Part) -> list[range]:
    """Output positions of a convolution inside a part, along each spatial axis."""
    whole = [range(n) for n in op.output_shape(source)[1:]]
    return [span[s] if isinstance(s, slice) else span for span, s in zip(whole, (*part[1:], *(slice(None),) * len(whole)))]


def _per_tap(op: Conv, part: Part, zeros: bool) -> np.ndarray:
    """Channels inside a part that each input channel reaches through each tap, `(input channels,
    *kernel)`.
    """
    inside = op.weight[part[:1]]
    group = np.arange(len(op.weight))[part[:1]] // (len(op.weight) // op.groups)
    total = np.zeros((op.groups, *inside.shape[1:]), np.int64)
    for g in np.unique(group):
        total[g] = _counted(inside[group == g] if op.groups > 1 else inside, zeros)
    return total.reshape(-1, *op.kernel)


def _counted(weights: np.ndarray, zeros: bool) -> np.ndarray:
    """How many along the first axis are not zero; all of them where zeros count."""
    return np.full(weights.shape[1:], len(weights), np.int64) if zeros else np.count_nonzero(weights, axis=0)


def _through_pool(reach: np.ndarray, pool: Pool, source: Shape) -> np.ndarray:
    """Fan-out of the neurons ahead of a pooling window: the sum over the windows that each of them
    is in.
    """
    total = np.zeros(tuple(n + 2 * p for n, p in zip(source[1:], pool.padding)), np.int64)
    total = np.broadcast_to(total, (source[0], *total.shape)).copy()
    for offset in np.ndindex(*pool.kernel):
        total[_window(offset, reach.shape[1:], pool.stride)] += reach
    return total[_crop(pool.padding, source[1:])]


def _scatter(taps, outputs: list[range], source: Shape, stride: Shape, padding: Shape, dilation: Shape) -> np.ndarray:
    """Transposed convolution of ones: how many (output, tap) pairs touch each source position,
    weighted by `taps`.
    """
    total = np.zeros((source[0], *(n + 2 * p for n, p in zip(source[1:], padding))), np.int64)
    for offset, reached in zip(np.ndindex(*taps.shape[1:]), taps.reshape(len(taps), -1).T):
        start = tuple(o * d + span.start * s for o, d, span, s in zip(offset, dilation, outputs, stride))
        total[_window(start, tuple(map(len, outputs)), stride)] += reached.reshape(-1, *(1,) * len(outputs))
    return total[_crop(padding, source[1:])]


def _window(start: Shape, outputs: Shape, stride: Shape) -> tuple[slice, ...]:
    """Every channel, and the positions that one tap reads for all outputs."""
    return (slice(None), *(slice(o, o + (n - 1) * s + 1, s) for o, n, s in zip(start, outputs, stride)))


def _crop(padding: Shape, sizes: Shape) -> tuple[slice, ...]:
    """Every channel, without the padding."""
    return (slice(None), *(slice(p, p + n) for p, n in zip(padding, sizes)))


def synapse_count(connection: Connection, source: Shape) -> int:
    """Number of nonzero synapses once weight sharing is unrolled."""
    return int(fan_out(connection, source).sum())


def multiplications(connection: Connection, source: Shape) -> int:
    """Multiply-accumulates of the same connection in a non-spiking network, once per inference.

    Zero weights count, padding does not: both networks are counted alike. Pooling comes first, as a
    mean that costs no product.
    """
    pooled = Connection(connection.name, connection.source, connection.target, connection.op)
    return int(fan_out(pooled, connection.pooled_shape(source), zeros=True).sum())
