"""Where data enters a network: what its values mean, and the integers that are sent for them.

Imports numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.model import registers as reg
from spikeport.export.model.neuron import check_choice
from spikeport.export.model.synapse import Shape

InputCode: TypeAlias = Literal["direct", "rate", "latency", "events"]
CODES = ("direct", "rate", "latency", "events")
RATE_STEPS = 1 << reg.RATE_BITS
"""Steps from an intensity of 0, which never spikes, to 1, which always does."""


@dataclass(frozen=True)
class Input:
    """Where data enters.

    A value x is level `rint(x / scale)`, saturated to `low..high`; level - offset is sent, and each
    unit of it counts `scale`.

    What is sent is a graded spike; `low, high = 0, 1` without offset means plain binary spikes.
    code says how data became levels: "direct" (the value itself at every step), "latency" (time to
    first spike), "events" (event counts per step), or "rate": at every step a spike with
    probability x / scale, drawn in integers from a counter (`spikeport.export.model.noise`) of
    `seed`, sample, step and pixel, so the same for every batch, order and backend.

    offset: levels taken off each of the `shape[0]` channels, empty for none. It centres images on
    their mean (in whole levels, so that nothing is rounded), and zero padding then means that mean
    wherever the network runs.
    """

    name: str
    shape: Shape
    scale: float = 1.0
    low: int = 0
    high: int = 1
    code: InputCode = "direct"
    offset: tuple[int, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("input code", self.code, CODES)
        if self.offset and len(self.offset) != self.shape[0]:
            raise InputError(f"input offset has {len(self.offset)} values for {self.shape[0]} channels; give one each, or none")
        if self.code == "rate" and not self.binary:
            raise InputError(f"input of code rate sends spikes; its range is 0..1 without offset, got {self.low}..{self.high}")
        limit = 1 << (reg.GRADED_BITS_MAX - 1)
        if not (self.low <= 0 < self.high and all(self.low <= k <= self.high for k in self.offset)):
            raise InputError(f"input range {self.low}..{self.high} must hold 0 and the offset of every channel")
        if not -limit <= self.sent[0] <= self.sent[1] < limit:
            raise InputError(f"input sends {self.sent[0]}..{self.sent[1]}, which must fit {reg.GRADED_BITS_MAX} bits")
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise InputError(f"input scale {self.scale} must be a positive number")

    @property
    def binary(self) -> bool:
        """Whether the input carries plain spikes, no graded values."""
        return (self.low, self.high) == (0, 1) and not self.offset

    @property
    def sent(self) -> tuple[int, int]:
        """Smallest and largest integer that is sent, of all channels."""
        return self.low - max(self.offset, default=0), self.high - min(self.offset, default=0)

    @property
    def offsets(self) -> np.ndarray:
        """`offset`, zeros for none, int32, shaped to broadcast against `(..., *shape)`."""
        return np.array(self.offset or (0,), np.int32).reshape(-1, *(1,) * (len(self.shape) - 1))

    @property
    def resolution(self) -> float:
        """Smallest change of a value that changes what is sent, or how often."""
        return self.scale / RATE_STEPS if self.code == "rate" else self.scale

    def levels(self, values: np.ndarray) -> np.ndarray:
        """Values in whole steps of the resolution, rounded half to even and saturated, int32:
        levels, or intensities of a rate code.
        """
        steps = RATE_STEPS if self.code == "rate" else 1
        with np.errstate(over="ignore"):  # saturated like any other value beyond the range
            return np.clip(np.rint(values / self.scale * steps), self.low * steps, self.high * steps).astype(np.int32)

    def rounded(self, values: np.ndarray) -> np.ndarray:
        """The values that are sent in place of these."""
        return self.levels(values) * self.resolution
