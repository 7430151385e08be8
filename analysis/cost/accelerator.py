"""A conventional accelerator: what a product, an addition and a memory access cost, as a profile
with sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from spikeport.analysis.cost.devices import Price, read_profile, shipped
from spikeport.export.common.errors import InputError
from spikeport.hw.semantics.limits import Evidence

WORD = 64
PICO = 1e-12
KIB = 8 * 1024
"""Bits."""


@dataclass(frozen=True)
class Sram:
    """Picojoules for 64 bits over the size of a memory."""

    kib: tuple[float, ...]
    picojoules: tuple[float, ...]
    evidence: Evidence
    source: str
    scope: str

    def __post_init__(self) -> None:
        if not self.kib or len(self.kib) != len(self.picojoules) or list(self.kib) != sorted(self.kib) or min(self.picojoules) < 0:
            raise InputError("sram needs as many prices as sizes, sizes in rising order")


@dataclass(frozen=True)
class Range:
    """A number that is not a price, and how far it may lie from its value."""

    value: float
    low: float
    high: float
    evidence: Evidence
    source: str
    scope: str

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.value <= self.high:
            raise InputError(f"a range of {self.low} .. {self.high} does not hold {self.value}, or is not above 0")


@dataclass(frozen=True)
class Accelerator:
    """Prices of a machine for networks without spikes. on_chip, bank: KiB. reuse: products per
    value read. accumulator: bits.
    """

    name: str
    title: str
    note: str
    multiply: Price
    accumulate: Price
    sram: Sram
    dram: Price
    on_chip: Range
    reuse: Range
    bank: Range
    accumulator: Range

    def product(self, bits: int) -> float:
        """Joules of one multiply-accumulate of activations of so many bits with 8-bit weights."""
        return PICO * (self.multiply.value * bits / 8 + self.accumulate.value)

    def access(self, bits: float) -> float:
        """Joules for one bit from or to a memory of so many bits, in banks."""
        return PICO * float(np.interp(min(bits / KIB, self.bank.value), self.sram.kib, self.sram.picojoules)) / WORD

    def fetched(self, bits: float) -> float:
        """Joules of bringing so many bits from outside."""
        return PICO * self.dram.value * bits / WORD


@cache
def accelerator_named(name: str) -> Accelerator:
    """The one that ships, "int8", or the one in a TOML file, by path.

    Raises:
        InputError: there is none, or the file is no such profile.
    """
    if name != "int8" and not name.endswith(".toml"):
        raise InputError(f"accelerator {name!r} is unknown; choose int8, or give a profile of your own, A.toml")
    return read_profile(Accelerator, shipped(name) if name == "int8" else Path(name))
