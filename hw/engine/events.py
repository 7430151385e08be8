"""Event-driven synapses: add the weight rows of what spiked, and touch nothing else.

Channels last: an active input adds one contiguous run of weights, kernel columns times output
channels, to a run of one output row. All inputs of one column (kernel rows times channels) add to
the same run, so eight are added per pass over it. Sums are kept
in 16 bits, twice the vector width of 32: events are counted, and the row is flushed before any sum
could leave 16 bits. A dense layer is a kernel of 1 over a row of timesteps.
"""

from __future__ import annotations

from math import prod

import numpy as np
import torch

from spikeport.export.model.network import Connection, Conv, Dense, Shape
from spikeport.hw.engine.compiled.jit import compiled, widest_vectors
from spikeport.hw.engine.layout import grid, order, two_axes

INT16_MAX = (1 << 15) - 1
MESSAGE_MAX = 16
"""Larger messages would be sent as too many unit events."""
LIST_NS, FLUSH_NS, ADD_NS = 1.8, 0.14, 0.031
"""Measured on one core: per input listed, per output flushed, per weight added, of nine layers from
784-512 to 128 -> 128 channels at rates of 0 to 20 %.
"""


def event_budget(weight: np.ndarray) -> int:
    """Unit events that may be added to one 16-bit sum before it could overflow."""
    return INT16_MAX // max(int(weight.max(initial=1)), -int(weight.min(initial=0)))


@compiled
def list_events(x, run, events, end):
    """List the events of an image `(H, W, C)` by column, in each by row: where the weight runs of
    nonzero entries begin, as if the kernel's first row met input row 0, each as often as its
    message says. events: `(W, most)`. end: `(W, H + 1)`, how many there are in the rows before y.

    Branch-free for messages of 0 and 1, as spikes are unpredictable: every entry is written,
    nonzero ones move the end.
    """
    height, width, channels = x.shape
    for y in range(height):
        for at in range(width):
            column, count, start = events[at], end[at, y], y * channels * run
            for c in range(channels):
                column[count] = start
                count += x[y, at, c] != 0
                for _ in range(1, x[y, at, c]):
                    column[count] = start
                    count += 1
                start += run
            end[at, y + 1] = count


@compiled
def add_runs(row, weight, starts, shift, nothing):
    """Add to row the runs of weight at starts + shift, eight at a time; the last are joined by runs
    of zeros at nothing.

    Indices are unsigned so that none can count from the array's end, which would keep the compiler
    from vectorising.
    """
    widest_vectors()
    many = len(starts)
    for k in range(0, many, 8):
        a = np.uint64(starts[k] + shift)
        b = np.uint64(starts[k + 1] + shift if k + 1 < many else nothing)
        c = np.uint64(starts[k + 2] + shift if k + 2 < many else nothing)
        d = np.uint64(starts[k + 3] + shift if k + 3 < many else nothing)
        e = np.uint64(starts[k + 4] + shift if k + 4 < many else nothing)
        f = np.uint64(starts[k + 5] + shift if k + 5 < many else nothing)
        g = np.uint64(starts[k + 6] + shift if k + 6 < many else nothing)
        h = np.uint64(starts[k + 7] + shift if k + 7 < many else nothing)
        for i in range(np.uint64(len(row))):
            first = np.int16(np.int16(weight[a + i] + weight[b + i]) + np.int16(weight[c + i] + weight[d + i]))
            second = np.int16(np.int16(weight[e + i] + weight[f + i]) + np.int16(weight[g + i] + weight[h + i]))
            row[i] += np.int16(first + second)


@compiled
def flush(row, out):
    """Add the 16-bit sums to the output and clear them."""
    widest_vectors()
    for i in range(len(row)):
        out[i] += row[i]
        row[i] = 0


@compiled
def convolve_events(x, largest, weight, kernel, outputs, padding, budget, out):
    """Stride-1 convolution of uint8 `(images, H, W, C)` into out int32 `(images, H', W' * O)`.

    largest: of all messages. weight: int8, flat `(KY, C, KX, O)`, kernel columns reversed, so that
    a run of it meets a run of the output row, and a run of zeros. kernel: `(KY, KX)`. outputs: O.
    padding: `(rows, columns)`. budget: `event_budget`.
    """
    widest_vectors()
    images, height, width, channels = x.shape
    run = kernel[1] * outputs
    listed, end = np.empty((width, (height * channels + 1) * largest), np.int64), np.zeros((width, height + 1), np.int64)
    row, used = np.zeros(out.shape[2], np.int16), np.zeros(width, np.int64)
    for image in range(images):
        list_events(x[image], run, listed, end)
        for oy in range(out.shape[1]):
            out[image, oy] = 0
            used[:] = 0
            top = oy - padding[0]
            for at in range(width):
                left = (at + padding[1] - kernel[1] + 1) * outputs
                first, last = max(left, 0), min(left + run, len(row))
                done, count = end[at, max(0, top)], end[at, min(height, top + kernel[0])]
                while first < last and done < count:
                    room = budget - used[max(0, at - kernel[1] + 1) : at + 1].sum()
                    if room < min(8, count - done):
                        flush(row, out[image, oy])
                        used[:] = 0
                        room = budget
                    take = min(room, count - done)
                    shift = first - left - top * channels * run
                    add_runs(row[first:last], weight, listed[at, done : done + take], shift, len(weight) - run)
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
            assert isinstance(connection.op, Conv)
            self.grid, self.kernel = grid(source), two_axes(connection.op.kernel, 1)
            self.padding = two_axes(connection.op.padding, 0)
            engine = weight.reshape(*weight.shape[:2], *self.kernel)[..., ::-1].transpose(2, 1, 3, 0)
        self.outputs = len(weight)
        self.inputs, self.made = prod(source), prod(connection.op.output_shape(source))
        self.products = self.made * prod(weight.shape[1:])
        silence = np.zeros(self.kernel[1] * self.outputs, np.int8)
        self.weight = np.concatenate([np.ascontiguousarray(engine).ravel(), silence])

    @staticmethod
    def fits(connection: Connection, low: int, high: int) -> bool:
        """Whether this connection and its messages can be computed by events."""
        op = connection.op
        plain = isinstance(op, Conv) and op.groups == 1 and set(op.stride + op.dilation) == {1}
        return low == 0 and high <= MESSAGE_MAX and (plain or isinstance(op, Dense))

    def break_even(self, dense: float) -> float:
        """Mean message below which events beat a dense product that takes so many nanoseconds an
        image; negative if never.
        """
        fixed = LIST_NS * self.inputs + FLUSH_NS * self.made
        padded = -(-self.outputs // 16) * 16 / self.outputs
        return (dense - fixed) / (ADD_NS * padded * self.products)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """`(n, T, size)` messages uint8 to `(n, T, outputs)` sums int32."""
        images = x.reshape(-1, *self.grid) if self.grid else x[:, None]
        height, width = (images.shape[k + 1] + 2 * self.padding[k] - self.kernel[k] + 1 for k in (0, 1))
        out = torch.empty(len(images), height, width * self.outputs, dtype=torch.int32)
        convolve_events(images.numpy(), self.largest, self.weight, self.kernel, self.outputs, self.padding, self.budget, out.numpy())
        return out.reshape(*x.shape[:2], -1)
