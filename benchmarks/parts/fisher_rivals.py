"""Other ways to Fisher information over time, each as fast as it can be written in a few lines; all
give I_t `(T,)`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import jacrev, vmap
from torch.nn import functional as F

CHUNKS = (4, 8, 16, 32)


def plain_loop(module: nn.Module, x: Tensor, y: Tensor, timesteps: int, *, shared: bool) -> np.ndarray:
    """One backward pass per sample and timestep; a run for each of them, or one per sample where
    `shared`.
    """
    parameters, total = list(module.parameters()), np.zeros(timesteps)
    for n in range(len(x)):
        for t in range(timesteps):
            if t == 0 or not shared:
                log_p = _log_p(module(x[n : n + 1], timesteps))
            gradients = torch.autograd.grad(log_p[t, 0, y[n]], parameters, retain_graph=shared and t + 1 < timesteps)
            total[t] += sum(float(g.square().sum()) for g in gradients)
    return total / len(x)


def published(module: nn.Module, batches: Sequence[tuple[Tensor, Tensor]], timesteps: int) -> np.ndarray:
    """As the authors' script: for every t a new run of all T timesteps, and the square of a batch's
    mean gradient.
    """
    total = np.zeros(timesteps)
    for t in range(timesteps):
        for x, y in batches:
            module.zero_grad()
            F.nll_loss(F.log_softmax(module(x, timesteps)[: t + 1].mean(0), dim=1), y).backward()
            total[t] += sum(float(p.grad.square().sum()) for p in module.parameters()) / len(batches)
    module.zero_grad()
    return total


def torch_func(module: nn.Module, x: Tensor, y: Tensor, timesteps: int) -> Callable[[], np.ndarray]:
    """Per-sample gradients by vmap over jacrev; the fastest of several chunk sizes is used.

    torch.func cannot go through our neurons' autograd functions, so the network is written anew in
    plain operations: C5-P2-C5-P2-dense-dense with BatchNorm, LIF of `STBP`'s usual constants.
    """
    values = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    parameters = {name: p.detach() for name, p in module.named_parameters()}
    rest = {name: values[name] for name in values if name not in parameters}

    def layer(p: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
        stage, conv = f"synapses.{name}.0", name.startswith("conv")
        a = (F.conv2d if conv else F.linear)(x, p[f"{stage}.weights.weight"], p.get(f"{stage}.weights.bias"))
        if f"{stage}.norm.weight" not in p:
            return a
        mean, variance = rest[f"{stage}.norm.running_mean"], rest[f"{stage}.norm.running_var"]
        return F.batch_norm(a, mean, variance, p[f"{stage}.norm.weight"], p[f"{stage}.norm.bias"], eps=1e-5)

    def scores(p: dict[str, Tensor], one: Tensor, label: Tensor) -> Tensor:
        s = _fire(layer(p, "conv1", one[None]).expand(timesteps, -1, -1, -1))
        s = _fire(layer(p, "conv2", F.avg_pool2d(s, 2)))
        s = _fire(layer(p, "dense1", F.avg_pool2d(s, 2).flatten(1)))
        return _log_p(layer(p, "readout", s)[:, None])[:, 0].gather(1, label.expand(timesteps, 1))[:, 0]

    def run(chunk: int) -> np.ndarray:
        total = torch.zeros(timesteps)
        for images, labels in zip(x.split(chunk), y.split(chunk)):
            for g in vmap(jacrev(scores), (None, 0, 0))(parameters, images, labels).values():
                total += g.flatten(2).square().sum((0, 2))
        return (total / len(x)).numpy()

    fastest = min(CHUNKS, key=lambda chunk: _seconds(lambda: run(chunk)))
    return lambda: run(fastest)


def _fire(currents: Tensor) -> Tensor:
    """LIF over `(T, ...)`: decay 0.5, threshold 1, detached reset to zero, arctan surrogate."""
    v, spikes = torch.zeros_like(currents[0]), []
    for a in currents:
        v = 0.5 * v + a
        smooth = torch.atan(torch.pi * (v - 1)) / torch.pi
        s = (v > 1).to(v.dtype).detach() + smooth - smooth.detach()
        v = v * (1 - s.detach())
        spikes.append(s)
    return torch.stack(spikes)


def _log_p(outputs: Tensor) -> Tensor:
    steps = torch.arange(1, len(outputs) + 1)[:, None, None]
    return (outputs.cumsum(0) / steps).log_softmax(2)


def _seconds(run: Callable[[], object]) -> float:
    run()
    started = time.process_time()
    run()
    return time.process_time() - started
