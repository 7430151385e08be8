"""Event-driven synapses: add the weight rows of what spiked, and touch nothing else.

Channels last: an active input adds one contiguous run of weights, kernel columns times output channels, to a run of one output
row. All inputs of one column (kernel rows times channels) add to the same run, so eight are added per pass over it. Sums are kept
in 16 bits, twice the vector width of 32: events are counted, and the row is flushed before any sum could leave 16 bits.
A dense layer is a kernel of 1 over a row of timesteps.
"""

from __future__ import annotations

import numpy as np
import torch

from spikeport.export.network import Connection, Conv, Dense, Shape
from spikeport.hw.engine.kernels import compiled
from spikeport.hw.engine.layout import grid, order, two_axes

INT16_MAX = (1 << 15) - 1
MESSAGE_MAX = 16
"""Larger messages would be sent as too many unit events."""


def event_budget(weight: np.ndarray) -> int:
    """Unit events that may be added to one 16-bit sum before it could overflow."""
    return INT16_MAX // max(1, int(np.abs(weight.astype(np.int64)).max(initial=1)))


@compiled
def list_events(x, largest, events):
    """Channels of the nonzero entries of `x`, each as often as its message says; returns how many.

    Branch-free, as spikes are unpredictable: every entry is written `largest` times, then the end moves on by its message.
    """
    count = 0
    for c in range(len(x)):
        for _ in range(largest):
            events[count + _] = c
        count += x[c]
    return count


@compiled
def flush(row, out):
    """Add the 16-bit sums to the output and clear them."""
    for i in range(len(row)):
        out[i] += row[i]
        row[i] = 0


@compiled
def add_runs(row, weight, starts):
    """Add to row the runs of weight that begin at starts, unsigned so that no index can count from the end."""
    n, many = np.uint64(len(row)), len(starts) - len(starts) % 8
    for k in range(0, many, 8):
        a, b, c, d = starts[k], starts[k + 1], starts[k + 2], starts[k + 3]
        e, f, g, h = starts[k + 4], starts[k + 5], starts[k + 6], starts[k + 7]
        for i in range(n):
            first = np.int16(np.int16(weight[a + i] + weight[b + i]) + np.int16(weight[c + i] + weight[d + i]))
            second = np.int16(np.int16(weight[e + i] + weight[f + i]) + np.int16(weight[g + i] + weight[h + i]))
            row[i] += np.int16(first + second)
    for k in range(many, len(starts)):
        a = starts[k]
        for i in range(n):
            row[i] += weight[a + i]


@compiled
def convolve_events(x, largest, weight, kernel, outputs, padding, budget, out):
    """Stride-1 convolution of uint8 `(images, H, W, C)` into out int32 `(images, H', W' * O)`, which starts at zero.

    largest: of all messages. weight: int16, flat `(KY, C, KX, O)`, kernel columns reversed, so that a run of it meets a run of
    the output row. kernel: `(KY, KX)`. outputs: O. padding: `(rows, columns)`. budget: `event_budget`.
    """
    images, height, width, channels = x.shape
    run = kernel[1] * outputs
    listed = np.empty((height, width, (channels + 1) * largest), np.int32)
    length = np.empty((height, width), np.int64)
    starts = np.empty(kernel[0] * channels * largest, np.uint64)
    row, used = np.zeros(out.shape[2], np.int16), np.zeros(width, np.int64)
    for image in range(images):
        for y in range(height):
            for at in range(width):
                length[y, at] = list_events(x[image, y, at], largest, listed[y, at])
        for oy in range(out.shape[1]):
            used[:] = 0
            top = oy - padding[0]
            for at in range(width):
                left = (at + padding[1] - kernel[1] + 1) * outputs
                first, last = max(left, 0), min(left + run, len(row))
                if first >= last:
                    continue
                count = 0
                for ky in range(max(0, -top), min(kernel[0], height - top)):
                    base = ky * channels
                    for e in range(length[top + ky, at]):
                        starts[count] = (base + listed[top + ky, at, e]) * run + first - left
                        count += 1
                done = 0
                while done < count:
                    room = budget - used[max(0, at - kernel[1] + 1) : at + 1].sum()
                    if room < min(8, count - done):
                        flush(row, out[image, oy])
                        used[:] = 0
                        room = budget
                    take = min(room, count - done)
                    add_runs(row[first:last], weight, starts[done : done + take])
                    used[at] += take
                    done += take
            flush(row, out[image, oy])


class EventSynapse:
    """A dense layer, or a convolution of stride 1, by events."""

    def __init__(self, connection: Connection, source: Shape, largest: int) -> None:
        weight = connection.weight
        self.largest, self.budget = largest, event_budget(weight)
        if isinstance(connection.op, Dense):
            self.grid, self.kernel, self.padding = None, (1, 1), (0, 0)
            engine = weight[:, order(source)].T
        else:
            self.grid, self.kernel = grid(source), two_axes(connection.op.kernel, 1)
            self.padding = two_axes(connection.op.padding, 0)
            engine = weight.reshape(*weight.shape[:2], *self.kernel)[..., ::-1].transpose(2, 1, 3, 0)
        self.outputs = len(weight)
        self.weight = np.ascontiguousarray(engine, np.int16).ravel()

    @staticmethod
    def fits(connection: Connection, low: int, high: int) -> bool:
        """Whether this connection and its messages can be computed by events."""
        op = connection.op
        plain = isinstance(op, Conv) and op.groups == 1 and set(op.stride + op.dilation) == {1}
        return low == 0 and high <= MESSAGE_MAX and (plain or isinstance(op, Dense))

    def pays(self, density: float, steps: int) -> bool:
        """Whether events beat the dense product at this fraction of nonzero messages."""
        return density < 0.3

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """`(n, T, size)` messages uint8 to `(n, T, outputs)` sums int32."""
        images = x.reshape(-1, *self.grid) if self.grid else x[:, None]
        height, width = (images.shape[k + 1] + 2 * self.padding[k] - self.kernel[k] + 1 for k in (0, 1))
        out = torch.zeros(len(images), height, width * self.outputs, dtype=torch.int32)
        convolve_events(images.numpy(), self.largest, self.weight, self.kernel, self.outputs, self.padding, self.budget, out.numpy())
        return out.reshape(*x.shape[:2], -1)
