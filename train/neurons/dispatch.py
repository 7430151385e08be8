"""Which implementation runs a neuron's loop over time: fused Triton kernels where they can, else
PyTorch, timestep by timestep.

Triton comes with PyTorch for GPUs and is imported on first use only. On a CPU, STBP's and
DSR's neurons have loops compiled by Numba; all else is PyTorch's.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

import torch

from spikeport.train.neurons.surrogates import SURROGATES

if TYPE_CHECKING:
    from spikeport.train.neurons.dsr import DSRConfig
    from spikeport.train.neurons.stbp import Leak, LIFConfig

FUSED_SURROGATES = frozenset(SURROGATES)
"""Those that ship; what users add later (`spikeport.api.parts`) runs in PyTorch."""
COMPILED_SURROGATES = frozenset({"arctan", "rectangle", "scaled_rectangle", "triangle", "fast_sigmoid"})
"""Those that the loops for a CPU have: an exponential is slower there than PyTorch's."""
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


def compiled_lif(currents: torch.Tensor, timesteps: int, decay: Leak, gain: Leak, config: LIFConfig, pool: int = 1) -> torch.Tensor | None:
    """Spikes of STBP's neurons, averaged over windows of pool x pool, from loops compiled for a CPU
    (`train.kernels.compiled`); None where they do not run, and where the leak is learned.
    """
    if not has_loops(currents, config.surrogate.kind) or isinstance(decay, torch.Tensor) or isinstance(gain, torch.Tensor):
        return None
    return import_module("spikeport.train.kernels.compiled").lif(currents, timesteps, decay, gain, config, pool)


def compiled_dsr(
    currents: torch.Tensor, timesteps: int, threshold: float, config: DSRConfig, pool: int, *, overwrite: bool
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """`train.neurons.dsr.dsr_forward` from such loops; None where they do not run."""
    if not has_loops(currents):
        return None
    return import_module("spikeport.train.kernels.compiled").dsr(currents, timesteps, threshold, config, pool, overwrite=overwrite)


def has_loops(x: torch.Tensor, surrogate: str | None = None) -> bool:
    """Whether there are compiled loops for this tensor. surrogate: None where none is needed."""
    runs = x.device.type == "cpu" and x.dtype in DTYPES and x.numel() > 0
    return runs and (surrogate is None or surrogate in COMPILED_SURROGATES) and not interpreted()


def interpreted() -> bool:
    """Whether Triton interprets its kernels (TRITON_INTERPRET=1, set before it is imported), which
    works on a CPU: slow, for tests.
    """
    return os.environ.get("TRITON_INTERPRET") == "1"


@cache
def _module(family: str) -> ModuleType | None:
    return import_module(f"spikeport.train.kernels.{family}") if find_spec("triton") else None
