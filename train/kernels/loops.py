"""Loops of IF and LIF neurons on a CPU, compiled: a block of neurons goes through all timesteps
before the next begins, so that its state never leaves the cache, and spikes are averaged over
windows where they arise. Importing it loads Numba.

Arrays are `(timesteps or 1, planes, numbers)`. A plane has `height` rows of `width` places of
`channels` numbers each: a map of one channel, or a sample's maps with channels last. Numbers are
float32, or bfloat16 as uint16; all that is computed is float32, rounded after each operation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from spikeport.train.kernels.bfloat16 import loaded, store

BLOCK = 1024
"""Neurons that go through time together: their potentials of 20 timesteps take 80 kB."""
_loop = numba.njit(nogil=True, cache=True, error_model="numpy")
_0, _1 = np.float32(0), np.float32(1)
ARCTAN, RECTANGLE, TRIANGLE, FAST_SIGMOID = range(4)


class Planes(NamedTuple):
    """What a plane is made of. pool: side of the windows that are averaged over, 1 for none."""

    height: int
    width: int
    channels: int
    pool: int


class Dynamics(NamedTuple):
    """Of h = decay v + gain x; float32 all. Neurons fire above `limit`, to v = kept h - taken, and
    a spike's gradient loses (through_h h + through) of that of v.

    surrogate: one of ARCTAN to FAST_SIGMOID. scale, height: what its formula has.
    """

    decay: np.float32
    gain: np.float32
    threshold: np.float32
    limit: np.float32
    kept: np.float32
    taken: np.float32
    through_h: np.float32
    through: np.float32
    surrogate: int
    scale: np.float32
    height: np.float32


@_loop
def _charge(x: Any, v: Any, h: Any, m: Dynamics) -> None:
    """Potentials before the spike; in v, those after it."""
    for i in range(len(x)):
        potential = v[i] * m.decay + m.gain * x[i]
        rest = potential * m.kept - m.taken
        h[i] = potential
        v[i] = rest if potential > m.limit else potential


@_loop
def _fire(h: Any, s: Any, m: Dynamics) -> None:
    for i in range(len(s)):
        s[i] = _1 if h[i] > m.limit else _0


@_loop
def _slope(h: Any, out: Any, m: Dynamics) -> None:
    """The surrogate's derivative; formulas and sources: `train.neurons.surrogates`."""
    if m.surrogate == ARCTAN:
        for i in range(len(h)):
            x = h[i] - m.threshold
            out[i] = _1 / (x * x * m.scale + _1)
    elif m.surrogate == RECTANGLE:
        for i in range(len(h)):
            out[i] = m.height if abs(h[i] - m.threshold) < m.scale else _0
    elif m.surrogate == TRIANGLE:
        for i in range(len(h)):
            out[i] = max(_1 - abs(h[i] - m.threshold) * m.scale, _0)
    else:
        for i in range(len(h)):
            y = abs(h[i] - m.threshold) * m.scale + _1
            out[i] = _1 / (y * y)


@_loop
def _descend(h: Any, slope: Any, grad_s: Any, grad_h: Any, m: Dynamics) -> None:
    """The potentials' gradient from that of a timestep later, in place."""
    for i in range(len(h)):
        grad_v = grad_h[i] * m.decay
        through = grad_s[i] - grad_v * (m.through_h * h[i] + m.through)
        kept = grad_v * m.kept
        grad_h[i] = (kept if h[i] > m.limit else grad_v) + slope[i] * through


@_loop
def _add(x: Any, y: Any, out: Any) -> None:
    for i in range(len(out)):
        out[i] = x[i] + y[i]


@_loop
def _add_share(x: Any, factor: Any, total: Any) -> None:
    for i in range(len(total)):
        total[i] += x[i] * factor


@_loop
def _scale(x: Any, factor: Any, out: Any) -> None:
    for i in range(len(out)):
        out[i] = x[i] * factor


@_loop
def _multiply(x: Any, factor: Any) -> None:
    for i in range(len(x)):
        x[i] *= factor


@_loop
def _add_neighbours(x: Any, factor: Any, out: Any) -> None:
    for i in range(len(out)):
        out[i] = (x[2 * i] + x[2 * i + 1]) * factor


