"""DSR: differentiation on spike representation (Meng et al., CVPR 2022), with the factors of the
authors' code.

Forward, per timestep, from V = 0, with current I and the layer's trained threshold V_th:

    V += I                                IF
    V = b V + (1 - b) I                   LIF, b = exp(-dt / tau)
    fires if V >= alpha * V_th, then V -= V_th; a spike has height V_th (IF) or V_th / dt (LIF)

Backward there is no time. With weights w_t = exp(-(T - t) dt / tau), t = 1..T (IF: 1), I^ = sum(w
I) / sum(w) and G^ = T * sum(w G) / sum(w) of the output's gradient G:

    G_I[t] = G^ * inside / T, inside = 0 <= I^ <= V_th                      IF
    G_I[t] = G^ * inside / (tau T), inside = 0 < I^ < V_th tau / dt         LIF
    G_Vth  = sum of G^ where I^ lies above the bound, times 1 (IF), dt (LIF, "code") or 1 / dt (LIF,
    "theory")

Section 3.3 derives 1 / dt for the threshold's gradient, the published code multiplies by dt; both
are offered. Before every training forward, V_th = relu(V_th - bound) + bound. Saved for the
backward: I^, one timestep large.

Where all synapses can be trained through rates (`train.network.rates`), gradients between layers
have no time either.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import FloatNeuron
from spikeport.train.neurons.base import LoweredNeuron, Neuron, NeuronConfig
from spikeport.train.neurons.dispatch import compiled_dsr, has_loops, triton_kernels
from spikeport.train.neurons.rated import Rated, carrier, weighted_sum


@dataclass(frozen=True, kw_only=True)
class DSRConfig(NeuronConfig):
    """threshold: V_th to start from. trained_threshold: whether V_th learns (the paper compares
    with a fixed one in table 3).

    bound: smallest V_th. alpha: firing parameter. tau, dt: LIF only. percentile: of the activations
    of a network without spikes that V_th begins with, where training begins with one
    (`train.loop.without_spikes`).
    """

    kind: Literal["if", "lif"] = "if"
    threshold: float = 6.0
    trained_threshold: bool = True
    bound: float = 0.01
    alpha: float = 0.5
    tau: float = 1.0
    dt: float = 0.05
    threshold_gradient: Literal["code", "theory"] = "code"
    percentile: float = 99.9

    def __post_init__(self) -> None:
        if self.kind not in ("if", "lif"):
            raise InputError(f"DSR neuron kind {self.kind!r} is unknown; choose if or lif")
        if self.threshold_gradient not in ("code", "theory"):
            raise InputError(f"DSR threshold_gradient {self.threshold_gradient!r} is unknown; choose code or theory")
        if not 0 < self.percentile <= 100:
            raise InputError(f"neuron percentile is {self.percentile:g}; it lies above 0, up to 100")
        if not (0 < self.bound <= self.threshold and 0 < self.alpha <= 1 and self.tau > 0 and self.dt > 0):
            raise InputError("a DSR neuron needs 0 < bound <= threshold, 0 < alpha <= 1 and positive tau and dt")

    @property
    def decay(self) -> float:
        """b: fraction of the potential kept per timestep."""
        return exp(-self.dt / self.tau) if self.kind == "lif" else 1.0

    @property
    def gain(self) -> float:
        """Factor on the current."""
        return 1 - self.decay if self.kind == "lif" else 1.0

    @property
    def height(self) -> float:
        """Height of a spike in units of V_th."""
        return 1 / self.dt if self.kind == "lif" else 1.0

    @property
    def bound_factor(self) -> float:
        """The upper bound of I^ in units of V_th."""
        return self.tau / self.dt if self.kind == "lif" else 1.0

    @property
    def current_scale(self) -> float:
        """Factor of T G_I."""
        return 1 / self.tau if self.kind == "lif" else 1.0

    @property
    def threshold_scale(self) -> float:
        """Factor of G_Vth."""
        if self.kind == "if":
            return 1.0
        return self.dt if self.threshold_gradient == "code" else 1 / self.dt

    def rate_weights(self, timesteps: int) -> list[float]:
        """w / sum(w)."""
        return representation_weights(self, timesteps)

    def build(self) -> DSR:
        """A neuron layer."""
        return DSR(self)


class DSR(Neuron):
    """A layer of `DSRConfig` neurons with one threshold."""

    def __init__(self, config: DSRConfig) -> None:
        super().__init__()
        self.config = config
        self.threshold = nn.Parameter(torch.tensor(config.threshold), requires_grad=config.trained_threshold)

    def forward(self, currents: torch.Tensor, timesteps: int) -> torch.Tensor:
        """See `Neuron`; the output is 0 or the spike's height.

        In training the threshold is first moved to its bound if below.
        """
        self._bound()
        return _Representation.apply(currents, timesteps, self.threshold, self.config)

    def pooled(self, currents: torch.Tensor, timesteps: int, size: int) -> torch.Tensor | None:
        """See `Neuron`; without a gradient only."""
        if torch.is_grad_enabled() or not has_loops(currents):
            return None
        return dsr_forward(currents, timesteps, self.threshold, self.config, pool=size)[0]

    def rated(self, currents: Rated, timesteps: int, windows: int) -> Rated:
        """The same with a gradient that has no time; overwrites currents that are not held."""
        self._bound()
        pool = windows if has_loops(currents.values) else 1
        rate, spikes = _RatedRepresentation.apply(currents.rate, currents.values, timesteps, self.threshold, self.config, pool)
        return Rated(spikes, rate)

    def represent(self, largest: float) -> None:
        """Set the threshold such that mean currents up to `largest` are represented; not below its
        bound.
        """
        with torch.no_grad():
            self.threshold.fill_(max(largest / self.config.bound_factor, self.config.bound))

    def _bound(self) -> None:
        if self.training:
            with torch.no_grad():
                self.threshold.clamp_(min=self.config.bound)

    def lowered(self) -> LoweredNeuron:
        c, threshold = self.config, self.threshold.detach().double().cpu().numpy()
        neuron = FloatNeuron(
            alpha=np.array(0.0),
            beta=np.array(c.decay),
            threshold=c.alpha * threshold,
            bias=np.array(0.0),
            reset="subtract",
            reset_value=threshold,
            strict=False,
        )
        return LoweredNeuron(neuron=neuron, gain=c.gain, height=float(threshold) * c.height)

    def extra_repr(self) -> str:
        return repr(self.config)


class _Representation(torch.autograd.Function):
    """Spikes forward, the clamp of the mean current backward."""

    @staticmethod
    def forward(ctx: Any, currents: torch.Tensor, timesteps: int, threshold: torch.Tensor, config: DSRConfig) -> torch.Tensor:
        spikes, mean_current = dsr_forward(currents, timesteps, threshold, config)
        ctx.config, ctx.held = config, len(currents) != timesteps
        ctx.save_for_backward(mean_current, threshold.clone())  # the next forward may move the threshold
        return spikes

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, torch.Tensor, None]:
        mean_current, threshold = ctx.saved_tensors
        if kernels := triton_kernels("dsr", grad):
            each, grad_threshold = kernels.dsr_backward(mean_current, threshold, grad, ctx.config)
        else:
            gathered = weighted_sum(representation_weights(ctx.config, len(grad)), grad)[None]
            each, grad_threshold = _clamped(gathered, mean_current, threshold, len(grad), ctx.config)
        return (each * len(grad) if ctx.held else each.expand_as(grad)), None, grad_threshold, None


class _RatedRepresentation(torch.autograd.Function):
    """The same between rates (`train.neurons.rated`); overwrites the currents."""

    @staticmethod
    def forward(
        ctx: Any, rate: torch.Tensor, currents: torch.Tensor, timesteps: int, threshold: torch.Tensor, config: DSRConfig, pool: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        shape = currents.shape
        spikes, mean_current = dsr_forward(currents, timesteps, threshold, config, pool=pool, overwrite=True)
        ctx.config, ctx.timesteps = config, timesteps
        ctx.save_for_backward(mean_current, threshold.clone())
        ctx.mark_non_differentiable(spikes)
        return carrier(spikes, shape), spikes

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor, None, None, torch.Tensor, None, None]:
        mean_current, threshold = ctx.saved_tensors
        each, grad_threshold = _clamped(grad, mean_current[0], threshold, ctx.timesteps, ctx.config)
        return each, None, None, grad_threshold, None, None


def dsr_forward(
    currents: torch.Tensor, timesteps: int, threshold: torch.Tensor, config: DSRConfig, *, pool: int = 1, overwrite: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Spikes of height V_th or V_th / dt, `(T, ...)`, and I^, `(1, ...)`, from currents `(T, ...)`
    or, held, `(1, ...)`.

    pool: spikes are averaged over windows of pool x pool, where loops for a CPU are compiled.
    overwrite: the currents may be lost; saves memory where they are not held.
    """
    if kernels := triton_kernels("dsr", currents):
        return kernels.dsr_forward(currents, timesteps, threshold, config)
    bar, held = threshold.item(), len(currents) != timesteps
    if compiled := compiled_dsr(currents, timesteps, bar, config, pool, overwrite=overwrite):
        return compiled
    mean_current = currents if held else weighted_sum(representation_weights(config, timesteps), currents)[None]
    out = currents if overwrite and not held else currents.new_empty(timesteps, *currents.shape[1:])
    v = torch.zeros_like(out[0])
    for t, spike in enumerate(out):
        v.mul_(config.decay).add_(currents[0 if held else t], alpha=config.gain)
        torch.ge(v, config.alpha * bar, out=spike)
        v.sub_(spike, alpha=bar)
    return out.mul_(bar * config.height), mean_current


def _clamped(
    grad: torch.Tensor, mean_current: torch.Tensor, threshold: torch.Tensor, timesteps: int, config: DSRConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """G_I, the same at every timestep, and G_Vth; grad: G^ / T."""
    bound = threshold * config.bound_factor
    if config.kind == "if":
        inside = (mean_current >= 0) & (mean_current <= bound)
    else:
        inside = (mean_current > 0) & (mean_current < bound)
    each = grad * inside * config.current_scale
    return each, torch.where(mean_current > bound, grad, 0).sum() * (timesteps * config.threshold_scale)


def representation_weights(config: DSRConfig, timesteps: int) -> list[float]:
    """w_t / sum(w) for t = 1..T."""
    weights = [config.decay ** (timesteps - t) for t in range(1, timesteps + 1)]
    total = sum(weights)
    return [w / total for w in weights]
