"""Which core holds what: the cores of every layer, and how full each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spikeport.hw.mapping.cores import NetworkMap, Placement
from spikeport.hw.semantics.limits import Chip

MEMORY = "synaptic memory"
"""The resource that is drawn, as `hw.mapping.cores` names it."""


@dataclass(frozen=True)
class LayerCores:
    """One layer's cores. shares: of each limited resource, by its name, for every core; 1 for full."""

    name: str
    shares: Mapping[str, tuple[float, ...]]

    @property
    def memory(self) -> tuple[float, ...]:
        """Share of its synaptic memory that each core uses."""
        return self.shares[MEMORY]


@dataclass(frozen=True)
class ChipUse:
    """A network's cores in the order of its layers, as mapped; chip: its name. cores: of one chip."""

    chip: str
    cores: int
    layers: tuple[LayerCores, ...]

    @property
    def used(self) -> int:
        """Cores of all layers."""
        return sum(len(layer.memory) for layer in self.layers)


def chip_use(placed: NetworkMap) -> ChipUse:
    """From a mapping."""
    return ChipUse(placed.chip.name, placed.chip.cores, tuple(_layer(p, placed.chip) for p in placed.placements))


def _layer(placement: Placement, chip: Chip) -> LayerCores:
    each = [core.shares(chip) for core in placement.cores]
    return LayerCores(placement.name, {name: tuple(shares[name] for shares in each) for name in each[0]})
