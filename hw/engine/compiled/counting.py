"""What the input sends: nonzero messages and the synapses that they reach, and how many messages
there are on average.
"""

from __future__ import annotations

import numpy as np
import torch

from spikeport.hw.engine.compiled.jit import compiled, widest_vectors
from spikeport.hw.engine.compiled.kernels import BLOCK, COUNT_LIMIT

SAMPLED = 1 << 12
"""Neighbouring messages that are looked at in each part of a chunk, to tell how active a source is.
"""


@compiled
def count_block(x, reach):
    """Nonzero entries of a block, and the sum of reach over them."""
    widest_vectors()
    count, events = np.int32(0), np.int32(0)
    for i in range(len(x)):
        sent = np.int32(x[i] != 0)
        count = np.int32(count + sent)
        events = np.int32(events + np.int32(sent * np.int32(reach[i])))
    return count, events


@compiled
def count_rows(x, reach, counts, events):
    """Rows `(n, size)` into counts `(n,)` and events `(connections, n)`; reach `(connections,
    size)`, at least one connection.
    """
    widest_vectors()
    for row in range(len(x)):
        for begin in range(0, x.shape[1], BLOCK):
            end = min(begin + BLOCK, x.shape[1])
            for k in range(len(reach)):
                count, reached = count_block(x[row, begin:end], reach[k, begin:end])
                events[k, row] += reached
            counts[row] += count


def count_messages(messages: torch.Tensor, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nonzero messages `(n, steps)` and their synaptic events `(connections, n, steps)`, int64.

    messages: `(n, steps, size)`. reach: fan-outs, int64 `(connections, size)`.
    """
    if messages.device.type == "cpu" and len(reach) and reach.max(initial=0) < COUNT_LIMIT:
        rows = messages.reshape(-1, messages.shape[2]).numpy()
        counts, events = np.zeros(len(rows), np.int64), np.zeros((len(reach), len(rows)), np.int64)
        count_rows(rows, reach.astype(np.int32), counts, events)
        return counts.reshape(messages.shape[:2]), events.reshape(-1, *messages.shape[:2])
    sent = (messages != 0).to(torch.float64)
    reached = sent @ torch.from_numpy(reach.T.astype(np.float64)).to(sent.device)
    return sent.sum(2).to(torch.int64).cpu().numpy(), reached.permute(2, 0, 1).to(torch.int64).cpu().numpy()


@compiled
def sum_of_parts(x, parts, length):
    """Sum of so many evenly spread parts of a flat array of bytes."""
    widest_vectors()
    total, apart = np.int64(0), len(x) // parts
    for part in range(parts):
        piece, some = x[part * apart : part * apart + length], np.int32(0)
        for i in range(len(piece)):
            some = np.int32(some + np.int32(piece[i]))
        total += some
    return total


def mean_message(x: torch.Tensor) -> float:
    """Mean of bytes `(n, T, size)`, by a few parts of them."""
    flat = x.numpy().reshape(-1)
    parts = min(16, flat.size)
    length = min(flat.size // max(parts, 1), SAMPLED)
    return float(sum_of_parts(flat, parts, length)) / max(1, parts * length)
