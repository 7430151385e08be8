"""Which neurons a set of messages reaches through weights that are not 0, whatever the weights add
up to.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from spikeport.export.model.network import Connection, Conv, Dense, Shape
from spikeport.export.model.synapse import Pool

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def touched(connection: Connection, sent: np.ndarray, source: Shape) -> np.ndarray:
    """bool `(samples, T, target neurons)`. sent: `(samples, T, source neurons)`, other than 0 where
    there is a message.

    Sums of ones: float32 may round them, but never to 0.
    """
    op = connection.op
    x = torch.from_numpy((sent != 0).astype(np.float32)).reshape(-1, *source)
    wired = torch.from_numpy(np.asarray(op.weight != 0, np.float32))
    if connection.pool:
        x = _summed(x, connection.pool)
    if isinstance(op, Dense):
        x = x.flatten(1) @ wired.T
    elif isinstance(op, Conv):
        x = CONVOLUTIONS[len(op.kernel)](x, wired, None, op.stride, op.padding, op.dilation, op.groups)
    else:
        x = x * wired
    return (x.reshape(*sent.shape[:2], -1) > 0).numpy()


def _summed(x: torch.Tensor, pool: Pool) -> torch.Tensor:
    ones = torch.ones(x.shape[1], 1, *pool.kernel)
    return CONVOLUTIONS[len(pool.kernel)](x, ones, None, pool.stride, pool.padding, 1, x.shape[1])
