"""Memory that a training frees stays with the process for the next step.

glibc hands large blocks back to the kernel at once, and every step pays for zeroing them page by
page anew: at T = 20 that took two fifths of a step's time (docs/training-speed.md).
"""

from __future__ import annotations

import ctypes
import os
import sys

from spikeport.export.common.errors import InputError
from spikeport.train.network.spiking import SpikingNetwork

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of mallopt(3)."""
LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Have malloc reuse freed blocks of any size, from now on in this whole process; False where
    there is no glibc.

    No library function calls it: it is for whoever owns the process, as the command line does.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, LARGEST))


def check_memory(module: SpikingNetwork, batch: int, timesteps: int) -> None:
    """Refuse a training whose states alone exceed this machine's memory: every neuron's potential
    at every timestep of a batch.

    Raises:
        InputError: says how much it would take, and what there is.
    """
    if not hasattr(os, "sysconf"):
        return
    needed = 4 * batch * timesteps * module.neuron_count
    if needed > (there := os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")):
        raise InputError(
            f"training with batch_size {batch} and {timesteps} timesteps keeps {needed / 2**30:,.1f} GiB of potentials, this machine has "
            f"{there / 2**30:,.1f} GiB; take fewer of either, or a smaller network"
        )
