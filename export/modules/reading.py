"""What a framework's neuron module means, in the terms of `FloatNeuron`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor, nn

from spikeport.export.common.errors import InputError
from spikeport.export.model.neuron import FiringRule, ResetKind
from spikeport.export.model.synapse import Shape

ZERO, ONE = np.zeros(()), np.ones(())


@dataclass(frozen=True, eq=False)
class Reading:
    """One neuron module. Arrays are float64 and broadcast against the neurons' shape.

    alpha, beta, threshold, reset, reset_value, firing, strict: as `FloatNeuron`. gain: multiplies
    what comes in, bias included.
    leak: added to the potential at every step. feedback: layer through which its own last spikes
    come back.
    self_weight: a synapse from each neuron to itself, one step later.
    membrane: the potential as the framework gives it is `beta v + x + membrane * spikes`, with the
    spikes `membrane_delay` steps old; None where it is no such sum, with the reason in
    `no_membrane`.
    """

    beta: np.ndarray
    threshold: np.ndarray
    alpha: np.ndarray = field(default_factory=lambda: ZERO)
    reset: ResetKind = "zero"
    reset_value: np.ndarray = field(default_factory=lambda: ZERO)
    firing: FiringRule = "single"
    strict: bool = True
    gain: np.ndarray = field(default_factory=lambda: ONE)
    leak: np.ndarray = field(default_factory=lambda: ZERO)
    feedback: nn.Module | None = None
    self_weight: np.ndarray | None = None
    membrane: np.ndarray | None = None
    membrane_delay: int = 1
    no_membrane: str = ""

    def with_gain(self, gain: np.ndarray) -> Reading:
        """The same neuron, with what comes in multiplied."""
        return replace(self, gain=gain)


def parameter(tensor: Tensor | float, shape: Shape, what: str) -> np.ndarray:
    """A parameter as float64, broadcasting against neurons of `shape`; a batch axis of length 1 is
    taken off.

    Raises:
        InputError: it does not broadcast.
    """
    values = np.asarray(tensor.detach().double().cpu().numpy() if isinstance(tensor, Tensor) else tensor, np.float64)
    while values.ndim > len(shape) and values.shape[0] == 1:
        values = values[0]
    try:
        fits = np.broadcast_shapes(values.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise InputError(f"{what} of shape {values.shape} does not fit neurons of shape {shape}; one for all, per channel or per neuron")
    return values
