"""Where training runs: the CPU, or a GPU."""

from __future__ import annotations

import torch

from spikeport.export.common.errors import InputError, unknown

ACCELERATORS = ("cpu", "cuda")


def torch_device(name: str) -> torch.device:
    """PyTorch's device of that name.

    Raises:
        InputError: there is none on this machine.
    """
    if name not in ACCELERATORS:
        raise unknown("accelerator", name, ACCELERATORS)
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(f"accelerator cuda: PyTorch {torch.__version__} finds no CUDA device on this machine; choose cpu")
    return torch.device(name)


def sent(x: torch.Tensor, accelerator: torch.device) -> torch.Tensor:
    """The tensor on an accelerator; the CPU does not wait for its way to a GPU, which page-locked
    memory allows.
    """
    return x.pin_memory().to(accelerator, non_blocking=True) if accelerator.type == "cuda" else x


def mixed(precision: str, accelerator: torch.device) -> torch.autocast:
    """Inside, products are taken in the precision of `TrainConfig`."""
    return torch.autocast(accelerator.type, torch.bfloat16, enabled=precision == "bfloat16")


def widened(answers: torch.Tensor) -> torch.Tensor:
    """In float32 at least, in which losses are taken."""
    return answers.to(torch.promote_types(answers.dtype, torch.float32))
