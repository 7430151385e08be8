"""A population's neurons over time: compiled 32-bit kernels where proven sufficient, else the
definition itself in PyTorch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from spikeport.export.model import registers as reg
from spikeport.export.model.network import Population
from spikeport.export.model.noise import MASK, integer_noise, mix
from spikeport.hw.engine.compiled.kernels import BIAS, KEEP_U, KEEP_V, NEURON, RESET, THRESHOLD, Switches, add_delivery, neuron_steps
from spikeport.hw.engine.delivery import Delivery
from spikeport.hw.engine.layout import order, per_neuron
from spikeport.hw.semantics.bounds import StateBound


@dataclass(eq=False)
class Trace:
    """What a population did for a batch: state `u`, `v` `(n, size)`; over time `(n, T, size)` uint8
    spikes and, if kept, int32 potentials; counts int64 `(n, T)`; events int64 `(connections, n,
    T)`; samples: absolute numbers, `(n,)`.
    """

    samples: np.ndarray
    u: torch.Tensor
    v: torch.Tensor
    spikes: torch.Tensor
    potentials: torch.Tensor | None
    counts: torch.Tensor
    events: torch.Tensor
    overflows: int = 0


class Neurons(ABC):
    """Common to both: makes traces. fan_out: int64 `(connections, *shape)` of the outgoing
    connections. kind: what computes them.
    """

    kind: str

    def __init__(self, population: Population, fan_out: np.ndarray, device: torch.device) -> None:
        self.population, self.neuron, self.device = population, population.neuron, device
        self.order = order(population.shape)
        self.fan_out = fan_out.reshape(len(fan_out), population.size)[:, self.order]

    def trace(self, samples: np.ndarray, steps: int, potentials: bool) -> Trace:
        """A batch at rest."""
        n, size = len(samples), self.population.size

        def zeros(*shape: int, dtype: torch.dtype) -> torch.Tensor:
            return torch.zeros(shape, dtype=dtype, device=self.device)

        def empty(*shape: int, dtype: torch.dtype) -> torch.Tensor:
            return torch.empty(shape, dtype=dtype, device=self.device)

        return Trace(
            samples,
            u=self._at_rest(n),
            v=self._at_rest(n),
            spikes=empty(n, steps, size, dtype=torch.uint8),
            potentials=empty(n, steps, size, dtype=torch.int32) if potentials else None,
            counts=zeros(n, steps, dtype=torch.int64),
            events=zeros(len(self.fan_out), n, steps, dtype=torch.int64),
        )

    @abstractmethod
    def _at_rest(self, n: int) -> torch.Tensor:
        """State of n samples, `(n, size)`."""

    @abstractmethod
    def advance(self, trace: Trace, deliveries: Sequence[Delivery], first: int, last: int) -> None:
        """Timesteps first..last-1 with the given incoming deliveries."""


class CompiledNeurons(Neurons):
    """32-bit arithmetic in one compiled pass, on the CPU."""

    kind = "compiled int32"

    def __init__(self, population: Population, fan_out: np.ndarray, bound: StateBound) -> None:
        super().__init__(population, fan_out, torch.device("cpu"))
        neuron, shape = self.neuron, population.shape
        subtract = neuron.reset == "subtract"
        leaves = {"zero": 0 * neuron.reset_value, "value": neuron.reset_value, "subtract": -neuron.reset_value}[neuron.reset]
        rows = {
            KEEP_U: reg.DU_NO_MEMORY - neuron.du,
            KEEP_V: reg.DECAY_UNITY - neuron.dv,
            THRESHOLD: neuron.threshold << reg.STATE_SHIFT,
            BIAS: neuron.bias,
            RESET: leaves << reg.STATE_SHIFT,
            NEURON: np.arange(population.size).reshape(shape),
        }
        self.registers = np.stack([per_neuron(rows[row], shape) for row in range(len(rows))])
        self.reach = self.fan_out.astype(np.int16 if self.fan_out.max(initial=0) < 1 << 15 else np.int32)
        self.switches = Switches(
            memory=bool((neuron.du != reg.DU_NO_MEMORY).any()) or not bound.u_excluded,
            checked=not bound.v_excluded,
            subtract=np.int32(-1 if subtract else 0),
            spiking=neuron.spiking,
            gaussian=neuron.noise is not None and neuron.noise.kind == "gaussian",
            amplitude=int(neuron.noise.amplitude) if neuron.noise else 0,
        )

    def _at_rest(self, n: int) -> torch.Tensor:
        # memory only: the kernel clears it at timestep 0, block by block
        return torch.empty(n, self.population.size, dtype=torch.int32)

    def advance(self, trace: Trace, deliveries: Sequence[Delivery], first: int, last: int) -> None:
        if len(deliveries) == 1 and deliveries[0].start <= first:
            total, start, exponent = deliveries[0].total.numpy(), deliveries[0].start, deliveries[0].exponent
        else:
            total, start, exponent = self._summed(trace, deliveries, first, last), first, 0
        potentials = np.empty((0, 0, 0), np.int32) if trace.potentials is None else trace.potentials.numpy()
        trace.overflows += neuron_steps(
            np.ascontiguousarray(total),
            start,
            (np.int32(max(-exponent, 0)), np.int32(1 << (max(exponent, 0) + reg.STATE_SHIFT))),
            first,
            last,
            trace.u.numpy(),
            trace.v.numpy(),
            self.registers,
            self.reach,
            self.switches,
            self._noise_keys(trace.samples, last),
            trace.spikes.numpy(),
            potentials,
            trace.counts.numpy(),
            trace.events.numpy(),
        )

    def _summed(self, trace: Trace, deliveries: Sequence[Delivery], first: int, last: int) -> np.ndarray:
        current = np.zeros((len(trace.samples), last - first, self.population.size), np.int32)
        for delivery in deliveries:
            add_delivery(np.ascontiguousarray(delivery.total.numpy()), delivery.start, delivery.exponent, first, current)
        return current

    def _noise_keys(self, samples: np.ndarray, steps: int) -> np.ndarray:
        """What the generator knows before the neuron's number: uint32 `(n, steps)`, or empty
        without noise.
        """
        if self.neuron.noise is None:
            return np.empty((0, 0), np.uint32)
        seed = mix(np.full(1, self.neuron.noise.seed & MASK, np.int64))
        return mix(mix(seed ^ samples)[:, None] ^ np.arange(steps)).astype(np.uint32)


class TorchNeurons(Neurons):
    """The definition, `spikeport.hw.semantics.reference`, in 64-bit PyTorch: any device, any
    overflow.
    """

    kind = "PyTorch int64"

    def __init__(self, population: Population, fan_out: np.ndarray, device: torch.device) -> None:
        super().__init__(population, fan_out, device)
        neuron, shape = self.neuron, population.shape

        def register(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(per_neuron(values, shape)).to(device, torch.int64)

        self.keep_u, self.keep_v = register(reg.DU_NO_MEMORY - neuron.du), register(reg.DECAY_UNITY - neuron.dv)
        self.threshold, self.bias = register(neuron.threshold) << reg.STATE_SHIFT, register(neuron.bias)
        self.reset_value = register(neuron.reset_value) << reg.STATE_SHIFT
        self.reach = torch.from_numpy(self.fan_out.T.copy()).to(device, torch.float64)

    def _at_rest(self, n: int) -> torch.Tensor:
        return torch.zeros(n, self.population.size, dtype=torch.int64, device=self.device)

    def advance(self, trace: Trace, deliveries: Sequence[Delivery], first: int, last: int) -> None:
        for t in range(first, last):
            a, lost = self._received(trace.v, deliveries, t)
            lost |= self._step(trace, a, self._noise(trace.samples, t), t)
            trace.overflows += int(lost.sum())
            if trace.potentials is not None:
                trace.potentials[:, t] = trace.v
            trace.counts[:, t] = trace.spikes[:, t].sum(1, dtype=torch.int64)
            trace.events[:, :, t] = (trace.spikes[:, t].to(torch.float64) @ self.reach).T

    def _received(self, like: torch.Tensor, deliveries: Sequence[Delivery], t: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Wrapped sum of the deliveries, and where one of them left its width."""
        a, lost = torch.zeros_like(like), torch.zeros_like(like, dtype=torch.bool)
        for delivery in deliveries:
            if t >= delivery.start:
                value = delivery.at(t) << delivery.exponent if delivery.exponent >= 0 else delivery.at(t) >> -delivery.exponent
                lost |= value.abs() >= reg.STATE_LIMIT
                a += wrap(value, delivery.bits)
        return wrap(a, 32), lost

    def _step(self, trace: Trace, a: torch.Tensor, noise: torch.Tensor | int, t: int) -> torch.Tensor:
        """One timestep; returns where something overflowed."""
        kept, added = decayed(trace.u, self.keep_u), a << reg.STATE_SHIFT
        raw = wrap(kept + wrap(added, 32), 32)
        u = torch.where(raw > reg.STATE_LIMIT, raw - 2 * reg.STATE_LIMIT, raw)
        trace.u = torch.where(raw <= -reg.STATE_LIMIT, raw + 2 * reg.STATE_LIMIT, u)
        moved = decayed(trace.v, self.keep_v) + trace.u + self.bias + noise
        v = moved.clamp(1 - reg.STATE_LIMIT, reg.STATE_LIMIT - 1)
        spikes = v > self.threshold
        trace.v, trace.spikes[:, t] = torch.where(spikes, self._after_reset(v), v), spikes
        lost = ((kept + added).abs() >= reg.STATE_LIMIT) | (moved.abs() >= reg.STATE_LIMIT)
        return lost if self.neuron.spiking else lost | spikes

    def _after_reset(self, v: torch.Tensor) -> torch.Tensor:
        if self.neuron.reset == "subtract":
            return (v - self.reset_value).clamp(1 - reg.STATE_LIMIT, reg.STATE_LIMIT - 1)
        return self.reset_value.expand_as(v) if self.neuron.reset == "value" else torch.zeros_like(v)

    def _noise(self, samples: np.ndarray, t: int) -> torch.Tensor | int:
        noise = self.neuron.noise
        if noise is None:
            return 0
        return torch.from_numpy(integer_noise(noise, samples, t, self.population.size)[:, self.order]).to(self.device)


def wrap(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Two's complement wrap-around of int64 to a width."""
    half = 1 << (bits - 1)
    return ((x + half) & ((1 << bits) - 1)) - half


def decayed(state: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """`state * keep / 4096`, rounded toward zero."""
    product = state * keep
    return product.sign() * (product.abs() >> reg.DECAY_SHIFT)
