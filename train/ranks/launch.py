"""What torchrun told this process about itself, before torch is imported: its number of how many."""

from __future__ import annotations

import os

LAUNCHED = "TORCHELASTIC_RUN_ID"
"""Only torchrun sets it; RANK and WORLD_SIZE alone may be a cluster's, of something else."""


def launched() -> bool:
    """Whether torchrun started this process."""
    return LAUNCHED in os.environ


def rank() -> int:
    """Number of this process, 0 for the first or only one."""
    return _told("RANK", 0)


def size() -> int:
    """How many processes torchrun started, on all machines."""
    return _told("WORLD_SIZE", 1)


def local_rank() -> int:
    """Number of this process on its machine."""
    return _told("LOCAL_RANK", 0)


def _told(name: str, alone: int) -> int:
    return int(os.environ.get(name, alone)) if launched() else alone
