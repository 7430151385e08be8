"""What would not fit into this machine is refused before anything is computed."""

from __future__ import annotations

import os

from spikeport.export.common.errors import InputError


def check_memory(needed: float, what: str, remedy: str) -> None:
    """needed: bytes that must be held at once.

    Raises:
        InputError: more than this machine has in all; says how much `what` takes, and what to do.
    """
    if not hasattr(os, "sysconf"):
        return
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise InputError(f"{what} takes {needed / 2**30:,.1f} GiB, this machine has {there / 2**30:,.1f} GiB; {remedy}")