@_loop
def _double(x: Any, out: Any) -> None:
    for i in range(len(out) // 2):
        out[2 * i] = x[i]
        out[2 * i + 1] = x[i]


@_loop
def _average(s: Any, half: Any, means: Any, p: Planes) -> None:
    """Over windows, of whole rows; s and half are overwritten."""
    row, line, share = p.width * p.channels, p.width // p.pool * p.channels, np.float32(1 / p.pool**2)
    if p.channels == 1 and p.pool == 2 and p.width % 2 == 0:  # one long loop, and short ones over halves
        _add_neighbours(s, share, half[: len(s) // 2])
        for k in range(len(s) // (2 * row)):
            one, other = half[2 * k * line : (2 * k + 1) * line], half[(2 * k + 1) * line : (2 * k + 2) * line]
            _add(one, other, means[k * line : (k + 1) * line])
        return
    for k in range(len(s) // (p.pool * row)):
        first, out = s[k * p.pool * row : (k * p.pool + 1) * row], means[k * line : (k + 1) * line]
        for i in range(1, p.pool):
            _add_share(s[(k * p.pool + i) * row : (k * p.pool + i + 1) * row], _1, first)
        for place in range(p.width // p.pool):
            total, at = out[place * p.channels : (place + 1) * p.channels], place * p.pool * p.channels
            _scale(first[at : at + p.channels], _1, total)
            for i in range(1, p.pool):
                _add_share(first[at + i * p.channels : at + (i + 1) * p.channels], _1, total)
        _multiply(out, share)


@_loop
def _spread(grad: Any, half: Any, out: Any, p: Planes) -> None:
    """The gradient of each mean to its window, in whole rows; `out` is 0 where no window is."""
    row, line, share = p.width * p.channels, p.width // p.pool * p.channels, np.float32(1 / p.pool**2)
    if p.channels == 1 and p.pool == 2 and p.width % 2 == 0:
        for k in range(len(out) // (2 * row)):
            for i in range(2 * k, 2 * k + 2):
                _scale(grad[k * line : (k + 1) * line], share, half[i * line : (i + 1) * line])
        _double(half, out)
        return
    for k in range(len(out) // (p.pool * row)):
        first, means = out[k * p.pool * row : (k * p.pool + 1) * row], grad[k * line : (k + 1) * line]
        for place in range(p.width // p.pool):
            mean = means[place * p.channels : (place + 1) * p.channels]
            for i in range(place * p.pool, (place + 1) * p.pool):
                _scale(mean, share, first[i * p.channels : (i + 1) * p.channels])
        for i in range(1, p.pool):
            _scale(first, _1, out[(k * p.pool + i) * row : (k * p.pool + i + 1) * row])


@_loop
def lines_a_block(p: Planes) -> int:
    """Rows of windows in a block."""
    return max(BLOCK // (p.pool * p.width * p.channels), 1)


@_loop
def blocks(p: Planes) -> int:
    """Of a plane."""
    return -(-(p.height // p.pool) // lines_a_block(p))


@_loop
def _place(block: int, p: Planes) -> tuple[int, int, int]:
    """Plane of a block, its first row of windows and the row behind its last."""
    first = block % blocks(p) * lines_a_block(p)
    return block // blocks(p), first, min(first + lines_a_block(p), p.height // p.pool)


@_loop
def forward(currents: Any, out: Any, mean: Any, begin: int, end: int, p: Planes, m: Dynamics, weights: Any) -> None:
    """Spikes, averaged over windows, of the blocks from `begin` on, ahead of `end`. Without pooling
    `out` may be the currents' own memory.

    weights: of the timesteps in the currents' mean, which is written; none where nobody wants it.
    """
    held, row, line = len(currents) != len(out), p.width * p.channels, p.width // p.pool * p.channels
    size = lines_a_block(p) * p.pool * row
    scratch = np.empty((6, size), np.float32)
    v, h, s, wide, means, total = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4], scratch[5]
    for block in range(begin, end):
        plane, first, last = _place(block, p)
        n = (last - first) * p.pool * row
        here, there = slice(first * p.pool * row, last * p.pool * row), slice(first * line, last * line)
        v[:n] = 0
        total[:n] = 0
        for t in range(len(out)):
            x = loaded(currents[0 if held else t, plane, here], wide)
            if len(weights):
                _add_share(x, weights[t], total[:n])
            _charge(x, v, h, m)
            _fire(h, s[:n], m)
            if p.pool == 1:
                store(s, out[t, plane, there])
            else:
                _average(s[:n], h, means, p)
                store(means, out[t, plane, there])
        if len(weights):
            store(total, mean[0, plane, here])


@_loop
def backward(currents: Any, grad_means: Any, grad: Any, begin: int, end: int, p: Planes, m: Dynamics) -> None:
    """The currents' gradient, of the same blocks; potentials are computed again."""
    held, row, line = len(currents) != len(grad_means), p.width * p.channels, p.width // p.pool * p.channels
    size = lines_a_block(p) * p.pool * row
    scratch = np.zeros((6, size), np.float32)
    v, slope, grad_h, total, wide, spread = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4], scratch[5]
    potentials = np.empty((len(grad_means), size), np.float32)
    for block in range(begin, end):
        plane, first, last = _place(block, p)
        n = (last - first) * p.pool * row
        here, there = slice(first * p.pool * row, last * p.pool * row), slice(first * line, last * line)
        v[:n] = 0
        for t in range(len(grad_means)):
            _charge(loaded(currents[0 if held else t, plane, here], wide), v, potentials[t], m)
        grad_h[:n] = 0
        total[:n] = 0
        for t in range(len(grad_means) - 1, -1, -1):
            grad_s = loaded(grad_means[t, plane, there], wide)
            if p.pool > 1:
                _spread(grad_s, slope, spread[:n], p)
                grad_s = spread
            _slope(potentials[t, :n], slope, m)
            _descend(potentials[t, :n], slope, grad_s, grad_h, m)
            if held:
                _add_share(grad_h, m.gain, total[:n])
            else:
                _scale(grad_h, m.gain, total[:n])
                store(total, grad[t, plane, here])
        if held:
            store(total, grad[0, plane, here])
