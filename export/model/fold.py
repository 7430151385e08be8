"""Pooling taken into the weights behind it, where that is exact. Imports numpy and scipy only.

Sum pooling with kernel k, stride s and padding p ahead of a convolution with kernel K, stride S,
padding P and dilation D is one convolution with kernel (K - 1) D s + k, stride S s and padding P s
+ p whose tap m = j D s + i, i < k, is weight j. It differs only where the convolution's padding
lies over inputs that a window beyond the pooled map would cover.
"""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import TypeAlias

import numpy as np
from scipy.sparse import csr_matrix, diags, identity, kron

from spikeport.export.model.synapse import Conv, Dense, Op, Pool, Shape

Folded: TypeAlias = "Conv | np.ndarray | csr_matrix"


def folded_synapses(op: Op, pool: Pool | None, source: Shape) -> Folded | None:
    """The connection's synapses with pooling folded in: a convolution, a full or a sparse matrix
    `(targets, sources)`.

    None where pooling does not fold exactly into 8-bit weights.
    """
    if isinstance(op, Conv):
        folded: Folded | None = op if pool is None else fold_convolution(op, pool, source)
    elif isinstance(op, Dense):
        folded = op.weight if pool is None else (pool_matrix(pool, source).T @ op.weight.T.astype(np.int32)).T
    else:
        inner = pool.output_shape(source) if pool else source
        diagonal = diags(np.broadcast_to(op.weight, inner).ravel().astype(np.int32), dtype=np.int32)
        folded = csr_matrix(diagonal @ pool_matrix(pool, source) if pool else diagonal)
    return folded if folded is not None and fits_8_bits(folded) else None


def fits_8_bits(folded: Folded) -> bool:
    """Overlapping windows add weights up, which may leave the synapse's 8 bits."""
    weight = folded.weight if isinstance(folded, Conv) else folded
    return weight.max() <= 127 and weight.min() >= -128


def fold_convolution(conv: Conv, pool: Pool, source: Shape) -> Conv | None:
    """One convolution that does both, or None where the map's border makes a difference."""
    pooled = pool.output_shape(source)
    if not all(map(_border_agrees, conv.padding, pool.kernel, pool.stride, pool.padding, source[1:], pooled[1:])):
        return None
    reach = tuple(d * s for d, s in zip(conv.dilation, pool.stride))
    size = tuple((K - 1) * r + k for K, r, k in zip(conv.kernel, reach, pool.kernel))
    weight = np.zeros((*conv.weight.shape[:2], *size), np.int32)
    for offset in np.ndindex(*pool.kernel):
        taps = tuple(slice(o, o + (K - 1) * r + 1, r) for o, K, r in zip(offset, conv.kernel, reach))
        index = (slice(None), slice(None), *taps)
        weight[index] += conv.weight
    stride = tuple(S * s for S, s in zip(conv.stride, pool.stride))
    padding = tuple(P * s + p for P, s, p in zip(conv.padding, pool.stride, pool.padding))
    return Conv(weight, stride, padding, (1,) * len(size), conv.groups)


def _border_agrees(P: int, k: int, s: int, p: int, size: int, pooled: int) -> bool:
    """Whether windows before the first and after the last see only padding (or the convolution
    never asks for them).
    """
    return P == 0 or (k <= s + p and pooled * s - p >= size)


def pool_matrix(pool: Pool, source: Shape) -> csr_matrix:
    """Sum pooling as a matrix of ones, int32 `(pooled, sources)`."""
    pooled = pool.output_shape(source)
    axes = map(_axis_matrix, pool.kernel, pool.stride, pool.padding, source[1:], pooled[1:])
    matrix = csr_matrix(reduce(kron, axes, identity(source[0], np.int32)))
    assert matrix.shape == (prod(pooled), prod(source))
    return matrix


def _axis_matrix(kernel: int, stride: int, padding: int, size: int, pooled: int) -> csr_matrix:
    """Pooling along one axis, `(pooled, size)`."""
    start = np.arange(pooled)[:, None] * stride - padding
    place = np.arange(size)
    return csr_matrix(((place >= start) & (place < start + kernel)).astype(np.int32))
