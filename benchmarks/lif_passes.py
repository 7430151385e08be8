"""Backward pass of LIF neurons: one timestep after another, or all timesteps at once in a few
passes of a fixed-point iteration (Feng et al. 2025, arXiv 2506.12087, equation of the backward
pass).

    python benchmarks/lif_passes.py [--passes 3 ...] [--rounds 7] [--into docs/training-speed.md]

Backwards, G_h(t) = sigma(t) G_s(t) + a(t) G_h(t + 1), with a(t) = decay dv/dh (t). All timesteps
of the right side at once, with the G_h of the pass before, is exact after T - 1 passes; after K,
what is left out is a product of K + 1 factors a. Both ways take turns on one thread; processor
time, the fastest of the rounds. The error is the largest difference over the largest gradient.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import torch
from parts import engine_table, marks

from spikeport.train.loop.memory import keep_freed_memory
from spikeport.train.neurons.stbp import LIFConfig, lif_backward, lif_forward

SIZES = {"dense, 300 neurons, 1 sample": (300, (5, 20, 100)), "dense, 300 neurons, 128 samples": (38_400, (5, 20, 100))}
SIZES["convolution, 15 x 28 x 28 neurons, 128 samples"] = (1_505_280, (5, 20))
NEURONS = {"reset detached": LIFConfig(), "reset differentiated": LIFConfig(detach_reset=False)}
HEAD = "| layer | neuron | T | timestep after timestep | passes | all at once | longer | error |"


def fixed_point(potentials: torch.Tensor, grad_spikes: torch.Tensor, config: LIFConfig, passes: int) -> torch.Tensor:
    """The currents' gradient, `(timesteps, neurons)`, after so many passes over all timesteps."""
    sigma = config.surrogate.derivative_(potentials - config.threshold)
    kept = (potentials <= config.threshold).to(potentials.dtype)
    if not config.detach_reset:
        kept.sub_(potentials * sigma)
    kept.mul_(config.decay)
    direct = sigma.mul_(grad_spikes)
    grad = direct.clone()
    other = direct.clone()  # its last timestep stays what it is: nothing comes after it
    for _ in range(passes):
        torch.addcmul(direct[:-1], kept[:-1], grad[1:], out=other[:-1])
        grad, other = other, grad
    return grad.mul_(config.gain)


def fastest(ways: list[Callable[[], torch.Tensor]], rounds: int) -> list[float]:
    """Processor seconds of each, by turns; a round lasts at least a twentieth of a second."""
    best = [float("inf")] * len(ways)
    for _, (i, way) in product(range(rounds), enumerate(ways)):
        begun, runs = time.process_time(), 0
        while (spent := time.process_time() - begun) < 0.05:
            way()
            runs += 1
        best[i] = min(best[i], spent / runs)
    return best


def lines(name: str, neuron: str, timesteps: int, passes: list[int], rounds: int) -> list[str]:
    """Rows of the table."""
    config = NEURONS[neuron]
    torch.manual_seed(0)
    currents, grad_spikes = 0.6 * torch.randn(2, timesteps, SIZES[name][0])
    _, potentials = lif_forward(currents + 0.3, timesteps, config.decay, config.gain, config)

    def in_turn() -> torch.Tensor:
        return lif_backward(potentials, grad_spikes, config.decay, config.gain, config, held=False, learned=False)[0]

    exact = in_turn()
    assert torch.allclose(fixed_point(potentials, grad_spikes, config, timesteps - 1), exact, atol=1e-5)
    ways = [in_turn, *(lambda k=k: fixed_point(potentials, grad_spikes, config, k) for k in passes)]
    sequential, *others = fastest(ways, rounds)
    made = []
    for k, seconds in zip(passes, others):
        error = ((fixed_point(potentials, grad_spikes, config, k) - exact).abs().max() / exact.abs().max()).item()
        row = (
            name,
            neuron,
            timesteps,
            f"{1e3 * sequential:.3g} ms",
            k,
            f"{1e3 * seconds:.3g} ms",
            f"{seconds / sequential:.2g} times",
            f"{error:.0e}",
        )
        made.append(f"| {' | '.join(map(str, row))} |")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, nargs="+", default=[3])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    table = [HEAD, "|---|---|---:|---:|---:|---:|---:|---:|"]
    for name, neuron in product(SIZES, NEURONS):
        for timesteps in SIZES[name][1]:
            table += lines(name, neuron, timesteps, options.passes, options.rounds)
            print(*table[-len(options.passes) :], sep="\n", flush=True)
    here = engine_table.machine(("torch",))
    told = f"{here['date']}, {here['cpu']}, PyTorch {here['packages']['torch']}, one thread, load {here['load']:.1f}."
    marks.publish(options.into, "lif_passes.py", "\n".join([*table, "", told]))


if __name__ == "__main__":
    main()
