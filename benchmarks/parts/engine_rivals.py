"""The same networks as float inference in other frameworks.

    PYTHONPATH=benchmarks python -m parts.engine_rivals spikingjelly NETWORK.npz ROUNDS

prints the seconds of each round as JSON. Needs only numpy, PyTorch and the framework, so it also
runs in an environment of its own. Everyone gets the first layer's products computed once per image
(its input is held over time), no gradients, and the batch size, memory format, precision and
compiler that suit it best.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import metadata
from itertools import product
from typing import Any

import numpy as np
import torch
import torch._dynamo
from torch import nn

BATCHES = (16, 128, 1024)
REST = 0.03
"""Seconds after which threads that wait for more have gone to sleep."""
FORMATS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}


def load(path: str) -> tuple[list[dict[str, Any]], torch.Tensor, int]:
    """Layers (weight, threshold, padding, pool), images and timesteps, as `benchmarks/engine.py`
    saves them.
    """
    with np.load(path, allow_pickle=False) as file:
        layers = json.loads(str(file["layers"]))
        for k, layer in enumerate(layers):
            layer["weight"] = torch.from_numpy(file[f"weight{k}"])
        return layers, torch.from_numpy(file["images"]).float(), int(file["timesteps"])


def synapse(layer: dict[str, Any], memory_format: torch.memory_format, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Pooling, flatten and weights of one layer; sum pooling as average pooling with four times the
    weights.
    """
    weight = layer["weight"] * (4 if layer["pool"] else 1)
    if weight.ndim == 4:
        linear: nn.Module = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], padding=layer["padding"], bias=False)
    else:
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    linear.weight.data = weight.clone()
    before = [nn.AvgPool2d(2)] if layer["pool"] else []
    made = (nn.Sequential(*before, linear) if weight.ndim == 4 else nn.Sequential(*before, nn.Flatten(), linear)).to(dtype)
    return made.to(memory_format=memory_format) if weight.ndim == 4 else made


def snntorch(layers, timesteps: int, memory_format, dtype: torch.dtype) -> Callable[[torch.Tensor], torch.Tensor]:
    """snnTorch's loop over time with `Leaky` neurons."""
    import snntorch as snn  # noqa: PLC0415

    synapses = [synapse(layer, memory_format, dtype) for layer in layers]
    neurons = [snn.Leaky(beta=0.5, threshold=layer["threshold"], reset_mechanism="zero").to(dtype) for layer in layers[:-1]]

    def run(images: torch.Tensor) -> torch.Tensor:
        membranes = [neuron.reset_mem() for neuron in neurons]
        first, total = synapses[0](images), 0.0
        for _ in range(timesteps):
            current = first
            for k, neuron in enumerate(neurons):
                spikes, membranes[k] = neuron(current, membranes[k])
                current = synapses[k + 1](spikes)
            total = total + current
        return total

    return run


def spikingjelly(layers, timesteps: int, memory_format, dtype: torch.dtype) -> Callable[[torch.Tensor], torch.Tensor]:
    """SpikingJelly's multi-step mode: each layer over all timesteps at once."""
    from spikingjelly.activation_based import functional, layer, neuron  # noqa: PLC0415

    synapses = [synapse(described, memory_format, dtype) for described in layers]
    lif = {"tau": 2.0, "decay_input": False, "v_reset": 0.0, "step_mode": "m"}
    stages = [neuron.LIFNode(v_threshold=layers[0]["threshold"], **lif)]
    for described, following in zip(layers[1:], synapses[1:]):
        stages.append(layer.SeqToANNContainer(*following))
        stages.append(neuron.LIFNode(v_threshold=described["threshold"], **lif))
    net = nn.Sequential(*stages[:-1]).eval()  # the last layer is read as its summed current

    def run(images: torch.Tensor) -> torch.Tensor:
        functional.reset_net(net)
        first = synapses[0](images)
        return net(first.unsqueeze(0).expand(timesteps, *first.shape)).sum(0)

    return run


