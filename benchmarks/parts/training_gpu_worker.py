"""One contender of `benchmarks/training_gpu.py` in a process of its own: each line on stdin is a
round, answered by a line of JSON.

    PYTHONPATH=benchmarks python -m parts.training_gpu_worker CONTENDER PRECISION network|layer TIMESTEPS BATCH NEURONS STEPS DEVICE

A round is STEPS steps: of the network on random images, or forward and backward through NEURONS
bare neurons per sample. A contender that cannot be had here says why in its first line, and ends.
Rivals need only PyTorch and their framework.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from parts.training_rivals import CLASSES, Norse, NorseNeurons, SnnTorch, SpikingJelly, snntorch_neurons, spikingjelly_neurons
from parts.training_worker import network_with_equal_weights, ours
from torch import nn
from torch.nn import functional as F

WARM_UP = 3
NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "stbp": partial(ours, "stbp"),
    "stbp-pytorch": partial(ours, "stbp"),
    "dsr": partial(ours, "dsr"),
    "spikingjelly": SpikingJelly,
    "norse": Norse,
    "snntorch": SnnTorch,
}


class Layer(nn.Module):
    """Neurons alone, from currents `(T, N, neurons)` to spikes."""

    def __init__(self, contender: str) -> None:
        super().__init__()
        self.contender = contender
        if contender in ("stbp", "stbp-pytorch"):
            from spikeport.train.neurons.stbp import LIFConfig  # noqa: PLC0415

            self.neurons: nn.Module = LIFConfig().build()
        elif contender == "norse":
            self.neurons = NorseNeurons()
        else:
            self.neurons = snntorch_neurons() if contender == "snntorch" else spikingjelly_neurons()

    def forward(self, currents: torch.Tensor) -> torch.Tensor:
        if self.contender in ("stbp", "stbp-pytorch"):
            return self.neurons(currents, len(currents))
        if self.contender != "snntorch":
            if self.contender != "norse":
                self.neurons.reset()  # type: ignore[operator]  # SpikingJelly's; a layer begins at rest
            return self.neurons(currents)
        membrane, spikes = self.neurons.reset_mem(), []  # type: ignore[operator]  # snnTorch's
        for current in currents:
            s, membrane = self.neurons(current, membrane)
            spikes.append(s)
        return torch.stack(spikes)


def network_step(contender: str, precision: str, timesteps: int, batch: int, device: str) -> Callable[[], torch.Tensor]:
    """One optimisation step, the same for all; gives the loss."""
    module = network_with_equal_weights(NETWORKS[contender](timesteps)).to(device)
    optimizer = torch.optim.AdamW(module.parameters(), 4e-3, weight_decay=1e-2)
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(batch, 1, 28, 28, generator=generator).to(device)
    labels = torch.randint(CLASSES, (batch,), generator=generator).to(device)

    def step() -> torch.Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            output = module(images)
        loss = F.cross_entropy(output.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def layer_step(contender: str, precision: str, shape: tuple[int, int, int], device: str) -> Callable[[], torch.Tensor]:
    """Forward and backward through a layer; gives the rate of spikes."""
    layer, generator = Layer(contender).to(device), torch.Generator(device).manual_seed(1)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    currents, grad = (torch.rand(shape, generator=generator, device=device).to(dtype) for _ in range(2))
    currents.requires_grad_()

    def step() -> torch.Tensor:
        currents.grad = None
        spikes = layer(currents)
        spikes.backward(grad)
        return spikes.detach().mean(dtype=torch.float32)

    return step


def main() -> None:
    contender, precision, what = sys.argv[1:4]
    timesteps, batch, neurons, steps = map(int, sys.argv[4:8])
    device = sys.argv[8]
    if contender == "stbp-pytorch":
        sys.modules["triton"] = None  # type: ignore[assignment]  # our neurons without their kernels
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    try:
        if what == "network":
            step = network_step(contender, precision, timesteps, batch, device)
        else:
            step = layer_step(contender, precision, (timesteps, batch, neurons), device)
        values = [step().item() for _ in range(WARM_UP)]
    except Exception as error:
        return print(json.dumps({"missing": f"{type(error).__name__}: {error}"}), flush=True)
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else 0
    print(json.dumps({"values": values, "peak bytes": peak, "torch": torch.__version__}), flush=True)
    for _ in sys.stdin:
        wait()
        started = time.perf_counter()
        for _ in range(steps):
            step()
        wait()
        print(json.dumps({"seconds": (time.perf_counter() - started) / steps}), flush=True)


if __name__ == "__main__":
    main()
