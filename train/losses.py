"""Losses on the readout's currents `(T, N, classes)`."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def accumulated_cross_entropy(currents: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the mean over time, a scalar. The mean and the accumulated sum rank the classes alike (TIC, section 3)."""
    return F.cross_entropy(currents.mean(0), labels)
