"""Which samples of a batch are one process's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.train.ranks.group import ALONE, Ranks


@dataclass(frozen=True)
class Share:
    """A batch is worked on in so many parts, one after the other, and each part by all processes at
    once, in the order of their numbers.
    """

    ranks: Ranks = ALONE
    parts: int = 1

    def places(self, batch: int) -> np.ndarray:
        """This process's places in a batch, part after part, int64."""
        own: np.ndarray = np.arange(batch).reshape(self.parts, self.ranks.size, -1)[:, self.ranks.number]
        return own.reshape(-1)

    def check(self, batch: int) -> None:
        """Refuse a batch that cannot be divided.

        Raises:
            InputError: says what it would have to be a multiple of.
        """
        if batch % (self.parts * self.ranks.size):
            counts = [f"{self.parts} parts (accumulate)"] * (self.parts > 1) + [f"{self.ranks.size} processes"] * (self.ranks.size > 1)
            raise InputError(
                f"a batch of {batch} samples does not divide among {' of '.join(counts)}; take a multiple of "
                f"{self.parts * self.ranks.size} as batch_size"
            )


WHOLE = Share()
"""The whole batch at once, in one process."""
