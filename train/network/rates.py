"""Synapses trained through rates: DSR's backward pass without time, exact, its memory and most of
its work independent of T.

A neuron's gradient of its currents, e, is the same at every timestep (`train.neurons.dsr`), and of
the gradient g of its spikes it asks only for Q = sum(w g), w its representation weights with sum 1.
BatchNorm over time, batch and space of y[t] = W s[t], with x = (y - mean) / sigma and m the mean of
x over time, turns e into

    G_y[t] = gamma / sigma (e - mean(e) - x[t] mean(e m))

which depends on t through x[t] alone. Weights being linear, time can be summed before any gradient
is known:

    G_W = gamma / sigma (wgrad(e - mean(e), sum_t s[t]) - mean(e m) A),    A = sum_t wgrad(x[t], s[t]), taken in the forward pass
    Q   = dgrad(gamma / sigma (e - mean(e) - mean(e m) sum(w x)))
    G_gamma = T sum(e m),  G_beta = T sum(e)

wgrad and dgrad are a layer's gradients of its weights and of its input. Where several processes
train together, means over batch are over all of theirs; what a process gives of G_W, G_gamma and
G_beta is its part, A being its own too. Saved for the backward pass
are three tensors of one timestep, and A. The result is that of differentiating every timestep, to
rounding (tested).

Whether this holds is a question of each path (`through_rates`): it does for weights of spikes on
their way straight into neurons, with or without such BatchNorm, behind average pooling, and behind
dropout, whose mask is the same at all timesteps. Max pooling of spikes picks another one at every
timestep, but a gradient that all timesteps share passes it as the share of them, weighed by w, at
which each was picked: that holds where no BatchNorm follows, whose gradient differs between
timesteps. All else, such as streams, trained delays and BatchNorm at each timestep, is
differentiated at every timestep between the others (`Rated.over_time`, `Rated.of_currents`).

Rate-based backpropagation (Yu et al., NeurIPS 2024, arXiv 2410.11488) also sends back rates alone;
for surrogate gradients that is an approximation, for DSR's it is the gradient.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn import grad as gradients

from spikeport.train.network.batch_norm import channel_sums, over_maps, statistics
from spikeport.train.network.convolution import precision, weight_gradient
from spikeport.train.network.layers import ScaledBatchNorm, Synapses
from spikeport.train.network.topology import Stage
from spikeport.train.neurons.rated import Rated, carrier, weighted_sum
from spikeport.train.ranks.group import of_each_partner, partners


def through_rates(synapses: Synapses, source: Stage | None) -> bool:
    """Whether the algebra holds for a path from a stage, None for the input, into neurons."""
    kind = source.kind if source else "neuron"
    linear = synapses.delays is None and synapses.norm is None
    normed = synapses.delays is None and synapses.weights is not None and synapses.norm_over == "time"
    return (linear and kind in ("neuron", "max_pool")) or (normed and kind == "neuron")


def max_pooled(source: Rated, size: int, weights: list[float]) -> Rated:
    """Spikes, max-pooled, of whose gradient all timesteps have the same. weights: w of the module's
    docstring, `(T,)`.
    """
    values, picked = F.max_pool2d(source.values.flatten(0, 1), size, return_indices=True)
    share = values.new_zeros(source.values[0].flatten(2).shape)
    for w, chosen in zip(weights, picked.flatten(2).unflatten(0, (len(weights), -1))):
        share.scatter_add_(2, chosen, torch.full_like(chosen, w, dtype=share.dtype))
    rate = _Picked.apply(source.rate, share.view(source.values[0].shape), size)
    return Rated(values.unflatten(0, (len(weights), -1)), rate)


class _Picked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rate: torch.Tensor, share: torch.Tensor, size: int) -> torch.Tensor:
        ctx.save_for_backward(share)
        ctx.size = size
        return carrier(F.max_pool2d(share, size)[None])

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (share,) = ctx.saved_tensors
        wide = grad.repeat_interleave(ctx.size, 2).repeat_interleave(ctx.size, 3)
        rest = (0, share.shape[3] - wide.shape[3], 0, share.shape[2] - wide.shape[2])  # what windows leave over at the borders
        return F.pad(wide, rest) * share, None, None


def pooled(synapses: Synapses, source: Rated) -> Rated:
    """What the weights see."""
    values, rate = synapses.pooled(source.values.flatten(0, 1)).unflatten(0, source.values.shape[:2]), synapses.pooled(source.rate)
    if synapses.dropout is None:
        return Rated(values, rate)
    mask = synapses.dropout.mask(rate)
    return Rated(values * mask, rate * mask)


def currents(synapses: Synapses, source: Rated, weights: list[float]) -> Rated:
    """What synapses in training make of what `pooled` gave them, in memory of its own. weights: w
    of the module's docstring, `(T,)`.
    """
    if synapses.weights is None:
        return Rated(source.values.clone(), source.rate)
    scale, shift = (synapses.norm.scale(), synapses.norm.bias) if synapses.norm else (None, synapses.weights.bias)
    values = source.values.flatten(0, 1)
    rate, out = _Through.apply(source.rate, values, synapses.weights.weight, scale, shift, synapses, weights)
    return Rated(out.unflatten(0, (len(weights), -1)), rate)


class _Through(torch.autograd.Function):
    """Weights, and BatchNorm where there is one: names as in the module's docstring, scale is
    gamma, shift beta or a bias.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rate: torch.Tensor,
        s: torch.Tensor,
        weight: torch.Tensor,
        scale: torch.Tensor | None,
        shift: torch.Tensor | None,
        synapses: Synapses,
        weights: list[float],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        assert synapses.weights is not None
        ctx.layer, ctx.steps = synapses.weights, len(weights)
        s = s.to(precision(s))
        w = weight.to(s.dtype)
        out = _applied(ctx.layer, s, w).to(weight.dtype)
        summed = s.unflatten(0, (ctx.steps, -1)).sum(0)
        if synapses.norm is None:
            ctx.save_for_backward(summed, w)
            if shift is not None:
                out.add_(over_maps(shift, out))
        else:
            assert scale is not None and shift is not None
            inverse, *moments = _centre_(out, s, w, synapses.norm, ctx.layer, weights)
            slope = scale * inverse
            ctx.save_for_backward(summed, w, *moments, slope)
            torch.addcmul(over_maps(shift, out), out, over_maps(slope, out), out=out)
        ctx.mark_non_differentiable(out)
        return carrier(out.unflatten(0, (ctx.steps, -1))), out

    @staticmethod
    def backward(ctx: Any, e: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        summed, w, *normed = ctx.saved_tensors
        grad_shift = ctx.steps * channel_sums(e) if ctx.needs_input_grad[4] else None
        if not normed:
            grad_source = _input_gradient(ctx.layer, summed, w, e) if ctx.needs_input_grad[0] else None
            return grad_source, None, _weight_gradient(ctx.layer, summed, w, e), None, grad_shift, None, None
        mean, weighted, correlation, slope = normed
        grad_scale, count = channel_sums(e * mean), partners() * e.numel() / e.shape[1]
        shared, centre = of_each_partner(torch.stack([grad_scale, channel_sums(e)])).sum(0) / count
        e = (e - over_maps(centre, e)).mul_(over_maps(slope, e))
        grad_weight = _weight_gradient(ctx.layer, summed, w, e) - (slope * shared).view(-1, *(1,) * (w.ndim - 1)) * correlation
        e = e - over_maps(slope * shared, e) * weighted
        grad_source = _input_gradient(ctx.layer, summed, w, e) if ctx.needs_input_grad[0] else None
        return grad_source, None, grad_weight, ctx.steps * grad_scale, grad_shift, None, None


def _centre_(
    y: torch.Tensor, s: torch.Tensor, w: torch.Tensor, norm: ScaledBatchNorm, layer: nn.Module, weights: list[float]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Take the mean off y in place, which leaves sigma x; returns 1 / sigma, m, sum(w x) and A."""
    mean, variance = statistics(y)
    norm.remember(mean, variance, y.numel() // len(mean))
    inverse = (variance + norm.eps).rsqrt()
    steps = y.sub_(over_maps(mean, y)).unflatten(0, (len(weights), -1))
    unweighted = steps.mean(0).mul_(over_maps(inverse, y))
    weighted = unweighted if len(set(weights)) == 1 else weighted_sum(weights, steps).mul_(over_maps(inverse, y))
    # one timestep after the other: what the convolution's own code needs beside it stays small
    correlation = reduce(torch.add, (_weight_gradient(layer, sent, w, step) for sent, step in zip(s.split(len(steps[0])), steps)))
    return inverse, unweighted, weighted, correlation * inverse.view(-1, *(1,) * (w.ndim - 1))


def _applied(layer: nn.Module, s: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    if isinstance(layer, nn.Conv2d):
        return F.conv2d(s, w, None, layer.stride, layer.padding)
    return F.linear(s.flatten(1), w)


def _weight_gradient(layer: nn.Module, s: torch.Tensor, w: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    """wgrad, as precise as the output's gradient."""
    g = grad.to(s.dtype)
    if isinstance(layer, nn.Conv2d):
        return weight_gradient(s, w.shape, g, layer).to(grad.dtype)
    return (g.T @ s.flatten(1)).to(grad.dtype)


def _input_gradient(layer: nn.Module, s: torch.Tensor, w: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    """dgrad."""
    g = grad.to(w.dtype)
    if isinstance(layer, nn.Conv2d):
        return gradients.conv2d_input(s.shape, w, g, layer.stride, layer.padding).to(grad.dtype)
    return (g @ w).view(s.shape).to(grad.dtype)
