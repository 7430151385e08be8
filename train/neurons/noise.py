"""Noise single-step (Jiang and Zhang 2022): train at T = 1 with noise in place of the past, then
unfold to any T.

With z a bounded random number (below), V = 0 at the start, and a membrane that resets to zero:

    step 1, 2   H = W x + beta + z / 2                              every timestep a copy of the one that was trained
    step 3      H = W x + N(lambda V) + (1/2 - 1/alpha) z           potential before the spike, S =
    H > threshold
                N(A) = (A - mu) / (alpha max|A - mu|) + beta        equations 7 to 9; sigma cancels

mu and max are taken over the layer at each timestep. Open in the paper, and read so here: N' has
mean zero and the range that N(lambda V) leaves of [beta - 1/2, beta + 1/2], so it vanishes at alpha
= 2 as section 3.3 says; where all of A is equal (t = 1) the noise of step 1 is used. The paper's
noise is Gaussian "in the range [0, 1]", which beta + z / 2 is here: z has the bell-shaped or
uniform distribution on -1..1 of the chip's generator, in training too
(`train.neurons.noise_draws`). (Versions before divided a normal distribution by its largest
magnitude in the layer, whose deviation falls with layer and batch; the chip's noise was 1.2 to 1.6
times as strong.)

For deployment mu and max become constants (`calibrating`): N(lambda V) = slope V + offset at every
timestep, the first included, and z comes from the chip's counter-based generator, with the same
distribution.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import nn

from spikeport.export.common.errors import InputError, unknown
from spikeport.export.model.network import FloatNeuron
from spikeport.export.model.network import Noise as ChipNoise
from spikeport.train.neurons.base import LoweredNeuron, Neuron, NeuronConfig, empty_over_time
from spikeport.train.neurons.dispatch import compiled_lif, has_loops
from spikeport.train.neurons.noise_draws import NoiseKind, noise_like
from spikeport.train.neurons.stbp import LIFConfig, lif_over_time
from spikeport.train.neurons.surrogates import Surrogate

Conversion = Literal["ensemble", "temporal", "calibrated"]
CONVERSIONS = ("ensemble", "temporal", "calibrated")


@dataclass(frozen=True, kw_only=True)
class NoiseConfig(NeuronConfig):
    """alpha: share of the potential's range, 2 (no new noise) or more. beta: mean of the noise.
    decay: lambda.
    """

    noise: NoiseKind = "gaussian"
    alpha: float = 4.0
    beta: float = 0.5
    decay: float = 0.5
    threshold: float = 1.0
    surrogate: Surrogate = field(default_factory=Surrogate)

    def __post_init__(self) -> None:
        if self.noise not in ("gaussian", "uniform"):
            raise InputError(f"noise {self.noise!r} is unknown; choose gaussian or uniform")
        if not (self.alpha >= 2 and 0 < self.decay <= 1 and self.threshold > 0):
            raise InputError("a noise neuron needs alpha >= 2, decay in 0..1 and a positive threshold")

    def build(self) -> NoiseNeuron:
        """A neuron layer."""
        return NoiseNeuron(self)


class Membrane(NamedTuple):
    """What the past adds to a timestep's current: slope * V + offset + amplitude * z."""

    slope: float
    offset: float
    amplitude: float


class NoiseNeuron(Neuron):
    """A layer of `NoiseConfig` neurons. conversion: how far the paper's steps go in evaluation;
    training is always step 1.

    mean, peak: the frozen mu and max|A - mu|, NaN until calibrated. Left to itself, a neuron is
    "calibrated" once it can be.
    """

    mean: torch.Tensor
    peak: torch.Tensor

    def __init__(self, config: NoiseConfig) -> None:
        super().__init__()
        self.config = config
        self.conversion: Conversion | None = None
        self.seen: list[tuple[float, float]] | None = None
        self.register_buffer("mean", torch.tensor(float("nan")))
        self.register_buffer("peak", torch.tensor(float("nan")))

    def forward(self, currents: torch.Tensor, timesteps: int) -> torch.Tensor:
        """See `Neuron`; the output is 0 or 1. Noise is drawn from torch's generator."""
        past = self._constant_membrane()
        if past is None:
            return _NoisyOverTime.apply(currents, timesteps, self)
        return lif_over_time(self._with_noise(currents, timesteps, past), timesteps, past.slope, 1.0, self._lif)

    def pooled(self, currents: torch.Tensor, timesteps: int, size: int) -> torch.Tensor | None:
        """See `Neuron`."""
        past = self._constant_membrane()
        if past is None or not has_loops(currents, self.config.surrogate.kind):
            return None
        return compiled_lif(self._with_noise(currents, timesteps, past), timesteps, past.slope, 1.0, self._lif, size)

    @property
    def _lif(self) -> LIFConfig:
        return LIFConfig(threshold=self.config.threshold, surrogate=self.config.surrogate)

    def membrane(self, v: torch.Tensor) -> Membrane:
        """The past's part at this potential, with the statistics of its timestep."""
        c = self.config
        mean = c.decay * v.mean().item()
        peak = (c.decay * v - mean).abs().max().item()
        if peak > 0:
            if self.seen is not None:
                self.seen.append((mean, peak))
            return self._affine(mean, peak)
        return self._pure_noise

    def _constant_membrane(self) -> Membrane | None:
        """The past's part where it is the same at every timestep: all but step 3 with the
        statistics of each.
        """
        conversion = "ensemble" if self.training else self.conversion or self._ready
        if conversion == "calibrated":
            return self._affine(self.mean.item(), self.peak.item())
        return self._pure_noise if conversion == "ensemble" else None

    def _with_noise(self, currents: torch.Tensor, timesteps: int, past: Membrane) -> torch.Tensor:
        """Currents with all that the past adds to them but slope * V; a LIF neuron does the rest."""
        currents = currents + past.offset
        if not past.amplitude:
            return currents
        noise = empty_over_time(currents, timesteps)
        for part in noise:
            part.copy_(self.draw(part))
        return torch.add(currents, noise, alpha=past.amplitude)

    @property
    def _pure_noise(self) -> Membrane:
        return Membrane(0.0, self.config.beta, 0.5)

    @property
    def _ready(self) -> Conversion:
        return "calibrated" if torch.isfinite(self.peak) else "ensemble"

    def _affine(self, mean: float, peak: float) -> Membrane:
        c = self.config
        return Membrane(c.decay / (c.alpha * peak), c.beta - mean / (c.alpha * peak), 0.5 - 1 / c.alpha)

    def draw(self, like: torch.Tensor) -> torch.Tensor:
        """z: random numbers in -1..1."""
        return noise_like(like, self.config.noise)

    def lowered(self) -> LoweredNeuron:
        """The calibrated neuron.

        Raises:
            InputError: not calibrated.
        """
        if not torch.isfinite(self.peak):
            raise InputError("a network of noise neurons must be calibrated before it is lowered (train.neurons.noise.calibrating)")
        c, m = self.config, self._affine(self.mean.item(), self.peak.item())
        neuron = FloatNeuron(
            alpha=np.array(0.0),
            beta=np.array(m.slope),
            threshold=np.array(c.threshold),
            bias=np.array(m.offset),
            noise=ChipNoise(c.noise, m.amplitude, 0) if m.amplitude else None,
        )
        return LoweredNeuron(neuron=neuron)

    def extra_repr(self) -> str:
        return f"{self.config}, conversion={self.conversion}"


