"""TSSL-BP: temporal spike sequence learning (Zhang and Li, NeurIPS 2020), as released and as of the
paper's time.

Forward, per timestep, from u = q = 0, with current I:

    delta = -u / tau_m + I;  u += delta;  s = u > theta;  q += (s - q) / tau_s        (u below is the value before its reset)
    u *= 1 - s

The layer's output is the post-synaptic current q. Backward, G = dL/dI, g = dL/dq, E[t] = g[t] /
tau_s + (1 - 1/tau_s) E[t+1]:

released   p = s * clip(1/delta, 0, 8)
           G[t] = p E[t] + c (u p / tau_m + (1 - 1/tau_m) (1 - s)),  then  c = G[t] s + c (1 - s) (1
           - 1/tau_m) warm-up, per neuron and step with q[t] < 1/(4 tau_s): G[t] = E[t] sigma'(u),
           after c was updated
paper      G[t] = p sum_{k>=t} A[t,k] (g + R g)[k],  p = s clip(1/delta, -10, 10),  A[t,k] = (1 -
1/tau_s)^(k-t) / tau_s,
           R[j,k] = s_j s_k u_j / tau_m (1 - 1/tau_m)^(k-1-j) for the first spike k after j
           warm-up, for the whole layer where its mean rate is at most 0.1: p = sigma'(u), the reset
           path R stays

sigma'(u) = z / ((1 + z)^2 * 0.2), z = exp(clip((theta - u) / 0.2, -8, 8)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import FloatNeuron
from spikeport.train.neurons.base import LoweredNeuron, Neuron, NeuronConfig
from spikeport.train.neurons.dispatch import triton_kernels
from spikeport.train.ranks.group import of_each_partner

RELEASED_CLIP, PAPER_CLIP = (0.0, 8.0), (-10.0, 10.0)
"""Range of 1 / delta."""
WARM_UP_RATE = 0.1
SIGMA_WIDTH = 0.2
POOL_GAIN = 1.1
INACTIVE_SHARE = 0.25
"""A neuron counts as inactive while q is below this share of one spike's 1 / tau_s."""


@dataclass(frozen=True, kw_only=True)
class TSSLConfig(NeuronConfig):
    """tau_m, tau_s: time constants of membrane and synapse in timesteps. warm_up: whether inactive
    neurons use sigma'; "all" for all.
    """

    tau_m: float = 5.0
    tau_s: float = 3.0
    threshold: float = 1.0
    rule: Literal["released", "paper"] = "released"
    warm_up: Literal["inactive", "off", "all"] = "inactive"

    def __post_init__(self) -> None:
        if min(self.tau_m, self.tau_s) < 1 or not self.threshold > 0:
            raise InputError("a TSSL-BP neuron needs tau_m and tau_s of at least 1 timestep and a positive threshold")
        if self.rule not in ("released", "paper"):
            raise InputError(f"TSSL-BP rule {self.rule!r} is unknown; choose released or paper")
        if self.warm_up not in ("inactive", "off", "all"):
            raise InputError(f"TSSL-BP warm_up {self.warm_up!r} is unknown; choose inactive, off or all")

    def build(self) -> TSSL:
        """A neuron layer."""
        return TSSL(self)

    @property
    def input_filter(self) -> float:
        """The image passes the synapses' filter like any spike train."""
        return self.tau_s

    def pool_factor(self, size: int) -> float:
        """Pooling is a sum times 1.1 (released code)."""
        return POOL_GAIN * size**2


class TSSL(Neuron):
    """A layer of `TSSLConfig` neurons."""

    def __init__(self, config: TSSLConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, currents: torch.Tensor, timesteps: int) -> torch.Tensor:
        """See `Neuron`; the output is the post-synaptic current q."""
        return _PostSynaptic.apply(currents.expand(timesteps, *currents.shape[1:]), self.config)

    def lowered(self) -> LoweredNeuron:
        """The filter behind the spike becomes the synaptic current decay of the neurons that
        follow.
        """
        c, zero = self.config, np.array(0.0)
        neuron = FloatNeuron(alpha=zero, beta=np.array(1 - 1 / c.tau_m), threshold=np.array(c.threshold), bias=zero)
        return LoweredNeuron(neuron=neuron, gain=1.0, height=1 / c.tau_s, trace=1 - 1 / c.tau_s)

    def extra_repr(self) -> str:
        return repr(self.config)


class _PostSynaptic(torch.autograd.Function):
    """All timesteps at once. Saved: the potentials before the spike and the output."""

    @staticmethod
    def forward(ctx: Any, currents: torch.Tensor, config: TSSLConfig) -> torch.Tensor:
        potentials, out = tssl_forward(currents, config)
        ctx.save_for_backward(currents, potentials, out)
        ctx.config = config
        return out

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        currents, potentials, out = ctx.saved_tensors
        return tssl_backward(currents, potentials, out, grad, ctx.config), None


