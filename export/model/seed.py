"""Which seeds every random generator here takes. Imports no other package."""

from __future__ import annotations

from spikeport.export.common.errors import InputError

SEED_MAX = (1 << 63) - 1
"""NumPy's generators take no negative seed, torch's none beyond 64 bits, and TOML has no integers
beyond 63 bits and a sign.
"""


def check_seed(seed: int) -> None:
    """Refuse what not every generator takes.

    Raises:
        InputError: negative, or above `SEED_MAX`.
    """
    if not 0 <= seed <= SEED_MAX:
        raise InputError(f"seed is {seed}; it must lie in 0..{SEED_MAX} (2^63 - 1)")
