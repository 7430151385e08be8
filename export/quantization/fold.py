"""Fold what Loihi has not into what it has: BatchNorm and average pooling into weights and biases,
in float64. Imports numpy only.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.model.synapse import Op, Pool, Shape


def fold_batch_norm(
    weight: np.ndarray,
    bias: np.ndarray | float,
    *,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray | float,
    beta: np.ndarray | float,
    epsilon: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of `gamma * (weight x + bias - mean) / sqrt(variance + epsilon) + beta`,
    float64.

    weight: `(channels, ...)`; everything else one entry per channel, or one for all. Source: Ioffe
    and Szegedy 2015, algorithm 2; for tdBN (Zheng et al. 2020, equation 6) give `alpha * V_th *
    gamma` as gamma.

    Raises:
        InputError: a statistic is NaN or infinite, or a variance is negative.
    """
    mean, variance = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
    if not (np.isfinite(mean).all() and np.isfinite(variance).all() and (variance >= 0).all()):
        raise InputError("batch norm statistics must be finite and variances not negative; was the network trained?")
    factor = np.asarray(gamma, np.float64) / np.sqrt(variance + epsilon)
    folded = np.asarray(weight, np.float64) * factor.reshape(-1, *(1,) * (np.ndim(weight) - 1))
    return folded, factor * (np.asarray(bias, np.float64) - mean) + np.asarray(beta, np.float64)


def fold_average_pool(op: Op, kernel: Shape, stride: Shape, padding: Shape) -> tuple[Pool, Op]:
    """Average pooling ahead of an op: a sum pool, and the op with the window's size divided out of
    its weights.

    Padding counts as zeros in the mean (PyTorch's `count_include_pad=True`).
    """
    return Pool(kernel, stride, padding), replace(op, weight=np.asarray(op.weight, np.float64) / prod(kernel))
