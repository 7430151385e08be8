"""Neurons in physical units and in Loihi's registers; the dynamics they share stand in
`spikeport.export.model.network`. Imports numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from spikeport.export.common.errors import InputError, unknown
from spikeport.export.model import registers as reg
from spikeport.export.model.frozen import frozen_array

ResetKind: TypeAlias = Literal["zero", "value", "subtract"]
RESETS = ("zero", "value", "subtract")
FiringRule: TypeAlias = Literal["single", "multiple", "refractory", "deferred"]
FIRING_RULES = ("single", "multiple", "refractory", "deferred")


@dataclass(frozen=True)
class Noise:
    """Bounded noise added to the membrane potential, from a counter-based generator
    (`spikeport.export.model.noise`).

    kind: "uniform" on [-amplitude, amplitude), or "gaussian", the sum of four uniform bytes,
    bounded by the same amplitude, standard deviation 0.289 * amplitude. amplitude: physical in a
    float neuron, state units in an integer one.
    """

    kind: Literal["uniform", "gaussian"]
    amplitude: float
    seed: int


@dataclass(frozen=True, eq=False)
class FloatNeuron:
    """A neuron in physical units. Arrays are float64 and broadcast against the population's shape.

    alpha, beta: fraction of synaptic current and membrane potential kept per timestep.
    strict: fires on v > threshold, else on v >= threshold. spiking False: a readout that never
    fires. bias enters the membrane potential; current_bias enters the synaptic current (NIR's
    affine bias ahead of a CubaLIF).

    A reset that acts one step late and undecayed, v[t+1] = beta v[t] + x[t+1] - theta s[t]
    (snnTorch's default), is the same as `reset="subtract"` with `reset_value = theta / beta` (beta
    > 0): see `late_reset_value`.

    firing: how often a neuron fires. "single": once where v passes the threshold, as a chip does;
    the only rule that is quantized. "multiple": floor(v / threshold) spikes in one step, each reset
    for itself (Sinabs). "refractory": v is held at 0 in the step after a spike, whatever arrives
    (snnTorch's late reset to zero in Synaptic, RLeaky and RSynaptic). "deferred": the threshold
    counts twice in a step that starts with v still above it (snnTorch's reset by subtraction with
    `reset_delay=False`).
    """

    alpha: np.ndarray
    beta: np.ndarray
    threshold: np.ndarray
    bias: np.ndarray
    reset: ResetKind = "zero"
    reset_value: np.ndarray = field(default_factory=lambda: frozen_array(0.0))
    strict: bool = True
    spiking: bool = True
    noise: Noise | None = None
    current_bias: np.ndarray = field(default_factory=lambda: frozen_array(0.0))
    firing: FiringRule = "single"

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "threshold", "bias", "reset_value", "current_bias"):
            array = frozen_array(getattr(self, name), np.float64)
            if not np.isfinite(array).all():
                raise InputError(f"neuron parameter {name} holds NaN or infinity; every parameter must be finite")
            object.__setattr__(self, name, array)
        check_choice("reset", self.reset, RESETS)
        check_choice("firing", self.firing, FIRING_RULES)
        if self.firing == "multiple" and not (self.threshold > 0).all():
            raise InputError("a neuron that may fire several times in a step needs a threshold above 0")


def late_reset_value(threshold: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """What to take off at once, so that a decay later the threshold is missing: threshold / beta,
    float64.

    Raises:
        InputError: beta is 0 somewhere; such a neuron forgets all but the late reset, which no
            reset of its own can do.
    """
    if not (np.asarray(beta) > 0).all():
        raise InputError("a reset that acts one step late needs beta > 0; a neuron with beta = 0 keeps nothing to reset")
    return np.asarray(np.asarray(threshold, np.float64) / beta)


@dataclass(frozen=True, eq=False)
class IntegerNeuron:
    """A neuron in Loihi's registers. Arrays are int32 and broadcast against the population's shape.

    du, dv: decay of current and potential in 1/4096; threshold and reset_value: mantissas in weight
    units (64 state units);
    bias: `bias_mantissa << bias_exponent` state units, added at every step. noise amplitude: state
    units.
    """

    du: np.ndarray
    dv: np.ndarray
    threshold: np.ndarray
    bias_mantissa: np.ndarray
    bias_exponent: int = 6
    reset: ResetKind = "zero"
    reset_value: np.ndarray = field(default_factory=lambda: frozen_array(0, np.int32))
    spiking: bool = True
    noise: Noise | None = None

    def __post_init__(self) -> None:
        ranges = {
            "du": (-1, reg.DU_NO_MEMORY),
            "dv": (0, reg.DECAY_UNITY),
            "threshold": (0, reg.THRESHOLD_MAX),
            "bias_mantissa": (reg.BIAS_MANTISSA_MIN, reg.BIAS_MANTISSA_MAX),
            "bias_exponent": (0, reg.BIAS_EXPONENT_MAX),
            "reset_value": (-reg.THRESHOLD_MAX, reg.THRESHOLD_MAX),
        }
        for name, (low, high) in ranges.items():
            array = np.asarray(getattr(self, name))
            if array.dtype.kind not in "iu":
                raise InputError(f"neuron register {name} must be integer, got {array.dtype}")
            if array.size and (array.min() < low or array.max() > high):
                raise InputError(f"neuron register {name} spans {array.min()}..{array.max()}, outside the chip's {low}..{high}")
            if name != "bias_exponent":
                object.__setattr__(self, name, frozen_array(array, np.int32))
        check_choice("reset", self.reset, RESETS)

    @property
    def bias(self) -> np.ndarray:
        """Effective bias in state units, int32."""
        return self.bias_mantissa << self.bias_exponent

    @property
    def keep_current(self) -> np.ndarray:
        """Synaptic current kept per timestep, in 1/4096, int64; the chip adds 1 to du."""
        return reg.DECAY_UNITY - (self.du.astype(np.int64) + 1)

    @property
    def keep_potential(self) -> np.ndarray:
        """Membrane potential kept per timestep, in 1/4096, int64."""
        return reg.DECAY_UNITY - self.dv.astype(np.int64)

    @property
    def remembers_current(self) -> bool:
        """Whether any synaptic current outlasts its timestep."""
        return bool(self.keep_current.any())


def check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise unknown(what, value, choices)
