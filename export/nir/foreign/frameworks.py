"""What the frameworks that write NIR mean by it, as data: what their files do not say, and what
they cannot say at all.

Each entry was checked against files of the version named in docs/interop.md; the reasons stand
there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from spikeport.export.model.network import NOMINAL_DT, Integrator

FloatReset: TypeAlias = Literal["zero", "subtract"]


@dataclass(frozen=True)
class Framework:
    """The habit of one framework; None: it has none, or loses it on export, so that the user must
    say it.

    dt: the length of a timestep in the unit of the file's time constants. seconds: what a timestep
    lasts, where that unit is not seconds. short_dt: the one to take instead where a time constant
    is
    shorter than dt. dt_fixed: its exporter always computes with this dt, so that dt / tau is the
    network's own, however large.
    strict: fires on v > threshold, else on v >= threshold. reset_delay: see `dynamics.Meaning`.
    multi_spike: fires several times in a
    step. batch_axis: the shapes it writes may start with a batch axis of 1. lost: what its files
    cannot carry, in words.
    """

    dt: float | None = None
    integrator: Integrator | None = None
    reset: FloatReset | None = None
    short_dt: float | None = None
    dt_fixed: bool = False
    strict: bool = True
    reset_delay: bool | None = None
    multi_spike: bool = False
    batch_axis: bool = False
    seconds: float | None = None
    lost: tuple[str, ...] = ()


FRAMEWORKS: dict[str, Framework] = {
    "snntorch": Framework(
        dt=1e-4,
        integrator="euler",
        reset="subtract",
        dt_fixed=True,
        reset_delay=True,
        batch_axis=True,
        lost=(
            "reset_mechanism (subtract, zero, none) and reset_delay; state what your neurons use with --reset and --no-reset-delay",
            "inhibition, state_quant, graded_spikes_factor and the clamping of beta to 0..1",
        ),
    ),
    "norse": Framework(
        dt=1e-3,
        integrator="euler",
        reset="zero",
        short_dt=1e-6,
        seconds=1e-3,
        batch_axis=True,
        lost=(
            "dt; Norse 1.1 divides its time constants by it (1e-3 by default), so that one step is 1e-6 of the file's unit",
            "v_reset (0 is taken)",
        ),
    ),
    "sinabs": Framework(
        dt=1.0,
        seconds=NOMINAL_DT,
        integrator="exponential",
        reset="subtract",
        dt_fixed=True,
        strict=False,
        multi_spike=True,
        batch_axis=True,
        lost=(
            "spike_fn: several spikes a step are its default; --no-multi-spike for SingleSpike",
            "how long a timestep lasts: its time constants count timesteps; 1 ms is taken, --dt-seconds says otherwise",
            "reset_fn (subtraction by default), min_v_mem (a floor of the potential) and norm_input",
        ),
    ),
    "spikingjelly": Framework(
        dt=1e-4,
        integrator="euler",
        reset="zero",
        strict=False,
        lost=("v_reset=None (soft reset: state --reset subtract), decay_input, and dt where its exporter was given another",),
    ),
    "rockpool": Framework(
        integrator="impulse",
        reset="subtract",
        strict=False,
        multi_spike=True,
        batch_axis=True,
        lost=(
            "max_spikes_per_dt (no limit by default; --no-multi-spike for 1) and noise_std",
            "bias of LIFTorch and LIFNeuronTorch (written as 0) and recurrent weights (has_rec=True): such networks are others in the file",
        ),
    ),
    "lava-dl": Framework(
        integrator="euler",
        reset="zero",
        strict=False,
        lost=("dt (it has no exporter of its own), its quantization of weights and decays, and delays learned per neuron",),
    ),
    "spinnaker2": Framework(lost=("dt, integrator and reset, which its converter takes as arguments: state the same here",)),
}
"""Strictness, multi-spike and lateness are each framework's default; options of the command line
override every field.
"""
