"""Own data and an own training loop: arrays, a network in the papers' notation, plain PyTorch, then
the whole way to the chip.

    python examples/own_data_own_loop.py --out runs/own

The data are made here: which of two tones sounds in a noisy window of 32 samples. Nothing of this
file is special to them.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch.nn import functional as F

import spikeport as sp


def tones(samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows `(samples, 32)` in 0..1 and which tone sounds in each."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, samples)
    phase = 2 * np.pi * (np.arange(32) / np.array([16.0, 5.0])[y][:, None] + rng.random((samples, 1)))
    return (0.5 + 0.3 * np.sin(phase) + 0.3 * rng.standard_normal(phase.shape)).clip(0, 1).astype(np.float32), y


def main() -> sp.Report:
    """The whole path."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", default="runs/own")
    parser.add_argument("--backends", default="engine", help="engine, or engine,lava where Intel's Lava is installed")
    parser.add_argument("--force", action="store_true", help="replace what an earlier run left in --out")
    arguments = parser.parse_args()

    data = sp.dataset(tones(1200, seed=0), test=tones(600, seed=1))
    network = sp.build("64-32", data, timesteps=4, seed=0)

    # Your loop, your loss, your optimizer: the network is a torch module; its outputs (T, N,
    # classes) add up over time.
    x, y = torch.from_numpy(data.train.array), torch.from_numpy(data.train.labels)
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for epoch in range(arguments.epochs):
        network.train()
        for batch in torch.randperm(len(x)).split(64):
            loss = F.cross_entropy(network(x[batch]).sum(0), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        accuracy = sp.evaluate(network, data.validation.array, data.validation.labels, timesteps=4)
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}, validation {accuracy[-1]:.2%}")

    report = sp.deploy(
        sp.lower(network),
        data.test.array,
        data.test.labels,
        arguments.out,
        name="tones",
        tolerance=3.0,
        backends=arguments.backends.split(","),
        verify_samples=20,
        force=arguments.force,
    )
    print(report)
    print(report.cost)
    print(f"report: {arguments.out}/report.html")
    return report


if __name__ == "__main__":
    main()