class _NoisyOverTime(torch.autograd.Function):
    """Step 3 with the statistics of each timestep, which count as constants in the backward pass.

    Saved: the potentials before the spike.
    """

    @staticmethod
    def forward(ctx: Any, currents: torch.Tensor, timesteps: int, layer: NoiseNeuron) -> torch.Tensor:
        potentials = currents.new_empty(timesteps, *currents.shape[1:])
        spikes = torch.empty_like(potentials)
        v = torch.zeros_like(potentials[0])
        ctx.slopes, ctx.config, ctx.held = [], layer.config, len(currents) != timesteps
        for t, (h, s) in enumerate(zip(potentials, spikes)):
            past = layer.membrane(v)
            torch.mul(v, past.slope, out=h).add_(currents[t if len(currents) > 1 else 0]).add_(past.offset)
            if past.amplitude:
                h.add_(layer.draw(h), alpha=past.amplitude)
            torch.gt(h, layer.config.threshold, out=s)
            torch.addcmul(h, h, s, value=-1, out=v)
            ctx.slopes.append(past.slope)
        ctx.save_for_backward(potentials)
        return spikes

    @staticmethod
    def backward(ctx: Any, grad_spikes: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (potentials,) = ctx.saved_tensors
        config: NoiseConfig = ctx.config
        grad = torch.empty_like(potentials)
        grad_v = torch.zeros_like(potentials[0])
        for t in reversed(range(len(potentials))):
            grad_v.masked_fill_(potentials[t] > config.threshold, 0)
            sigma = config.surrogate.derivative_(potentials[t] - config.threshold)
            torch.addcmul(grad_v, sigma, grad_spikes[t], out=grad[t])
            torch.mul(grad[t], ctx.slopes[t], out=grad_v)
        return (grad.sum(0, keepdim=True) if ctx.held else grad), None, None


def noise_layers(module: nn.Module) -> list[NoiseNeuron]:
    """All noise neurons of a network, in order."""
    return [layer for layer in module.modules() if isinstance(layer, NoiseNeuron)]


def forget_calibration(module: nn.Module) -> None:
    """Before weights change again."""
    for layer in noise_layers(module):
        layer.mean.fill_(float("nan"))
        layer.peak.fill_(float("nan"))


def convert(module: nn.Module, conversion: Conversion) -> None:
    """Take a trained network to one of the paper's steps: "ensemble" (2), "temporal" (3), or
    "calibrated" (3, frozen).

    Raises:
        InputError: unknown step, or calibrated before `calibrating`.
    """
    if conversion not in CONVERSIONS:
        raise unknown("conversion", conversion, CONVERSIONS)
    for layer in noise_layers(module):
        if conversion == "calibrated" and not torch.isfinite(layer.peak):
            raise InputError("a network of noise neurons must be calibrated first (train.neurons.noise.calibrating)")
        layer.conversion = conversion


@contextmanager
def calibrating(module: nn.Module) -> Iterator[None]:
    """Freeze the statistics: run data through the network inside; afterwards its neurons are
    "calibrated".

    mu and max become their means over timesteps (after the first) and batches of step 3.
    """
    convert(module, "temporal")
    layers = noise_layers(module)
    for layer in layers:
        layer.seen = []
    try:
        yield
        for layer in layers:
            if not layer.seen:
                raise InputError("nothing to calibrate noise neurons with; run at least 2 timesteps of data")
            mean, peak = np.mean(layer.seen, axis=0)
            layer.mean.fill_(mean)
            layer.peak.fill_(peak)
    finally:
        for layer in layers:
            layer.seen = None
    convert(module, "calibrated")
