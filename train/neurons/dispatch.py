"""Which implementation runs a neuron's loop over time: fused Triton kernels where they can, else
PyTorch, timestep by timestep.

Triton comes with PyTorch for GPUs and is imported on first use only: without it, and on a CPU, all
is PyTorch's.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch

from spikeport.train.neurons.surrogates import SURROGATES

FUSED_SURROGATES = frozenset(SURROGATES)
"""Those that ship; what users add later (`spikeport.api.parts`) runs in PyTorch."""
DTYPES = (torch.float32, torch.bfloat16)
"""What the kernels take; their state is float32 for both."""


def triton_kernels(family: str, x: torch.Tensor, surrogate: str | None = None) -> ModuleType | None:
    """The kernels `train.kernels.FAMILY` if they run on this tensor, on a GPU or anywhere in
    Triton's interpreter; else None.

    surrogate: the derivative by name, None where the family has its own; a user's own is in no
    kernel.
    """
    known = surrogate is None or surrogate in FUSED_SURROGATES
    runs = known and x.dtype in DTYPES and (x.is_cuda or interpreted())
    return _module(family) if runs else None


def interpreted() -> bool:
    """Whether Triton interprets its kernels (TRITON_INTERPRET=1, set before it is imported), which
    works on a CPU: slow, for tests.
    """
    return os.environ.get("TRITON_INTERPRET") == "1"


@cache
def _module(family: str) -> ModuleType | None:
    return import_module(f"spikeport.train.kernels.{family}") if find_spec("triton") else None
