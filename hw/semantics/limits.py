"""What a chip offers: its cores, their capacities with the evidence for each, its mesh.

The numbers of one chip stand in one place.

Register ranges are enforced when a network is made (`export.model.network`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from spikeport.export.common.errors import InputError

Evidence = Literal["measured", "published", "fitted", "simulated", "scaled", "assumed"]
"""On silicon; stated by its maker or by those who run it; fitted to silicon by a simulator;
simulated before silicon; scaled from another chip; assumed here.
"""


@dataclass(frozen=True)
class Origin:
    """Where a number comes from, and how sure it is."""

    evidence: Evidence
    source: str


@dataclass(frozen=True)
class Core:
    """What one neuron core takes. synapse_bits: synaptic memory. axons: inputs and outputs; None
    where no limit is public.

    border_lists: a shared kernel needs lists of its own for positions at a border. origins: of
    these numbers, by field.
    """

    neurons: int
    synapse_bits: int
    axons: int | None
    border_lists: bool
    origins: Mapping[str, Origin] = field(default_factory=dict)


@dataclass(frozen=True)
class Chip:
    """One chip. graded: spikes may carry integers. microcode: neurons can be programmed.

    tiles: columns and rows of its mesh. tile_cores: cores that share a router. mesh: where these
    come from.
    """

    name: str
    graded: bool
    microcode: bool
    tiles: tuple[int, int]
    tile_cores: int
    core: Core
    mesh: Origin | None = None

    def __post_init__(self) -> None:
        if min(*self.tiles, self.tile_cores, self.core.neurons, self.core.synapse_bits) < 1:
            raise InputError(f"{self.name} has a mesh of {self.tiles} tiles of {self.tile_cores} cores; all counts must be at least 1")

    @property
    def cores(self) -> int:
        """Of the whole chip."""
        return self.tiles[0] * self.tiles[1] * self.tile_cores


NENGO = "nengo-loihi (block.py), which runs on the chip"
DAVIES = "Davies et al. 2018, IEEE Micro 38(1)"
CHIPS = {
    "loihi2": Chip(
        "Loihi 2",
        graded=True,
        microcode=True,
        tiles=(8, 4),
        tile_cores=4,
        core=Core(
            neurons=4096,
            synapse_bits=8 * 128 * 1024,
            axons=None,
            border_lists=False,
            origins={
                "neurons": Origin(
                    "assumed",
                    "half of the 8192 that a core holds at most (Intel's brief: a million on 128 cores), since ours have two states; a compiler's "
                    "published log for PilotNet has up to 3168 (lava-dl)",
                ),
                "synapse_bits": Origin(
                    "assumed", "as on Loihi 1, though Loihi 2 shares a core's memory out freely; its format is not public"
                ),
                "axons": Origin("assumed", "no limit is public, none is checked"),
                "border_lists": Origin("assumed", "none: convolutions are in hardware (Intel's brief)"),
            },
        ),
        mesh=Origin("assumed", "128 cores (Intel's brief) in the tiles of Loihi 1"),
    ),
    "loihi1": Chip(
        "Loihi 1",
        graded=False,
        microcode=False,
        tiles=(8, 4),
        tile_cores=4,
        core=Core(
            neurons=1024,
            synapse_bits=8 * 128 * 1024,
            axons=4096,
            border_lists=True,
            origins={
                "neurons": Origin("published", DAVIES),
                "synapse_bits": Origin("published", DAVIES),
                "axons": Origin("published", NENGO),
                "border_lists": Origin("published", NENGO),
            },
        ),
        mesh=Origin("published", f"{DAVIES}: 8 x 4 tiles of 4 cores"),
    ),
}
