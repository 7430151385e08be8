"""NIR's equations taken literally, node by node and step by step: slow, and independent of how
spikeport merges and converts.
"""

from __future__ import annotations

import nir
import numpy as np
import torch
from torch.nn import functional as F


def simulate(graph: nir.NIRGraph, x: np.ndarray, dt: float, *, exponential: bool = False, late: tuple = ()) -> dict[str, np.ndarray]:
    """Signals `(time, *shape)` of every node, for one sample x `(time, *shape)`.

    late: edges that deliver one timestep later (those that close a loop). Delay nodes deliver delay
    / dt steps later.
    """
    signals: dict[str, list[np.ndarray]] = {name: [] for name in graph.nodes}
    states = {name: [0.0, 0.0] for name in graph.nodes}
    for t in range(len(x)):
        waiting = list(graph.nodes)
        while waiting:
            name = next(n for n in waiting if all(a not in waiting or (a, b) in late for a, b in graph.edges if b == n))
            waiting.remove(name)
            node = graph.nodes[name]
            parts = [_sent(signals[a], t - ((a, b) in late), graph.nodes[a]) for a, b in graph.edges if b == name]
            total = x[t] if isinstance(node, nir.Input) else sum(p for p in parts if p is not None)
            signals[name].append(_answer(node, total, states[name], dt, exponential))
    return {name: np.stack([np.asarray(s) for s in values]) for name, values in signals.items() if np.ndim(values[-1])}


def _sent(history, t, node):
    """What arrives: before the first step, a node's answer to silence."""
    return history[t] if t >= 0 else getattr(node, "bias", None)


def _answer(node, total, state, dt, exponential):  # noqa: PLR0911 one answer per kind
    kind = type(node).__name__
    if kind in ("Affine", "Linear"):
        return node.weight @ np.ravel(total) + getattr(node, "bias", 0)
    if kind == "Scale":
        return node.scale * total
    if kind == "Flatten":
        return np.ravel(total)
    if kind in ("Conv1d", "Conv2d"):
        convolve = F.conv1d if kind == "Conv1d" else F.conv2d
        weight, bias = torch.tensor(np.float64(node.weight)), torch.tensor(np.float64(node.bias))
        x = torch.tensor(np.asarray(total, np.float64))[None]
        padding = node.padding if isinstance(node.padding, (str, int)) else tuple(map(int, node.padding))
        return convolve(x, weight, bias, node.stride, padding, node.dilation, node.groups)[0].numpy()
    if kind in ("SumPool2d", "AvgPool2d"):
        pooled = F.avg_pool2d(
            torch.tensor(np.asarray(total, np.float64))[None], *(tuple(map(int, a)) for a in (node.kernel_size, node.stride, node.padding))
        )[0]
        return pooled.numpy() * (np.prod(node.kernel_size) if kind == "SumPool2d" else 1)
    if kind == "Delay":
        state[1] = [*(state[1] or []), total]
        steps = round(float(node.delay.flat[0]) / dt)
        return state[1][-1 - steps] if len(state[1]) > steps else np.zeros_like(total)
    if kind == "Threshold":
        return (total > node.threshold).astype(float)
    return total if kind in ("Input", "Output") else _neuron(node, kind, total, state, dt, exponential)


def _toward(value, goal, tau, dt, exponential):
    return goal + (value - goal) * np.exp(-dt / tau) if exponential else value + dt / tau * (goal - value)


def _neuron(node, kind, total, state, dt, exponential):
    i, v = state
    if kind.startswith("Cuba"):
        i = total = _toward(i, node.w_in * total, node.tau_syn, dt, exponential)
    if kind in ("I", "IF"):
        v = v + dt * node.r * total
    else:
        v = _toward(v, node.v_leak + node.r * total, node.tau_mem if kind.startswith("Cuba") else node.tau, dt, exponential)
    if not kind.endswith("F"):
        state[:] = [i, v]
        return v
    fired = v > node.v_threshold
    state[:] = [i, np.where(fired, node.v_reset, v)]
    return fired.astype(float)
