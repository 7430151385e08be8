"""DSR's neurons (`train.neurons.dsr`, whose docstring has the equations), one Triton kernel forward
and one backward.

V_th is read on the GPU, so that the CPU need not wait for it. The sums over time with weights
decay^(T - t) are taken as S[t] = decay S[t-1] + x[t], along with the loop.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from spikeport.train.kernels.launch import laid_out_as, launch, over_time, programs, time_major
from spikeport.train.neurons.dsr import DSRConfig


def dsr_forward(currents: torch.Tensor, timesteps: int, threshold: torch.Tensor, config: DSRConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """The output `(timesteps, *shape)`, and I^ `(1, *shape)`, in float32 unless the currents, `(1
    or timesteps, *shape)`, are held.
    """
    currents = time_major(currents)
    held = len(currents) != timesteps
    out = over_time(currents, timesteps)
    mean = currents if held else over_time(currents, 1, torch.float32)
    launch(
        _forward,
        currents,
        currents,
        out,
        mean,
        threshold,
        currents[0].numel(),
        timesteps,
        config.decay,
        config.gain,
        config.alpha,
        config.height,
        _total_weight(config, timesteps),
        HELD=held,
    )
    return out, mean


def dsr_backward(
    mean_current: torch.Tensor, threshold: torch.Tensor, grad: torch.Tensor, config: DSRConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """G_I, the same at every timestep, `(1, *shape)`, and G_Vth, a scalar."""
    each = over_time(mean_current, 1, grad.dtype)
    sums = torch.empty(programs(mean_current), device=grad.device)
    launch(
        _backward,
        mean_current,
        mean_current,
        laid_out_as(mean_current, grad),
        each,
        sums,
        threshold,
        mean_current.numel(),
        len(grad),
        config.decay,
        _total_weight(config, len(grad)),
        config.bound_factor,
        config.current_scale,
        CLOSED=config.kind == "if",
    )
    return each, sums.sum() * (len(grad) * config.threshold_scale)


def _total_weight(config: DSRConfig, timesteps: int) -> float:
    return sum(config.decay**t for t in range(timesteps))


@triton.jit
def _forward(
    currents,
    out,
    mean,
    threshold,
    n,
    timesteps,
    decay,
    gain,
    alpha,
    height,
    total_weight,
    HELD: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
):
    neuron = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    ours, at = neuron < n, neuron
    bar = tl.load(threshold)
    v = tl.zeros((BLOCK,), tl.float32)
    weighted = v
    x = tl.load(currents + neuron, ours, other=0.0).to(tl.float32)
    for _ in tl.range(timesteps, num_stages=STAGES):
        if not HELD:
            x = tl.load(currents + at, ours, other=0.0).to(tl.float32)
            weighted = decay * weighted + x
        v = tl.fma(x, gain, decay * v)  # rounded once, as PyTorch adds with a factor
        s = v >= alpha * bar
        tl.store(out + at, tl.where(s, bar * height, 0.0), ours)
        v = tl.where(s, v - bar, v)
        at += n
    if not HELD:
        tl.store(mean + neuron, tl.div_rn(weighted, total_weight), ours)


@triton.jit
def _backward(
    mean_current,
    grad,
    each,
    sums,
    threshold,
    n,
    timesteps,
    decay,
    total_weight,
    bound_factor,
    scale,
    CLOSED: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
):
    neuron = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    ours, at = neuron < n, neuron
    weighted = tl.zeros((BLOCK,), tl.float32)
    for _ in tl.range(timesteps, num_stages=STAGES):
        weighted = decay * weighted + tl.load(grad + at, ours, other=0.0).to(tl.float32)
        at += n
    mean_grad = tl.div_rn(weighted, total_weight)
    x = tl.load(mean_current + neuron, ours, other=0.0).to(tl.float32)
    bound = tl.load(threshold) * bound_factor
    inside = (x >= 0) & (x <= bound) if CLOSED else (x > 0) & (x < bound)
    tl.store(each + neuron, tl.where(inside, mean_grad * scale, 0.0), ours)
    tl.store(sums + tl.program_id(0), tl.sum(tl.where(x > bound, mean_grad, 0.0)))
