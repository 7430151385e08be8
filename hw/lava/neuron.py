"""The LIF that stock Lava lacks: soft reset, reset to a value, noise, silence between samples, a
readable potential.

On a chip: Loihi 2 runs it as neuron microcode (an extra subtraction or load at the spike; the noise
as its own few instructions of integer mixing, or the core's random generator, then with other bits;
the silence as a countdown; the potential as a graded spike). Loihi 1 has none of these. Plain
resets to zero use Lava's own `LIFReset` instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import AbstractPyLifModelFixed
from lava.proc.lif.process import LIF

from spikeport.export.model import registers as reg
from spikeport.export.model.noise import integer_noise


class StreamingLIF(LIF):
    """Lava's LIF for samples that follow each other, with every reset kind and noise.

    Beyond LIF's: period, depth, timesteps: u = v = 0 at row `depth` and every `period` rows after
    it; from `timesteps` rows later until the next reset the neuron rests at zero. reset,
    reset_value, noise: as in `IntegerNeuron`.
    first_sample: absolute number of the first sample, for the noise. lanes: samples side by side,
    along the first axis where there is more than one. v_out sends v after reset.
    """

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.v_out = OutPort(shape=params["shape"])


@implements(proc=StreamingLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyStreamingLif(AbstractPyLifModelFixed):
    """Lava's own fixed-point dynamics; only what happens around them is ours."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    v_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    vth: Any = LavaPyType(int, np.int32, precision=17)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.period, self.depth, self.timesteps = (proc_params[k] for k in ("period", "depth", "timesteps"))
        self.reset, self.noise, self.first_sample = (proc_params[k] for k in ("reset", "noise", "first_sample"))
        self.lanes = np.arange(proc_params["lanes"])
        self.reset_state = np.asarray(proc_params["reset_value"], np.int64) << reg.STATE_SHIFT

    def run_spk(self) -> None:
        current = self.a_in.recv()
        sample, step = divmod(self.time_step - 1 - self.depth, self.period)
        if step == 0 or step >= self.timesteps:
            self.u[:] = 0
            self.v[:] = 0
        spikes = np.zeros(self.v.shape, bool)
        if step < self.timesteps:
            spikes = self.integrate(current, sample, step)
        self.s_out.send(spikes)
        self.v_out.send(self.v)

    def integrate(self, current: np.ndarray, sample: int, step: int) -> np.ndarray:
        """One timestep of the neuron; returns its spikes."""
        self.scale_bias()
        if self.noise:
            samples = self.first_sample + sample * len(self.lanes) + self.lanes
            drawn = integer_noise(self.noise, samples, step, self.v.size // len(self.lanes))
            self.effective_bias: Any = self.effective_bias + drawn.reshape(self.v.shape)
        self.subthr_dynamics(current)
        spikes = self.v > np.left_shift(self.vth, self.vth_shift)
        self.reset_voltage(spikes)
        return spikes

    def reset_voltage(self, spike_vector: np.ndarray) -> None:
        """Zero, the reset value, or v less the reset value, within v's range."""
        target = self.v - self.reset_state if self.reset == "subtract" else self.reset_state * (self.reset == "value")
        limit = reg.STATE_LIMIT - 1
        self.v[:] = np.where(spike_vector, np.clip(target, -limit, limit), self.v)
