"""Hardware profiles: what each event costs in energy and time, with the source and the kind of
evidence behind every number.

A profile is a TOML file: those that ship lie beside this file, a user's own is given by its path. A
term that a profile has no price for is named in the result, never counted as free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

from spikeport.analysis.common.jsonable import from_json, to_json
from spikeport.export.common.errors import InputError, unknown
from spikeport.export.common.guard import reading
from spikeport.export.common.toml import read_toml
from spikeport.hw.semantics.limits import CHIPS, Chip, Evidence

T = TypeVar("T")
DENSE, CONVOLUTION, SPARSE = "synaptic event, dense", "synaptic event, convolution", "synaptic event, sparse"
GRADED = "graded multiply-accumulate"
ACCESS, UPDATE = "neuron access", "neuron update"
SPIKE, AXON_OUT, AXON_IN = "spike generation", "axon out", "axon in"
EAST_WEST, NORTH_SOUTH, CROSSING = "hop east or west", "hop north or south", "crossing between chips"
MANAGEMENT, INJECTION = "management of a timestep", "input injection"
HOPS = (EAST_WEST, NORTH_SOUTH)
TERMS = (DENSE, CONVOLUTION, SPARSE, GRADED, ACCESS, UPDATE, SPIKE, AXON_OUT, AXON_IN, *HOPS, CROSSING, MANAGEMENT, INJECTION)
"""What is counted.

Management: once for every chip and timestep. Injection: every message that comes from outside.
"""
DEVICES = ("loihi2", "loihi1", "loihi1-alone")
"""Profiles that ship. loihi1-alone: nobody asks anything of the chip between timesteps."""


@dataclass(frozen=True)
class Price:
    """One number with its origin. spread: relative half-width of a 95 % range, so value / (1 +
    spread) .. value * (1 + spread).

    scope: what it covers, and what it does not.
    """

    value: float
    unit: Literal["pJ", "ns", "W"]
    evidence: Evidence
    source: str
    spread: float
    scope: str = ""

    def __post_init__(self) -> None:
        if not (self.value >= 0 and self.spread >= 0):
            raise InputError(f"a price of {self.value} {self.unit} with spread {self.spread}; neither can be negative")


@dataclass(frozen=True)
class ModelError:
    """What was measured on whole networks, relative to what was predicted: 95 % of them lie in
    `low` .. `high`.
    """

    low: float
    high: float
    evidence: Evidence
    source: str

    def __post_init__(self) -> None:
        if not 0 < self.low <= 1 <= self.high:
            raise InputError(f"a range of {self.low} .. {self.high} does not hold 1, the prediction itself")


@dataclass(frozen=True)
class Barrier:
    """Synchronisation that ends a timestep: nanoseconds over the number of tiles in use,
    interpolated between the points.
    """

    tiles: tuple[int, ...]
    nanoseconds: tuple[float, ...]
    evidence: Evidence
    source: str


@dataclass(frozen=True)
class Device:
    """A chip. energy: pJ per event. time: ns per event, of the core or link that handles it, or
    added to every step. static: W per chip.

    latency, dynamic: how far measured times and dynamic energies of whole networks are from what is
    predicted of cores and links. host: W while it runs, of processors that feed the chip, None
    where nothing is known. note: what must be said with every figure. calibrated: whether the
    prices were fitted to this chip. chip: its limits.
    """

    name: str
    title: str
    note: str
    calibrated: bool
    chip: Chip
    energy: Mapping[str, Price]
    time: Mapping[str, Price]
    static: Price
    barrier: Barrier
    latency: ModelError
    dynamic: ModelError
    host: Price | None = None

    def __post_init__(self) -> None:
        unknown = [term for term in (*self.energy, *self.time) if term not in TERMS]
        if unknown:
            raise InputError(f"device {self.name} prices {unknown[0]!r}; events are called {', '.join(TERMS)}")

    @property
    def cores(self) -> int:
        """Cores of one chip."""
        return self.chip.cores


@cache
def device_named(name: str) -> Device:
    """A profile that ships, by name, or the one in a TOML file, by path.

    Raises:
        InputError: there is none, or the file is no profile.
    """
    if name in DEVICES:
        return read_profile(Device, shipped(name))
    if not name.endswith(".toml"):
        raise unknown("device", name, DEVICES, "or give a profile of your own, D.toml")
    return read_profile(Device, Path(name))


def shipped(name: str) -> Path:
    """A profile that lies beside this file."""
    return Path(str(resources.files("spikeport.analysis.cost").joinpath(f"{name}.toml")))


def read_profile(kind: type[T], path: Path) -> T:
    """A profile.

    `[sources]` names what prices refer to by `source`; `chip` is a table of limits, or the name of
    a chip known here; `base` is the name of a profile that ships, of which the file changes a part.

    Raises:
        InputError: the file is no such profile.
    """
    with reading(path, "a device profile", "mend it, or begin with one that ships"):
        return _profile(kind, _on_its_base(read_toml(path), path), path)


def _on_its_base(table: dict[str, Any], path: Path) -> dict[str, Any]:
    """A table, laid over that of the profile it is based on."""
    if (base := table.pop("base", None)) is None:
        return table
    if base not in DEVICES:
        raise InputError(f"{path}: base {base!r} does not ship; choose one of {', '.join(DEVICES)}")
    return _laid_over(_on_its_base(read_toml(shipped(base)), shipped(base)), table)


def _laid_over(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """All of both tables; where both have a value, the one above."""
    both = {
        key: _laid_over(under[key], value) for key, value in over.items() if isinstance(value, dict) and isinstance(under.get(key), dict)
    }
    return {**under, **over, **both}


def _profile(kind: type[T], table: dict[str, Any], path: Path) -> T:
    sources = table.pop("sources", {})
    if isinstance(chip := table.get("chip"), str):
        if chip not in CHIPS:
            raise InputError(f"{path}: chip {chip!r} is unknown; choose one of {', '.join(CHIPS)}, or give a table of its limits")
        table = {**table, "chip": to_json(CHIPS[chip])}
    try:
        return from_json(kind, _with_sources(table, sources))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _with_sources(value: Any, sources: Any) -> Any:
    """Every `source` that is a key of the table of sources, replaced by its text."""
    if not isinstance(value, dict) or not isinstance(sources, dict):
        return value
    return {
        key: sources.get(item, item) if key == "source" and isinstance(item, str) else _with_sources(item, sources)
        for key, item in value.items()
    }
