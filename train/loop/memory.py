"""Memory that a training frees stays with the process for the next step.

glibc hands large blocks back to the kernel at once, and every step pays for zeroing them page by
page anew: at T = 20 that took two fifths of a step's time (docs/training-speed.md).
"""

from __future__ import annotations

import ctypes
import sys

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
