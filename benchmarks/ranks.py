"""Images a second of training: two processes under torchrun, one thread each, against one process
with one thread and with two.

    torchrun --standalone --nproc-per-node 2 benchmarks/ranks.py [--images 512] [--rounds 5]

The network is Wu et al.'s for MNIST (15C5-P2-40C5-P2-300) on images of noise, 28 x 28, T = 10, batch
128, one epoch of the trainer at a time. The ways take turns in the same two processes, of which one
waits while the other works alone; the median counts. Writes benchmarks/results/ranks.json and the
table in docs/scale.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch.distributed as dist
from parts import engine_table, marks

from spikeport.export.common.files import write_text
from spikeport.train.data.registry import Dataset, Split, Task
from spikeport.train.loop import trainer
from spikeport.train.loop.memory import keep_freed_memory
from spikeport.train.loop.threads import operator_threads
from spikeport.train.ranks.group import ALONE, Ranks, joined
from spikeport.train.settings.config import defaults_for
from spikeport.train.settings.methods import METHODS

ROOT = Path(__file__).resolve().parents[1]
RESULT, DOCUMENT = ROOT / "benchmarks/results/ranks.json", ROOT / "docs/scale.md"
WAYS = {"one process, 1 thread": (1, 1), "one process, 2 threads": (1, 2), "two processes, 1 thread each": (2, 1)}


def noise(count: int) -> Dataset:
    """Images of noise."""
    images = np.random.default_rng(0).random((count, 1, 28, 28), np.float32)
    split = Split(images, np.arange(count) % 10)
    return Dataset(Task("mnist", (1, 28, 28), 10, 255), split, split[:1], split[:1], "noise")


def measured(method: str, data: Dataset, ranks: Ranks, rounds: int) -> dict[str, list[float]]:
    """Images a second of each way, round after round; all processes call it."""
    config = defaults_for("mnist", method=method, arch="15C5-P2-40C5-P2-300", timesteps=10, batch_size=128)
    alone, both = (trainer._start(config, data, "cpu", None, r) for r in (ALONE, ranks))
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(rounds + 1):
        for way, (processes, threads) in WAYS.items():
            dist.barrier()
            began = perf_counter()
            if processes > 1 or ranks.first:
                with operator_threads(threads):
                    trainer._epoch(both if processes > 1 else alone, number)
            if number:  # the first round warms up
                rates[way].append(len(data.train) / (perf_counter() - began))
    return rates


def table(rows: dict[str, dict[str, float]], said: str) -> str:
    """As Markdown."""
    lines = [f"| images/s | {' | '.join(WAYS)} | two processes / one with 2 threads |", f"|---|{'---:|' * (len(WAYS) + 1)}"]
    for method, row in rows.items():
        _, threads, processes = row.values()
        lines.append(f"| {method} | {' | '.join(f'{rate:.0f}' for rate in row.values())} | {processes / threads:.2f} |")
    return "\n".join([*lines, "", said])


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    keep_freed_memory()
    with joined("cpu") as ranks:
        m = engine_table.machine(("torch",))
        rates = {method: measured(method, noise(given.images), ranks, given.rounds) for method in METHODS}
    if ranks.first:
        rows = {method: {way: median(each) for way, each in ways.items()} for method, ways in rates.items()}
        write_text(RESULT, json.dumps({"machine": m, "images": given.images, "rounds": rates}, indent=1))
        cpu, torch = f"{m['cpu']}, {m['cores']} cores, load {m['load']:.1f} when started", m["packages"]["torch"]
        marks.replace(DOCUMENT, "ranks.py", table(rows, f"{m['date']}, {cpu}; {given.rounds} rounds; torch {torch}."))


if __name__ == "__main__":
    main()
