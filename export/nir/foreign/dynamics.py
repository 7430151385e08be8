"""NIR's differential equations as one step per `dt`: what a neuron node of a foreign file means.

With S the sum of incoming signals, NIR says

    IF, I           v' = r S
    LIF, LI         tau v' = v_leak - v + r S
    CubaLIF, CubaLI tau_syn i' = -i + w_in S,   tau_mem v' = v_leak - v + r i
    Threshold       z = S > threshold, no memory

Over one step the drive is held, and the synaptic current is updated before the potential that it
drives. Each equation x' = (d - x) / tau becomes x <- k x + (1 - k) d with

    "euler"        k = 1 - dt / tau         forward Euler; needs dt <= tau
    "exponential"  k = exp(-dt / tau)       the exact solution for a held drive
    "impulse"       k = exp(-dt / tau), but the drive counts with dt / tau in place of 1 - k
    Rockpool

and x' = r d becomes x <- x + dt r d in all. So alpha = k(tau_syn), beta = k(tau_mem), the input is
multiplied by `gain = (1 - alpha) w_in * (1 - beta) r`, v_leak adds `(1 - beta) v_leak` to the
potential at every step, and a bias on the way in enters the synaptic current. NIR fires on v >
v_threshold. `reset="zero"` sets v to the file's v_reset (0 in files that have none),
`reset="subtract"` takes v_threshold - v_reset off. Lateness and several spikes a step: see
`Meaning`. Source: NIR paper (Pedersen et al. 2024), table 1, and nir 1.0.8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import Integrator
from spikeport.export.model.neuron import FiringRule, FloatNeuron, ResetKind, late_reset_value
from spikeport.export.nir.contents import Node
from spikeport.export.nir.foreign.flat import NodeError, numbers
from spikeport.export.nir.foreign.frameworks import FloatReset

INTEGRATORS = ("euler", "exponential", "impulse")
FLOAT_RESETS = ("zero", "subtract")
ZERO, ONE = np.zeros(()), np.ones(())
ROUNDING = 1e-6
"""dt may exceed tau by this fraction: float32 files store tau = dt inexactly."""


@dataclass(frozen=True)
class Dynamics:
    """One neuron node. gain: multiplies everything that comes in, the bias on the way in too.

    `neuron` has no such bias yet.
    """

    neuron: FloatNeuron
    gain: np.ndarray


@dataclass(frozen=True)
class Meaning:
    """What a NIR file does not say. dt: length of a timestep in the unit of the file's time
    constants, which NIR means to be seconds.

    seconds: what that is in seconds, where the file's unit is another; None where it is seconds. It
    changes no spike.
    strict: fires on v > v_threshold, as NIR has it; else on v >= v_threshold, as some frameworks
    that write NIR do.
    reset_delay: None for a reset at once. True and False are snnTorch's settings of that name.
    True: the threshold is subtracted a step later and undecayed; a reset to zero acts at once in
    its Leaky and a step later in its other neurons. False: at once, but a second spike waits while
    v stays above the threshold. multi_spike: fires floor(v / v_threshold) times in a step.
    """

    dt: float
    integrator: Integrator
    reset: FloatReset
    strict: bool = True
    reset_delay: bool | None = None
    multi_spike: bool = False
    seconds: float | None = None


def dynamics(node: Node, name: str, meaning: Meaning, *, recurrent: bool = False) -> Dynamics:
    """Turn a neuron node into one step per dt. recurrent: it is the neuron of a recurrent layer as
    snnTorch writes it.

    Raises:
        NodeError: a parameter is missing, NaN, not positive where it must be, or tau < dt under
            Euler.
    """
    kind = node["type"]
    if kind == "Threshold":
        memoryless = FloatNeuron(ZERO, ZERO, numbers(node, name, "threshold"), ZERO, strict=meaning.strict)
        return Dynamics(memoryless, ONE)
    cuba, spiking = kind.startswith("Cuba"), kind.endswith("F")
    alpha, synapse = _filter(node, name, "tau_syn", meaning) if cuba else (ZERO, ONE)
    w_in = numbers(node, name, "w_in", 1.0) if cuba else ONE
    r, leak = numbers(node, name, "r"), ZERO
    if kind in ("I", "IF"):
        beta, membrane = ONE, np.array(meaning.dt)
    else:
        beta, membrane = _filter(node, name, "tau_mem" if cuba else "tau", meaning)
        leak = np.asarray(membrane * numbers(node, name, "v_leak", 0.0))
    threshold = numbers(node, name, "v_threshold") if spiking else ZERO
    v_reset = numbers(node, name, "v_reset", 0.0) if spiking else ZERO
    late = bool(meaning.reset_delay) and meaning.reset == "subtract"
    reset, value = _reset(threshold, v_reset, meaning.reset)
    try:
        value = late_reset_value(value, beta) if spiking and late else value
        firing = _firing(meaning, compound=cuba or recurrent) if spiking else "single"
        neuron = FloatNeuron(alpha, beta, threshold, leak, reset, value, meaning.strict, spiking, firing=firing)
    except InputError as error:
        raise NodeError(name, str(error)) from None
    return Dynamics(neuron, np.asarray(synapse * w_in * membrane * r))


def _reset(threshold: np.ndarray, v_reset: np.ndarray, reset: FloatReset) -> tuple[ResetKind, np.ndarray]:
    if reset == "subtract":
        return "subtract", np.asarray(threshold - v_reset)
    return ("value" if v_reset.any() else "zero"), v_reset


def _firing(meaning: Meaning, *, compound: bool) -> FiringRule:
    """The rule of one neuron. compound: snnTorch's Synaptic, RLeaky or RSynaptic, whose late reset
    to zero blanks the next step.
    """
    if meaning.multi_spike:
        return "multiple"
    if meaning.reset_delay is False and meaning.reset == "subtract":
        return "deferred"
    return "refractory" if meaning.reset_delay and meaning.reset == "zero" and compound else "single"


def _filter(node: Node, name: str, key: str, meaning: Meaning) -> tuple[np.ndarray, np.ndarray]:
    """Fraction kept per step, and the drive's factor: 1 minus it, computed without cancellation, or
    dt / tau.
    """
    tau = numbers(node, name, key)
    if (tau <= 0).any():
        raise NodeError(name, f"{key} is {tau.min():g}; a time constant is positive")
    ratio = meaning.dt / tau
    if meaning.integrator == "impulse":
        return np.exp(-ratio), ratio
    if meaning.integrator == "exponential":
        return np.exp(-ratio), -np.expm1(-ratio)
    if (ratio > 1 + ROUNDING).any():
        raise NodeError(name, f"{key} is {tau.min():g}, below dt = {meaning.dt:g}; Euler needs dt <= {key} (check the unit of dt)")
    taken = np.minimum(ratio, 1.0)
    return 1 - taken, taken
