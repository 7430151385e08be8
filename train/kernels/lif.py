"""STBP's LIF neurons (`train.neurons.stbp`, whose docstring has the equations), one Triton kernel
forward and one backward.

In bfloat16 the potential is carried in float32 and saved rounded. Spikes are decided on what is
saved, so that the backward pass, which sees nothing else, knows the same spikes.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from spikeport.train.kernels.launch import laid_out_as, launch, over_time, programs, time_major
from spikeport.train.kernels.surrogates import surrogate
from spikeport.train.neurons.stbp import Leak, LIFConfig


def lif_forward(currents: torch.Tensor, timesteps: int, decay: Leak, gain: Leak, config: LIFConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """As `train.neurons.stbp.lif_forward`; a learned leak is read on the GPU, so that the CPU need
    not wait for it.
    """
    currents = time_major(currents)
    potentials = over_time(currents, timesteps)
    spikes = torch.empty_like(potentials)
    launch(
        _forward,
        currents,
        currents,
        spikes,
        potentials,
        currents[0].numel(),
        timesteps,
        decay,
        gain,
        config.threshold,
        HELD=len(currents) != timesteps,
        **_variant(decay, gain, config),
    )
    return spikes, potentials


def lif_backward(
    potentials: torch.Tensor, grad_spikes: torch.Tensor, decay: Leak, gain: Leak, config: LIFConfig, *, held: bool, learned: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """As `train.neurons.stbp.lif_backward`."""
    timesteps, n = len(potentials), potentials[0].numel()
    grad = over_time(potentials, 1 if held else timesteps)
    sums = torch.empty(2, programs(potentials), device=potentials.device) if learned else None
    launch(
        _backward,
        potentials,
        potentials,
        laid_out_as(potentials, grad_spikes),
        grad,
        sums,
        n,
        timesteps,
        (timesteps - 1) * n,
        decay,
        gain,
        config.threshold,
        config.surrogate.width,
        HELD=held,
        LEARNED=learned,
        DETACHED=config.detach_reset,
        SURROGATE=config.surrogate.kind,
        **_variant(decay, gain, config),
    )
    return grad, None if sums is None else sums.sum(1)


def _variant(decay: Leak, gain: Leak, config: LIFConfig) -> dict[str, bool]:
    load = {"LOAD_DECAY": isinstance(decay, torch.Tensor), "LOAD_GAIN": isinstance(gain, torch.Tensor)}
    return {**load, "STRICT": config.strict, "TO_ZERO": config.reset == "zero"}


@triton.jit
def _forward(
    currents,
    spikes,
    potentials,
    n,
    timesteps,
    decay,
    gain,
    threshold,
    HELD: tl.constexpr,
    LOAD_DECAY: tl.constexpr,
    LOAD_GAIN: tl.constexpr,
    STRICT: tl.constexpr,
    TO_ZERO: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
):
    neuron = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    ours, at = neuron < n, neuron
    decay, gain = number(decay, LOAD_DECAY), number(gain, LOAD_GAIN)
    v = tl.zeros((BLOCK,), tl.float32)
    x = tl.load(currents + neuron, ours, other=0.0).to(tl.float32)
    for _ in tl.range(timesteps, num_stages=STAGES):
        if not HELD:
            x = tl.load(currents + at, ours, other=0.0).to(tl.float32)
        h = tl.fma(x, gain, decay * v)  # rounded once, as PyTorch adds with a factor
        saved = h.to(potentials.dtype.element_ty)
        s = fires(saved.to(tl.float32), threshold, STRICT)
        tl.store(potentials + at, saved, ours)
        tl.store(spikes + at, tl.where(s, 1.0, 0.0), ours)
        v = rest(h, s, threshold, TO_ZERO)
        at += n


@triton.jit
def _backward(
    potentials,
    grad_spikes,
    grad,
    sums,
    n,
    timesteps,
    last,
    decay,
    gain,
    threshold,
    width,
    HELD: tl.constexpr,
    LEARNED: tl.constexpr,
    DETACHED: tl.constexpr,
    SURROGATE: tl.constexpr,
    LOAD_DECAY: tl.constexpr,
    LOAD_GAIN: tl.constexpr,
    STRICT: tl.constexpr,
    TO_ZERO: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
):
    neuron = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    ours, at = neuron < n, neuron + last
    decay, gain = number(decay, LOAD_DECAY), number(gain, LOAD_GAIN)
    grad_h = tl.zeros((BLOCK,), tl.float32)  # of the timestep after
    total, through_rest, through_potential = grad_h, grad_h, grad_h
    for _ in tl.range(timesteps, num_stages=STAGES):
        h = tl.load(potentials + at, ours, other=0.0).to(tl.float32)
        grad_s = tl.load(grad_spikes + at, ours, other=0.0).to(tl.float32)
        s = fires(h, threshold, STRICT)
        if LEARNED:
            through_rest += grad_h * rest(h, s, threshold, TO_ZERO)
        grad_v = decay * grad_h
        if not DETACHED:
            grad_s -= grad_v * (h if TO_ZERO else threshold)
        if TO_ZERO:
            grad_v = tl.where(s, 0.0, grad_v)
        grad_h = grad_v + surrogate(h - threshold, width, SURROGATE) * grad_s
        if LEARNED:
            through_potential += grad_h * h
        if HELD:
            total += gain * grad_h
        else:
            tl.store(grad + at, gain * grad_h, ours)
        at -= n
    if HELD:
        tl.store(grad + neuron, total, ours)
    if LEARNED:
        program, programs = tl.program_id(0), tl.num_programs(0)
        tl.store(sums + program, tl.sum(through_rest))
        tl.store(sums + programs + program, tl.sum(through_potential))


@triton.jit
def number(value, LOAD: tl.constexpr):
    """What was given, or what lies there."""
    if LOAD:
        value = tl.load(value).to(tl.float32)
    return value


@triton.jit
def fires(h, threshold, STRICT: tl.constexpr):
    """Whether a neuron at this potential spikes."""
    return h > threshold if STRICT else h >= threshold


@triton.jit
def rest(h, s, threshold, TO_ZERO: tl.constexpr):
    """The potential after the spike."""
    return tl.where(s, 0.0 if TO_ZERO else h - threshold, h)
