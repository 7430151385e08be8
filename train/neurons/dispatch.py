"""Which implementation runs a neuron's loop over time: fused Triton kernels where they can, else PyTorch, timestep by timestep.

Triton comes with PyTorch for GPUs and is imported on first use only: without it, and on a CPU, all is PyTorch's.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch

DTYPES = (torch.float32, torch.bfloat16)
"""What the kernels take; their state is float32 for both."""


def triton_kernels(family: str, x: torch.Tensor) -> ModuleType | None:
    """The kernels `train.kernels.FAMILY` if they run on this tensor, on a GPU or anywhere in Triton's interpreter; else None."""
    runs = x.dtype in DTYPES and (x.is_cuda or interpreted())
    return _module(family) if runs else None


def interpreted() -> bool:
    """Whether Triton interprets its kernels (TRITON_INTERPRET=1, set before it is imported), which works on a CPU: slow, for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


@cache
def _module(family: str) -> ModuleType | None:
    return import_module(f"spikeport.train.kernels.{family}") if find_spec("triton") else None
