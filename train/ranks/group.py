"""Processes that train one network together: plain torch.distributed, over gloo on CPUs and NCCL on
GPUs.

Every process holds the whole network and a share of each batch. What one process with the whole
batch would compute is put together in four places, and nowhere else: the readout's output, so that
any loss is that of the whole batch (`whole`); gradients, by DistributedDataParallel; what layers
take over the batch, inside `together` (`train.network.batch_norm`, `train.network.rates`,
`train.neurons.tsslbp`); and counts of right answers (`summed`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from spikeport.export.common.errors import BackendError, InputError
from spikeport.train.ranks import launch

PATIENCE = timedelta(hours=6)
"""How long a process waits for one that lives: the first may look at Fisher information between
epochs. One that died is noticed at once.
"""
BROKEN = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe")
"""What torch's errors say when another process is gone."""


@dataclass(frozen=True)
class Ranks:
    """number: of this process among `size`, from 0."""

    number: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.number == 0

    def own(self, count: int) -> slice:
        """This process's part of so many samples in a row."""
        return slice(count * self.number // self.size, count * (self.number + 1) // self.size)


ALONE = Ranks()
_together = ALONE


@contextmanager
def joined(accelerator: str) -> Iterator[Ranks]:
    """The processes that torchrun started, or this one alone.

    Raises:
        InputError: more processes than GPUs on this machine.
        BackendError: another process ended.
    """
    if launch.size() == 1:
        yield ALONE
        return
    if accelerator == "cuda":
        if launch.local_rank() >= (there := torch.cuda.device_count()):
            raise InputError(f"accelerator cuda: this machine has {there} GPUs; start as many processes with --nproc-per-node {there}")
        torch.cuda.set_device(launch.local_rank())
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if accelerator == "cuda" else "gloo", timeout=PATIENCE)
        yield Ranks(dist.get_rank(), dist.get_world_size())
    except RuntimeError as error:
        if isinstance(error, BackendError) or not any(word in str(error) for word in BROKEN):
            raise
        raise BackendError("another process of this training ended (killed, or its machine is gone); go on with --resume") from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


@contextmanager
def one_after_the_other(ranks: Ranks) -> Iterator[None]:
    """The first process of each machine inside before all others, so that one downloads for all."""
    first_here = launch.local_rank() == 0
    if ranks.size > 1 and not first_here:
        dist.barrier()
    yield
    if ranks.size > 1 and first_here:
        dist.barrier()


def agree(ranks: Ranks, what: str, value: object) -> None:
    """Refuse to go on where processes do not have the same.

    Raises:
        InputError: says which process has another value. what: of what kind, for the message.
    """
    mine = torch.frombuffer(bytearray(sha256(repr(value).encode()).digest()), dtype=torch.uint8)
    for number, theirs in enumerate(_gathered(mine, ranks)):
        if not torch.equal(theirs, mine):
            raise InputError(f"processes {ranks.number} and {number} of this training differ in {what}; give all of them the same")


def replicated(module: nn.Module, ranks: Ranks) -> nn.Module:
    """The module with the mean of all processes' gradients, taken as they arise, and buffers left
    alone; itself where there is one process.
    """
    if ranks.size == 1:
        return module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of a newer name for the argument, which torch 2.10 does not know
        return DistributedDataParallel(module, broadcast_buffers=False)


def added_once(module: nn.Module, *, last: bool) -> AbstractContextManager[None]:
    """Of the gradients that a replicated module gathers over several parts of a batch, those of the
    last part take the others with them: forward and backward of a part go inside.
    """
    return nullcontext() if last or not isinstance(module, DistributedDataParallel) else module.no_sync()


def share(module: nn.Module, ranks: Ranks) -> None:
    """Give all processes the first one's weights and statistics."""
    if ranks.size > 1:
        for tensor in module.state_dict().values():
            dist.broadcast(tensor, 0)


def summed(x: torch.Tensor, ranks: Ranks) -> torch.Tensor:
    """Sum over processes, in place."""
    if ranks.size > 1:
        dist.all_reduce(x)
    return x


def whole(x: torch.Tensor, dim: int, ranks: Ranks) -> torch.Tensor:
    """All processes' parts along an axis, in order. The gradient of this process's part is that
    part of the whole's, times the number of processes: `replicated` takes the mean of what is to
    be added up.
    """
    return x if ranks.size == 1 else _Whole.apply(x, dim, ranks)


class _Whole(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, dim: int, ranks: Ranks) -> torch.Tensor:
        ctx.size, ctx.part = ranks.size, (dim, ranks.number * x.shape[dim], x.shape[dim])
        return torch.cat(_gathered(x, ranks), dim)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return grad.narrow(*ctx.part) * ctx.size, None, None


@contextmanager
def together(ranks: Ranks) -> Iterator[None]:
    """Layers inside take what they need of a batch over all processes, which must all be inside."""
    global _together  # noqa: PLW0603  layers are called by torch, which hands nothing through
    before, _together = _together, ranks
    try:
        yield
    finally:
        _together = before


def partners() -> int:
    """How many processes work on the batch that this one has a part of."""
    return _together.size


def of_each_partner(x: torch.Tensor) -> torch.Tensor:
    """What each of them has, `(partners, *x.shape)`."""
    return x[None] if _together.size == 1 else torch.stack(_gathered(x, _together))


def _gathered(x: torch.Tensor, ranks: Ranks) -> list[torch.Tensor]:
    if ranks.size == 1:
        return [x]
    parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(ranks.size)]
    dist.all_gather(parts, x.contiguous())
    return parts
