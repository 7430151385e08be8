"""What `recompute` costs in time and saves in memory: STBP with and without, a step of the same
training.

    python benchmarks/recompute.py --data-dir DIR [--timesteps 5 20] [--batch 128] [--into docs/training-speed.md]

Both live in processes of their own and take turns; memory and time are measured as in
`benchmarks/training.py`, their first losses must be equal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np
from parts import engine_table, marks
from parts.training_worker import ARCHITECTURE, DEEP
from training import Worker

from spikeport.train.data.registry import load

HEAD = "| network | T | memory kept | memory recomputed | saved | step kept | step recomputed | longer |"
NETWORKS = {"stbp": ARCHITECTURE, "stbp deep": DEEP}


def measured(name: str, timesteps: int, options: argparse.Namespace, data: str) -> tuple[list[float], list[float]]:
    """Bytes at most, and processor seconds of a step, of both."""
    settings = [str(n) for n in (timesteps, options.batch, options.threads, options.steps)] + [data]
    workers = [
        Worker([sys.executable, "-m", "parts.training_worker", who, options.precision, *settings]) for who in (name, f"{name} recomputed")
    ]
    first, second = (worker.started["losses"] for worker in workers)
    assert first == second, f"the losses differ: {first}, {second}"
    rounds = [[worker.round()["core"] / options.steps for worker in workers] for _ in range(options.rounds)]
    for worker in workers:
        worker.close()
    return [worker.started["peak bytes"] for worker in workers], [median(times) for times in zip(*rounds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's idx files")
    parser.add_argument("--networks", choices=NETWORKS, nargs="+", default=list(NETWORKS))
    parser.add_argument("--timesteps", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="steps of a round")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    train = load("mnist", options.data_dir).train[slice(options.batch)]
    lines = [HEAD, "|---|---:|---:|---:|---:|---:|---:|---:|"]
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/images.npz"
        np.savez(data, images=train.images, labels=train.labels)
        for name, timesteps in product(options.networks, options.timesteps):
            (much, less), (quick, slow) = measured(name, timesteps, options, data)
            sizes = f"{much / 1e6:.0f} MB | {less / 1e6:.0f} MB | {1 - less / much:.0%}"
            lines.append(
                f"| {NETWORKS[name]} | {timesteps} | {sizes} | {1e3 * quick:.0f} ms | {1e3 * slow:.0f} ms | {slow / quick - 1:.0%} |"
            )
            print(lines[-1], flush=True)
    here = engine_table.machine(("torch",))
    how = f"batch {options.batch}, {options.precision}, {options.threads} thread(s), processor time"
    told = f"{here['date']}, {here['cpu']}, PyTorch {here['packages']['torch']}, load {here['load']:.1f}; {how}."
    marks.publish(options.into, "recompute.py", "\n".join([*lines, "", told]))


if __name__ == "__main__":
    main()
