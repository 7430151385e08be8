"""Residual networks by name, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ResidualPlan:
    """widths, blocks: channels and number of blocks of each group; every group but the first halves
    the map.

    stem: channels of the first convolution, 0 for those of the first group. halves_first: whether
    the first group halves the map too.
    join: "spiking" adds both paths' currents into one layer of neurons, "pre-activation" lets
    currents run along the shortcuts and has BatchNorm and neurons ahead of every convolution.
    hidden: features of a dense layer ahead of the readout, 0 for none.
    mean_fires: neurons behind the average over the map too, as DSR has them; those of other methods
    would hardly ever fire there.
    """

    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    join: Literal["spiking", "pre-activation"]
    stem: int = 0
    halves_first: bool = False
    hidden: int = 0
    mean_fires: bool = False


def _narrow(depth: int) -> ResidualPlan:
    """He et al. 2016: three groups of (depth - 2) / 6 blocks."""
    return ResidualPlan((16, 32, 64), ((depth - 2) // 6,) * 3, "pre-activation")


RESIDUAL = {
    "resnet-18": ResidualPlan((64, 128, 256, 512), (2, 2, 2, 2), "spiking"),
    "resnet-19": ResidualPlan((128, 256, 512), (3, 3, 2), "spiking", hidden=256),
    "tic-resnet-19": ResidualPlan((256, 512, 512), (3, 3, 2), "spiking", stem=128, halves_first=True),
    "resnet-34": ResidualPlan((64, 128, 256, 512), (3, 4, 6, 3), "spiking"),
    "preact-resnet-18": ResidualPlan((64, 128, 256, 512), (2, 2, 2, 2), "pre-activation"),
    "dsr-preact-resnet-18": ResidualPlan((64, 128, 256, 512), (2, 2, 2, 2), "pre-activation", mean_fires=True),
    **{f"preact-resnet-{depth}": _narrow(depth) for depth in (20, 32, 44, 56, 110)},
}
"""ResNet-18 and -34: He et al. 2016; -19: Zheng et al. 2020, table 2, and as the code of Kim et al.
2023 has it; PreAct-ResNets: Meng et al. 2022, the narrow ones as He et al.
"""