def tssl_forward(currents: torch.Tensor, config: TSSLConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Potentials before the spike and post-synaptic currents q, all `(T, *shape)`."""
    if kernels := triton_kernels("tsslbp", currents):
        return kernels.tssl_forward(currents, config)
    potentials, out = torch.empty_like(currents), torch.empty_like(currents)
    u, q = torch.zeros_like(currents[0]), torch.zeros_like(currents[0])
    for current, potential, post in zip(currents, potentials, out):
        torch.add(u, _change(u, current, config), out=potential)
        s = (potential > config.threshold).to(u.dtype)
        q.add_((s - q) / config.tau_s)
        post.copy_(q)
        torch.mul(potential, 1 - s, out=u)
    return potentials, out


def tssl_backward(
    currents: torch.Tensor, potentials: torch.Tensor, out: torch.Tensor, grad: torch.Tensor, config: TSSLConfig
) -> torch.Tensor:
    """The currents' gradient `(T, *shape)`.

    Triton's kernel knows the released rule only; the paper's looks at the whole layer.
    """
    kernels = triton_kernels("tsslbp", potentials)
    if kernels and config.rule == "released":
        return kernels.tssl_backward(currents, potentials, out, grad, config)
    spikes = (potentials > config.threshold).to(grad.dtype)
    looks = config.rule == "paper" and config.warm_up == "inactive"
    layer_warms_up = looks and float(of_each_partner(spikes.mean()).mean()) <= WARM_UP_RATE
    soft = sigma_slope(potentials, config.threshold) if config.warm_up == "all" or layer_warms_up else None
    if config.rule == "paper":
        p = _inverse_change(currents, potentials, spikes, config) if soft is None else soft
        return _paper_gradient(grad, potentials, spikes, p, config)
    if soft is not None:
        return _filtered(grad, config).mul_(soft)
    return _released_gradient(grad, potentials, spikes, _inverse_change(currents, potentials, spikes, config), out, config)


def sigma_slope(u: torch.Tensor, threshold: float) -> torch.Tensor:
    """sigma'(u) of the module's docstring."""
    z = torch.exp(torch.clamp((threshold - u) / SIGMA_WIDTH, -8, 8))
    return z / ((1 + z) ** 2 * SIGMA_WIDTH)


def _change(u: torch.Tensor, current: torch.Tensor, config: TSSLConfig) -> torch.Tensor:
    return current - u / config.tau_m


def _inverse_change(currents: torch.Tensor, potentials: torch.Tensor, spikes: torch.Tensor, config: TSSLConfig) -> torch.Tensor:
    """s * clip(1 / delta), for all timesteps."""
    rest = torch.zeros_like(potentials)
    rest[1:] = potentials[:-1] * (1 - spikes[:-1])
    low, high = RELEASED_CLIP if config.rule == "released" else PAPER_CLIP
    return torch.clamp(1 / _change(rest, currents, config), low, high).mul_(spikes)


def _filtered(grad: torch.Tensor, config: TSSLConfig) -> torch.Tensor:
    """E: the gradient of q gathered backward in time through the synaptic filter."""
    out = torch.empty_like(grad)
    e = torch.zeros_like(grad[0])
    for t in reversed(range(len(grad))):
        e.mul_(1 - 1 / config.tau_s).add_(grad[t], alpha=1 / config.tau_s)
        out[t] = e
    return out


def _released_gradient(
    grad: torch.Tensor, u: torch.Tensor, s: torch.Tensor, p: torch.Tensor, q: torch.Tensor, config: TSSLConfig
) -> torch.Tensor:
    keep = 1 - 1 / config.tau_m
    effect = _filtered(grad, config)
    out = torch.empty_like(grad)
    c = torch.zeros_like(grad[0])
    for t in reversed(range(len(grad))):
        quiet = keep * (1 - s[t])
        out[t] = p[t] * effect[t] + c * (u[t] * p[t] / config.tau_m + quiet)
        c = out[t] * s[t] + c * quiet
    if config.warm_up == "inactive":
        inactive = q < INACTIVE_SHARE / config.tau_s
        out = torch.where(inactive, effect.mul_(sigma_slope(u, config.threshold)), out)
    return out


def _paper_gradient(grad: torch.Tensor, u: torch.Tensor, s: torch.Tensor, p: torch.Tensor, config: TSSLConfig) -> torch.Tensor:
    keep = 1 - 1 / config.tau_m
    total = torch.empty_like(grad)
    following = torch.zeros_like(grad[0])  # the gradient at the next spike, decayed with the membrane on the way back
    for t in reversed(range(len(grad))):
        total[t] = grad[t] + s[t] * u[t] / config.tau_m * following
        following = torch.where(s[t] > 0, grad[t], keep * following)
    return _filtered(total, config).mul_(p)
