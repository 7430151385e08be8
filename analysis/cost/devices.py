"""Hardware profiles: what each event costs in energy and time, with the source and the kind of evidence behind every number.

A term that a profile has no price for is named in the result, never counted as free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from spikeport.export.common.errors import InputError
from spikeport.hw.mapping.encoding import EVENT_NANOSECONDS
from spikeport.hw.semantics.limits import CHIPS, Chip

Evidence = Literal["measured", "fitted", "simulated", "scaled", "assumed"]
"""On silicon; fitted to silicon by a simulator; simulated before silicon; scaled from another chip; assumed here."""

DENSE, CONVOLUTION, SPARSE = "synaptic event, dense", "synaptic event, convolution", "synaptic event, sparse"
GRADED = "graded multiply-accumulate"
ACCESS, UPDATE = "neuron access", "neuron update"
SPIKE, AXON_OUT, AXON_IN = "spike generation", "axon out", "axon in"


@dataclass(frozen=True)
class Price:
    """One number with its origin. spread: relative half-width of a 95 % range, so value / (1 + spread) .. value * (1 + spread)."""

    value: float
    unit: Literal["pJ", "ns", "W"]
    evidence: Evidence
    source: str
    spread: float


@dataclass(frozen=True)
class Barrier:
    """Synchronisation that ends a timestep: nanoseconds over the number of tiles in use, interpolated between the points."""

    tiles: tuple[int, ...]
    nanoseconds: tuple[float, ...]
    evidence: Evidence
    source: str


@dataclass(frozen=True)
class Device:
    """A chip. energy: pJ per event; time: ns per event of the core that handles it; static: W per chip.

    latency_spread: relative half-width of a 95 % range of the whole latency. note: what must be said with every figure.
    """

    name: str
    title: str
    note: str
    energy: Mapping[str, Price]
    time: Mapping[str, Price]
    static: Price
    barrier: Barrier
    latency_spread: float
    cores_per_tile: int

    @property
    def chip(self) -> Chip:
        """Its limits."""
        return CHIPS[self.name]

    @property
    def cores(self) -> int:
        """Cores of one chip."""
        return self.chip.cores


SANA_FE = "SANA-FE, IEEE TCAD 2025, fitted to Loihi boards (energy error at most 11.7 %, latency 24.3 %)"
INTEL = "Intel's public timing figures for Loihi 2, method not stated; together 15 % below the measured step of PilotNet"


LOIHI1 = Device(
    name="loihi1",
    title="Loihi 1",
    note="estimate from fitted prices, not a measurement of this network",
    energy={
        term: Price(value, "pJ", "fitted", SANA_FE, 0.117)
        for term, value in {
            DENSE: 35.5,
            CONVOLUTION: 24.0,
            SPARSE: 33.6,
            ACCESS: 51.2,
            UPDATE: 21.6,
            SPIKE: 69.3,
            AXON_OUT: 111.0,
        }.items()
    },
    time={
        term: Price(value, "ns", "fitted", SANA_FE, 0.243)
        for term, value in {
            DENSE: EVENT_NANOSECONDS["dense"],
            CONVOLUTION: EVENT_NANOSECONDS["convolution"],
            SPARSE: EVENT_NANOSECONDS["sparse"],
            ACCESS: 6.0,
            UPDATE: 3.7,
            SPIKE: 30.0,
            AXON_OUT: 5.1,
            AXON_IN: 16.0,
        }.items()
    },
    static=Price(0.0295, "W", "measured", "idle power of a Loihi board, Blouw et al. 2019 (keyword spotting)", 0.5),
    barrier=Barrier((1, 2, 4, 29), (600.0, 1000.0, 1400.0, 1800.0), "fitted", SANA_FE),
    latency_spread=0.243,
    cores_per_tile=4,
)

INHERITED = "inherited from Loihi 1, uncalibrated"

LOIHI2 = replace(
    LOIHI1,
    name="loihi2",
    title="Loihi 2",
    note=f"energy {INHERITED}; no price per operation of Loihi 2 is public",
    energy={
        **{term: replace(p, evidence="scaled", source=f"{INHERITED}: {p.source}", spread=1.0) for term, p in LOIHI1.energy.items()},
        GRADED: Price(35.7, "pJ", "assumed", f"dense synaptic event, {INHERITED}, plus 0.2 pJ for an 8-bit multiply (Horowitz 2014)", 1.0),
    },
    time={
        **{term: Price(0.66, "ns", "assumed", INTEL, 0.25) for term in (DENSE, CONVOLUTION, SPARSE, GRADED)},
        **{
            term: Price(4.0, "ns", "assumed", f"a dendrite update, of which PilotNet makes two a neuron; {INTEL}", 0.25)
            for term in (ACCESS, UPDATE)
        },
    },
    static=Price(0.232, "W", "measured", "static power of PilotNet on Loihi 2, lava-dl", 0.5),
    barrier=Barrier((1,), (10_000.0,), "assumed", INTEL),
    latency_spread=0.25,
)

DEVICES = {device.name: device for device in (LOIHI1, LOIHI2)}

ANN_MAC = Price(0.23, "pJ", "simulated", "int8 multiply-accumulate at 45 nm, arithmetic only, Horowitz 2014", 0.3)
"""What an 8-bit multiply-accumulate of a conventional accelerator costs before any memory access."""


def device_named(name: str) -> Device:
    """A profile by name.

    Raises:
        InputError: there is none.
    """
    if name not in DEVICES:
        raise InputError(f"device {name!r} is unknown; choose one of {', '.join(DEVICES)}")
    return DEVICES[name]
