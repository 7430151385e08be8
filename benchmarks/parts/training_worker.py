"""One contender of `benchmarks/training.py` in a process of its own: each line on stdin is a round,
answered by a line of JSON.

    PYTHONPATH=benchmarks python -m parts.training_worker CONTENDER PRECISION TIMESTEPS BATCH THREADS STEPS DATA.npz

A round is STEPS optimisation steps; the line "epoch" is one pass over all images in DATA instead.
Rivals need only PyTorch and their framework, so this also runs in an environment without spikeport.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from parts.training_rivals import CLASSES, RIVALS
from torch import nn
from torch.nn import functional as F

ARCHITECTURE = "15C5-P2-40C5-P2-300"
DEEP = "16C3-16C3-16C3-16C3-16C3-16C3-16C3-16C3-P4-100"
"""Many layers of one size, where what is kept is far more than what one of them needs."""
WARM_UP = 3


def network(contender: str, timesteps: int) -> nn.Module:
    """A contender's network from images to time-averaged readout."""
    return network_with_equal_weights(RIVALS[contender](timesteps) if contender in RIVALS else ours(contender, timesteps))


def network_with_equal_weights(made: nn.Module) -> nn.Module:
    """The network, with the weights that all contenders begin with."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                module.weight.normal_(0, module.weight[0].numel() ** -0.5, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
    return made


def ours(method: str, timesteps: int) -> nn.Module:
    """spikeport's network for a method, as its trainer builds it; "stbp deep recomputed" has other
    layers and keeps less of them.
    """
    from spikeport.train.data.dataset import Task  # noqa: PLC0415
    from spikeport.train.loop.memory import keep_freed_memory  # noqa: PLC0415
    from spikeport.train.network.build import build  # noqa: PLC0415
    from spikeport.train.settings.config import defaults_for  # noqa: PLC0415

    keep_freed_memory()

    class MeanOverTime(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            name, _, how = method.partition(" ")
            config = defaults_for(
                "mnist", method=name, arch=DEEP if "deep" in how else ARCHITECTURE, timesteps=timesteps, recompute="recomputed" in how
            )
            self.network = build(config, Task("mnist", (1, 28, 28), CLASSES, 255))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.network(images).mean(0)

    return MeanOverTime()


def stepper(module: nn.Module, precision: str) -> Callable[[torch.Tensor, torch.Tensor], float]:
    """One optimisation step, the same for all: cross-entropy of the mean over time, AdamW; returns
    the loss.
    """
    optimizer = torch.optim.AdamW(module.parameters(), 4e-3, weight_decay=1e-2)

    def step(images: torch.Tensor, labels: torch.Tensor) -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            output = module(images)
        loss = F.cross_entropy(output.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def memory(field: str) -> int:
    """Bytes of this process: VmRSS resident now, VmHWM at most since `forget_peak`."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) * 1024


def forget_peak() -> None:
    """Start the kernel's peak of resident memory anew (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def timed(step: Callable, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    """Wall and processor seconds of steps over some batches, and the last loss."""
    wall, core, loss = time.perf_counter(), time.process_time(), float("nan")
    for images, labels in batches:
        loss = step(images, labels)
    return {"wall": time.perf_counter() - wall, "core": time.process_time() - core, "loss": loss}


def main() -> None:
    contender, precision = sys.argv[1:3]
    timesteps, batch, threads, steps = map(int, sys.argv[3:7])
    torch.set_num_threads(threads)
    with np.load(sys.argv[7], allow_pickle=False) as file:
        images, labels = torch.from_numpy(file["images"]), torch.from_numpy(file["labels"])
    stepper(network(contender, timesteps), precision)(images[:2], labels[:2])  # code that a first step loads is no tensor
    step = stepper(network(contender, timesteps), precision)
    baseline = memory("VmRSS")
    forget_peak()
    losses = [step(images[:batch], labels[:batch]) for _ in range(WARM_UP)]
    print(json.dumps({"losses": losses, "peak bytes": memory("VmHWM") - baseline, "torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        whole = line.strip() == "epoch"
        order = torch.randperm(len(images)).split(batch) if whole else torch.arange(batch).repeat(steps, 1)
        print(json.dumps(timed(step, ((images[part], labels[part]) for part in order))), flush=True)


if __name__ == "__main__":
    main()
