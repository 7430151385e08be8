"""TSSL-BP's neurons (`train.neurons.tsslbp`, whose docstring has the equations): forward, and
backward as released, one Triton kernel each.

In bfloat16 the states are carried in float32 and saved rounded; spikes are decided on what is
saved, as in `train.kernels.lif`.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from spikeport.train.kernels.launch import laid_out_as, launch, over_time, time_major
from spikeport.train.neurons.tsslbp import INACTIVE_SHARE, RELEASED_CLIP, SIGMA_WIDTH, TSSLConfig


def tssl_forward(currents: torch.Tensor, config: TSSLConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Potentials before the spike and post-synaptic currents q, `(T, *shape)`, of currents `(T,
    *shape)`, which may be expanded over time.
    """
    timesteps, (x, held) = len(currents), _stored(currents)
    potentials = over_time(x, timesteps)
    out = torch.empty_like(potentials)
    launch(_forward, x, x, potentials, out, x[0].numel(), timesteps, config.tau_m, config.tau_s, config.threshold, HELD=held)
    return potentials, out


def tssl_backward(
    currents: torch.Tensor,
    potentials: torch.Tensor,
    out: torch.Tensor,
    grad: torch.Tensor,
    config: TSSLConfig,
) -> torch.Tensor:
    """The currents' gradient by the released rule."""
    timesteps, n, (x, held) = len(potentials), potentials[0].numel(), _stored(currents)
    result = torch.empty_like(potentials)
    launch(
        _backward,
        potentials,
        laid_out_as(potentials, x),
        potentials,
        out,
        laid_out_as(potentials, grad),
        result,
        n,
        timesteps,
        (timesteps - 1) * n,
        config.tau_m,
        config.tau_s,
        config.threshold,
        RELEASED_CLIP[1],
        INACTIVE_SHARE / config.tau_s,
        SIGMA_WIDTH,
        HELD=held,
        WARM_UP=config.warm_up,
    )
    return result


def _stored(currents: torch.Tensor) -> tuple[torch.Tensor, bool]:
    """What of the currents is in memory, and whether that is one timestep for all."""
    held = currents.stride(0) == 0 and len(currents) > 1
    return time_major(currents[:1] if held else currents), held


@triton.jit
def _forward(
    currents,
    potentials,
    out,
    n,
    timesteps,
    tau_m,
    tau_s,
    threshold,
    HELD: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
):
    neuron = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    ours, at = neuron < n, neuron
    u = tl.zeros((BLOCK,), tl.float32)
    q = u
    x = tl.load(currents + neuron, ours, other=0.0).to(tl.float32)
    for _ in tl.range(timesteps, num_stages=STAGES):
        if not HELD:
            x = tl.load(currents + at, ours, other=0.0).to(tl.float32)
        u += x - tl.div_rn(u, tau_m)
        saved = u.to(potentials.dtype.element_ty)
        s = saved.to(tl.float32) > threshold
        q += tl.div_rn(tl.where(s, 1.0, 0.0) - q, tau_s)
        tl.store(potentials + at, saved, ours)
        tl.store(out + at, q, ours)
        u = tl.where(s, 0.0, u)
        at += n


@triton.jit
def _backward(
    currents,
    potentials,
    out,
    grad,
    result,
    n,
    timesteps,
    last,
    tau_m,
    tau_s,
    threshold,
    clip,
    inactive,
    sigma_width,
    HELD: tl.constexpr,
    WARM_UP: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
):
    neuron = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    ours, at = neuron < n, neuron + last
    effect = tl.zeros((BLOCK,), tl.float32)  # E of the module's docstring
    c = effect
    x = tl.load(currents + neuron, ours, other=0.0).to(tl.float32)
    for _ in tl.range(timesteps, num_stages=STAGES):
        if not HELD:
            x = tl.load(currents + at, ours, other=0.0).to(tl.float32)
        u = tl.load(potentials + at, ours, other=0.0).to(tl.float32)
        before = tl.load(potentials + at - n, ours & (at >= n), other=0.0).to(tl.float32)
        effect += (tl.load(grad + at, ours, other=0.0).to(tl.float32) - effect) / tau_s
        s = u > threshold
        delta = x - tl.div_rn(tl.where(before > threshold, 0.0, before), tau_m)
        inverse = tl.div_rn(1.0, tl.where(s, delta, 1.0))
        p = tl.where(s, tl.minimum(tl.maximum(inverse, 0.0), clip), 0.0)
        quiet = tl.where(s, 0.0, 1 - 1 / tau_m)
        released = p * effect + c * (u * p / tau_m + quiet)
        c = tl.where(s, released, c * quiet)
        z = tl.exp(tl.minimum(tl.maximum((threshold - u) / sigma_width, -8.0), 8.0))
        warm = effect * z / ((1 + z) * (1 + z) * sigma_width)
        if WARM_UP == "all":
            released = warm
        elif WARM_UP == "inactive":
            q = tl.load(out + at, ours, other=0.0).to(tl.float32)
            released = tl.where(q < inactive, warm, released)
        tl.store(result + at, released, ours)
        at -= n
