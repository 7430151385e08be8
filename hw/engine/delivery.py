"""What one connection delivers over time."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class Delivery:
    """Sums of one connection, `(n, steps, size)` before the exponent's shift.

    start: timestep of index 0; silence before it. A single step holds for every later timestep
    (input held over time). bits: width at which the sum wraps.
    """

    total: torch.Tensor
    exponent: int
    start: int
    bits: int

    def at(self, t: int) -> torch.Tensor:
        """The sums at a timestep not before `start`, int64 `(n, size)`."""
        return self.total[:, t - self.start if self.total.shape[1] > 1 else 0].to(torch.int64)
