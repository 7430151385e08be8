"""STBP: backpropagation through time and space with a surrogate gradient (Wu et al. 2018, 2019).

Per timestep, from v = 0, with current x:

    h = decay * v + gain * x          membrane potential before the spike
    s = h > threshold                 (>= where not strict)
    v = h (1 - s)                     reset to zero, or
    v = h - threshold * s             reset by subtraction

Backward, with sigma the surrogate and G_h, G_v the gradients of h and v:

    G_h = sigma(h - threshold) * G_s + dv/dh * G_v
    dv/dh = (1 - s) - h sigma, or 1 - threshold sigma     (a detached reset drops the sigma term)
    G_x = gain * G_h,  G_v (one step earlier) = decay * G_h

Learned time constants (one per layer) add, with v the potential one step earlier:

    decay = sigmoid(w),  G_decay = sum of G_h v,  G_gain = sum of G_h x = (sum of G_h h - decay * G_decay) / gain
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import isclose, log
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import FloatNeuron
from spikeport.train.neurons.base import LoweredNeuron, Neuron, NeuronConfig, empty_over_time
from spikeport.train.neurons.dispatch import compiled_lif, triton_kernels
from spikeport.train.neurons.surrogates import Surrogate


@dataclass(frozen=True, kw_only=True)
class LIFConfig(NeuronConfig):
    """Leaky integrate-and-fire. decay: fraction of the membrane potential kept per timestep, 1 for
    no leak.

    A negative decay (TIC's tau = 0.75) trains, but no Loihi register holds it.

    learned: what trains, beginning at `decay`, one number per layer. "decay": the decay alone;
    "tau": the decay and with it the gain 1 - decay, which is the parametric LIF of Fang et al. 2021
    (1/tau = sigmoid(-w)).
    """

    decay: float = 0.5
    gain: float = 1.0
    threshold: float = 1.0
    strict: bool = True
    reset: Literal["zero", "subtract"] = "zero"
    detach_reset: bool = True
    learned: Literal["nothing", "decay", "tau"] = "nothing"
    surrogate: Surrogate = field(default_factory=Surrogate)

    def __post_init__(self) -> None:
        if not -1 <= self.decay <= 1:
            raise InputError(f"neuron decay {self.decay} must lie in -1..1; it is the fraction of the potential kept per timestep")
        if not (self.threshold > 0 and self.gain > 0):
            raise InputError(f"neuron threshold {self.threshold} and gain {self.gain} must be positive")
        if self.reset not in ("zero", "subtract"):
            raise InputError(f"neuron reset {self.reset!r} is unknown; choose zero or subtract")
        if self.learned not in ("nothing", "decay", "tau"):
            raise InputError(f"neuron learned {self.learned!r} is unknown; choose nothing, decay or tau")
        if self.learned != "nothing" and not 0 < self.decay < 1:
            raise InputError(f"neuron decay {self.decay} cannot be learned; begin between 0 and 1")
        if self.learned == "tau" and not isclose(self.gain, 1 - self.decay):
            raise InputError(f"neuron gain {self.gain} with a learned tau must be 1 - decay = {1 - self.decay}")

    def build(self) -> LIF:
        """A neuron layer."""
        return LIF(self)

    @property
    def recurs(self) -> bool:
        """See `NeuronConfig`."""
        return True


def wu_lif() -> LIFConfig:
    """The neuron of Wu et al. 2018: decay 0.2, threshold 0.5, rectangular surrogate, the reset path
    not detached.
    """
    return LIFConfig(decay=0.2, threshold=0.5, detach_reset=False, surrogate=Surrogate(kind="rectangle", width=0.5))


def tic_lif(tau: float = 2.0) -> LIFConfig:
    """The neuron of Kim et al. 2023 (equation 1): h = v + (x - v) / tau, s = h >= 1, detached reset
    to zero, arctan surrogate.
    """
    return LIFConfig(decay=1 - 1 / tau, gain=1 / tau, strict=False)


def parametric_lif(tau: float = 2.0) -> LIFConfig:
    """The neuron of Fang et al. 2021: one trained tau per layer, h = v + (x - v) / tau, s = h >= 1,
    detached reset to zero.
    """
    return replace(tic_lif(tau), learned="tau")


class LIF(Neuron):
    """A layer of `LIFConfig` neurons. logit: w of the module's docstring, None where nothing is
    learned.
    """

    def __init__(self, config: LIFConfig) -> None:
        super().__init__()
        self.config = config
        learns = config.learned != "nothing"
        self.logit = nn.Parameter(torch.tensor(log(config.decay / (1 - config.decay)))) if learns else None

    def forward(self, currents: torch.Tensor, timesteps: int) -> torch.Tensor:
        """See `Neuron`; the output is 0 or 1 in the currents' type."""
        return lif_over_time(currents, timesteps, *self.leak(), self.config)

    def pooled(self, currents: torch.Tensor, timesteps: int, size: int) -> torch.Tensor | None:
        """See `Neuron`."""
        return compiled_lif(currents, timesteps, *self.leak(), self.config, size)

    def recurrent(self, currents: torch.Tensor, timesteps: int, back: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """See `Neuron`."""
        return recurrent_lif(currents, timesteps, self.leak(), self.config, back)

    def leak(self) -> tuple[torch.Tensor | float, torch.Tensor | float]:
        """Decay and gain, tensors where they are learned."""
        if self.logit is None:
            return self.config.decay, self.config.gain
        decay = torch.sigmoid(self.logit)
        return decay, (1 - decay if self.config.learned == "tau" else self.config.gain)

    def lowered(self) -> LoweredNeuron:
        c = self.config
        with torch.no_grad():
            decay, gain = map(float, self.leak())
        reset_value = np.array(c.threshold if c.reset == "subtract" else 0.0)
        neuron = FloatNeuron(
            alpha=np.array(0.0),
            beta=np.array(decay),
            threshold=np.array(c.threshold),
            bias=np.array(0.0),
            reset=c.reset,
            reset_value=reset_value,
            strict=c.strict,
        )
        return LoweredNeuron(neuron=neuron, gain=gain)

    def extra_repr(self) -> str:
        return repr(self.config)


def lif_over_time(currents: torch.Tensor, timesteps: int, decay: Leak, gain: Leak, config: LIFConfig) -> torch.Tensor:
    """Spikes `(timesteps, *shape)` of currents `(timesteps, *shape)`, or `(1, *shape)` if held."""
    spikes = compiled_lif(currents, timesteps, decay, gain, config)
    return LIFOverTime.apply(currents, timesteps, decay, gain, config) if spikes is None else spikes


class LIFOverTime(torch.autograd.Function):
    """All timesteps at once. Saved: the potentials before the spike, nothing else."""

    @staticmethod
    def forward(ctx: Any, currents: torch.Tensor, timesteps: int, decay: Leak, gain: Leak, config: LIFConfig) -> torch.Tensor:
        spikes, potentials = lif_forward(currents, timesteps, decay, gain, config)
        ctx.save_for_backward(potentials)
        ctx.decay, ctx.gain, ctx.config, ctx.held = decay, gain, config, len(currents) != timesteps
        return spikes

    @staticmethod
    def backward(ctx: Any, grad_spikes: torch.Tensor) -> tuple[torch.Tensor, None, torch.Tensor | None, torch.Tensor | None, None]:
        (potentials,) = ctx.saved_tensors
        learned = any(ctx.needs_input_grad[2:4])
        grad, leak = lif_backward(potentials, grad_spikes, ctx.decay, ctx.gain, ctx.config, held=ctx.held, learned=learned)
        grads = (None, None) if leak is None else (leak[0], (leak[1] - ctx.decay * leak[0]) / ctx.gain)
        grad_decay, grad_gain = (g if needed else None for g, needed in zip(grads, ctx.needs_input_grad[2:4]))
        return grad, None, grad_decay, grad_gain, None


Leak = float | torch.Tensor
"""Decay or gain; a tensor without dimensions where it is learned."""


def lif_forward(currents: torch.Tensor, timesteps: int, decay: Leak, gain: Leak, config: LIFConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Spikes and potentials before them, `(timesteps, *shape)`, of currents `(timesteps, *shape)`,
    or `(1, *shape)` if held.
    """
    if kernels := triton_kernels("lif", currents, config.surrogate.kind):
        return kernels.lif_forward(currents, timesteps, decay, gain, config)
    decay, gain = float(decay), float(gain)
    potentials = empty_over_time(currents, timesteps)
    spikes = torch.empty_like(potentials)
    v = torch.zeros_like(potentials[0])
    for t, (h, s) in enumerate(zip(potentials, spikes)):
        torch.mul(v, decay, out=h).add_(_at(currents, t), alpha=gain)
        _fire(h, config, out=s)
        _reset(h, s, config, out=v)
    return spikes, potentials


def lif_backward(
    potentials: torch.Tensor, grad_spikes: torch.Tensor, decay: Leak, gain: Leak, config: LIFConfig, *, held: bool, learned: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The currents' gradient, one timestep large if held; where the leak is learned also the sums
    of G_h v and G_h h, `(2,)`.
    """
    if kernels := triton_kernels("lif", potentials, config.surrogate.kind):
        return kernels.lif_backward(potentials, grad_spikes, decay, gain, config, held=held, learned=learned)
    decay, gain = float(decay), float(gain)
    grad = torch.zeros_like(potentials[:1]) if held else torch.empty_like(potentials)
    grad_v, scratch = torch.zeros_like(potentials[0]), torch.empty_like(potentials[0])
    leak = potentials.new_zeros(2) if learned else None
    for t in reversed(range(len(potentials))):
        grad_h = _potential_gradient(potentials[t], grad_spikes[t], grad_v, config, scratch)
        if leak is not None:
            leak[0] += (grad_h * _rest(potentials[t - 1], config)).sum() if t else 0
            leak[1] += (grad_h * potentials[t]).sum()
        if held:
            grad[0].add_(grad_h, alpha=gain)
        else:
            torch.mul(grad_h, gain, out=grad[t])
        torch.mul(grad_h, decay, out=grad_v)
    return grad, leak


def recurrent_lif(
    currents: torch.Tensor, timesteps: int, leak: tuple[Leak, Leak], config: LIFConfig, back: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Spikes `(timesteps, N, *shape)` of neurons that send to themselves, step by step, by torch's
    own derivatives; currents as `base.Neuron` takes them.

    leak: decay and gain. back: from spikes `(N, *shape)` to the currents they make a timestep
    later.
    """
    decay, gain = leak
    v, spikes = torch.zeros_like(currents[0]), list[torch.Tensor]()
    for t in range(timesteps):
        current = _at(currents, t)
        h = decay * v + gain * (current + back(spikes[-1]) if spikes else current)
        s = config.surrogate.spike(h - config.threshold, strict=config.strict)
        held = s.detach() if config.detach_reset else s
        v = h * (1 - held) if config.reset == "zero" else h - config.threshold * held
        spikes.append(s)
    return torch.stack(spikes)


def _rest(h: torch.Tensor, config: LIFConfig) -> torch.Tensor:
    """The potential after the spike."""
    s = _fire(h, config, out=torch.empty_like(h))
    return _reset(h, s, config, out=s)


def _at(currents: torch.Tensor, t: int) -> torch.Tensor:
    return currents[t if len(currents) > 1 else 0]


def _fire(h: torch.Tensor, config: LIFConfig, out: torch.Tensor) -> torch.Tensor:
    return (torch.gt if config.strict else torch.ge)(h, config.threshold, out=out)


def _reset(h: torch.Tensor, s: torch.Tensor, config: LIFConfig, out: torch.Tensor) -> torch.Tensor:
    if config.reset == "zero":
        return torch.addcmul(h, h, s, value=-1, out=out)
    return torch.add(h, s, alpha=-config.threshold, out=out)


def _potential_gradient(
    h: torch.Tensor, grad_s: torch.Tensor, grad_v: torch.Tensor, config: LIFConfig, scratch: torch.Tensor
) -> torch.Tensor:
    """G_h of the module's docstring; overwrites grad_v and scratch.

    Masks are floats: bool tensors are several times slower on a CPU.
    """
    if not config.detach_reset:
        through_reset = h if config.reset == "zero" else config.threshold
        grad_s = grad_s - grad_v * through_reset
    if config.reset == "zero":
        grad_v.mul_((torch.le if config.strict else torch.lt)(h, config.threshold, out=scratch))
    sigma = config.surrogate.derivative_(torch.sub(h, config.threshold, out=scratch))
    return grad_v.addcmul_(sigma, grad_s)