FRAMEWORKS = {"snntorch": snntorch, "spikingjelly": spikingjelly}
Run = Callable[[], torch.Tensor]
RECOMPILATIONS = 64
"""Of one function: each setting, and each number of threads, is another; beyond 8 PyTorch would run
them uncompiled.
"""


@torch.inference_mode()
def best_setting(name: str, layers, images: torch.Tensor, timesteps: int) -> tuple[Run, dict[str, Any]]:
    """The framework's run over all images at the fastest setting, and what was tried: the batch
    size and memory format first, then bfloat16 on the best of these, then `torch.compile` on the
    best of those.
    """
    formats = FORMATS if layers[0]["weight"].ndim == 4 else {"contiguous": torch.contiguous_format}
    torch._dynamo.config.recompile_limit = RECOMPILATIONS
    trials: dict[str, tuple[float, Run]] = {}
    tried: dict[str, Any] = {}

    def attempt(batch: int, label: str, dtype: torch.dtype, compiled: bool) -> str:
        setting = f"batch {batch}, {label}, {str(dtype).removeprefix('torch.')}" + (", compiled" if compiled else "")
        model = FRAMEWORKS[name](layers, timesteps, formats[label], dtype)
        run = _over_batches(torch.compile(model) if compiled else model, images, batch, formats[label], dtype)
        try:
            run()
        except Exception as error:  # a compiler that fails on a framework is an answer
            tried[setting] = f"fails: {type(error).__name__}"
            return setting
        trials[setting] = (min(core_seconds(run) for _ in range(3)), run)
        tried[setting] = trials[setting][0]
        return setting

    arguments = {
        attempt(batch, label, torch.float32, False): (batch, label, torch.float32)
        for batch, label in product(sorted({min(b, len(images)) for b in BATCHES}), formats)
    }
    batch, label, _ = arguments[_best(trials)]
    arguments[attempt(batch, label, torch.bfloat16, False)] = (batch, label, torch.bfloat16)
    attempt(*arguments[_best(trials)], True)
    return trials[_best(trials)][1], {"best": _best(trials), "core seconds": tried}


def _best(trials: dict[str, tuple[float, Run]]) -> str:
    return min(trials, key=lambda key: trials[key][0])


def _over_batches(model, images: torch.Tensor, batch: int, memory_format, dtype: torch.dtype) -> Run:
    parts = [part.to(dtype).contiguous(memory_format=memory_format) for part in images.split(batch)]

    @torch.inference_mode()
    def run() -> torch.Tensor:
        return torch.cat([model(part) for part in parts])

    return run


def seconds(run: Callable[[], Any]) -> float:
    """Wall time of one call."""
    return _elapsed(run, time.perf_counter)


def core_seconds(run: Callable[[], Any]) -> float:
    """Processor time of one call on one thread, which other work on the machine disturbs less than
    it does wall time.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    elapsed = _elapsed(run, time.process_time)
    torch.set_num_threads(threads)
    return elapsed


def _elapsed(run: Callable[[], Any], clock: Callable[[], float]) -> float:
    """After a rest: threads of the call before wait for more, busily, and take cores and processor
    time from this one.
    """
    time.sleep(REST)
    start = clock()
    run()
    return clock() - start


def main() -> None:
    framework, path, rounds = sys.argv[1:]
    layers, images, timesteps = load(path)
    run, setting = best_setting(framework, layers, images, timesteps)
    turns = [(seconds(run), core_seconds(run)) for _ in range(int(rounds))]
    wall, core = zip(*turns)
    versions = {name: metadata.version(name) for name in ("torch", framework)}
    print(
        json.dumps({"seconds": wall, "core seconds": core, "setting": setting, "versions": versions, "classes": run().argmax(1).tolist()})
    )


if __name__ == "__main__":
    main()
