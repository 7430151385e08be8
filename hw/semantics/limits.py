"""What a chip offers: its cores, their capacities with the evidence for each, its mesh.

The numbers of one chip stand in one place.

Register ranges are enforced when a network is made (`export.model.network`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from spikeport.export.common.errors import InputError

Lists = Literal["blocks", "words"]
"""How synapses are stored: as on Loihi 1, or as the logs of Loihi 2's compiler show
(`hw.mapping.encoding`).
"""
Cut = Literal["fewest", "columns"]
"""How a map is cut into blocks: as few as fit, or whole columns, a power of two of them
(`hw.mapping.cores`).
"""
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

    border_lists: a shared kernel needs lists of its own for positions at a border. lists: how
    synapses are stored. origins: of these numbers, by field.
    """

    neurons: int
    synapse_bits: int
    axons: int | None
    border_lists: bool
    lists: Lists = "blocks"
    origins: Mapping[str, Origin] = field(default_factory=dict)


@dataclass(frozen=True)
class Chip:
    """One chip. graded: spikes may carry integers. microcode: neurons can be programmed.

    tiles: columns and rows of its mesh. tile_cores: cores that share a router. mesh: where these
    come from. cut: how maps are cut into blocks.
    """

    name: str
    graded: bool
    microcode: bool
    tiles: tuple[int, int]
    tile_cores: int
    core: Core
    mesh: Origin | None = None
    cut: Cut = "fewest"

    def __post_init__(self) -> None:
        if min(*self.tiles, self.tile_cores, self.core.neurons, self.core.synapse_bits) < 1:
            raise InputError(f"{self.name} has a mesh of {self.tiles} tiles of {self.tile_cores} cores; all counts must be at least 1")

    @property
    def cores(self) -> int:
        """Of the whole chip."""
        return self.tiles[0] * self.tiles[1] * self.tile_cores


NENGO = "nengo-loihi (block.py), which runs on the chip"
DAVIES = "Davies et al. 2018, IEEE Micro 38(1)"
LOGS = "logs of Intel's compiler in lava-dl's tutorials"
LOIHI2 = Chip(
    "Loihi 2",
    graded=True,
    microcode=True,
    tiles=(8, 4),
    tile_cores=4,
    core=Core(
        neurons=4095,
        synapse_bits=16000 * 64,
        axons=None,
        border_lists=False,
        lists="words",
        origins={
            "neurons": Origin("published", f"{LOGS}: 3,584 neurons are 87.52 % of a core, 2,688 are 65.64 % (YOLO-KP)"),
            "synapse_bits": Origin(
                "published",
                f"{LOGS}: 16,000 words of 64 bits (MNIST, YOLO-KP); 12,000 in the older one that placed PilotNet",
            ),
            "axons": Origin("assumed", "no limit is public, none is checked"),
            "border_lists": Origin("assumed", "none: convolutions are in hardware (Intel's brief)"),
            "lists": Origin(
                "published",
                f"{LOGS}: a dense list of n targets takes (20 n + 10) / 64 words (Oxford 63 and 81, MNIST 16, 21 and 4), a kernel's of "
                "n channels n / 8 (YOLO-KP 2 and 4); fewer where weights need fewer bits, which is not counted on here",
            ),
        },
    ),
    mesh=Origin("assumed", "128 cores (Intel's brief) in the tiles of Loihi 1"),
    cut="columns",
)
LOIHI1 = Chip(
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
            "lists": Origin("published", NENGO),
        },
    ),
    mesh=Origin("published", f"{DAVIES}: 8 x 4 tiles of 4 cores"),
)
CHIPS = {"loihi2": LOIHI2, "loihi1": LOIHI1}
"""By name in device profiles."""
