"""Images a second of training: two processes under torchrun, one thread each, against one process
with one thread and with two.

    torchrun --standalone --nproc-per-node 2 benchmarks/scale/ranks.py [--images 512] [--rounds 5]

The network is Wu et al.'s for MNIST (15C5-P2-40C5-P2-300) on images of noise, 28 x 28, T = 10,
batch 128, one epoch of the trainer at a time. The ways take turns in the same two processes, of
which one waits while the other works alone; the median counts. Where other work runs on the
machine, wall time says little; the processor's time, of all processes together, says what sharing
the batch costs. Writes benchmarks/results/ranks.json and the table in docs/scale.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np
import torch
import torch.distributed as dist

from spikeport.export.common.files import write_text
from spikeport.export.common.progress import say
from spikeport.train.data.registry import Dataset, Split, Task
from spikeport.train.loop import trainer
from spikeport.train.loop.memory import keep_freed_memory
from spikeport.train.loop.threads import operator_threads
from spikeport.train.ranks.group import ALONE, Ranks, joined, summed
from spikeport.train.settings.config import defaults_for
from spikeport.train.settings.methods import METHODS

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `parts` lies

from parts import engine_table, marks

ROOT = Path(__file__).resolve().parents[2]
RESULT, DOCUMENT = ROOT / "benchmarks/results/ranks.json", ROOT / "docs/scale.md"
WAYS = {"one process, 1 thread": (1, 1), "one process, 2 threads": (1, 2), "two processes, 1 thread each": (2, 1)}


def noise(count: int) -> Dataset:
    """Images of noise."""
    images = np.random.default_rng(0).random((count, 1, 28, 28), np.float32)
    split = Split(images, np.arange(count) % 10)
    return Dataset(Task("mnist", (1, 28, 28), 10, 255), split, split[:1], split[:1], "noise")


def measured(method: str, data: Dataset, ranks: Ranks, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Images a second of each way, and milliseconds of a core for each image, round after round;
    all processes call it.
    """
    config = defaults_for("mnist", method=method, arch="15C5-P2-40C5-P2-300", timesteps=10, batch_size=128)
    alone, both = (trainer._start(config, data, "cpu", None, r) for r in (ALONE, ranks))
    rates: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for number in range(rounds + 1):
        for way, (processes, threads) in WAYS.items():
            dist.barrier()
            began, core = perf_counter(), process_time()
            if processes > 1 or ranks.first:
                with operator_threads(threads):
                    trainer._epoch(both if processes > 1 else alone, number)
            took, cores = perf_counter() - began, summed(torch.tensor(process_time() - core, dtype=torch.float64), ranks).item()
            if ranks.first and number:  # the first round warms up
                rates[way].append((len(data.train) / took, 1000 * cores / len(data.train)))
                say(f"{method}, {way}: {rates[way][-1][0]:.0f} images/s, {rates[way][-1][1]:.1f} ms of a core for each")
    return rates


def table(rates: dict[str, dict[str, list[tuple[float, float]]]], said: str) -> str:
    """As Markdown."""
    lines = [f"| images/s; ms of a core for each | {' | '.join(WAYS)} |", f"|---|{'---:|' * len(WAYS)}"]
    for method, ways in rates.items():
        rows = [(median(rate for rate, _ in each), median(core for _, core in each)) for each in ways.values()]
        lines.append(f"| {method} | {' | '.join(f'{rate:.0f}; {core:.1f}' for rate, core in rows)} |")
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
        write_text(RESULT, json.dumps({"machine": m, "images": given.images, "images_a_second_and_core_ms": rates}, indent=1))
        cpu, torch = f"{m['cpu']}, {m['cores']} cores, load {m['load']:.1f} when started", m["packages"]["torch"]
        marks.replace(DOCUMENT, "scale/ranks.py", table(rates, f"{m['date']}, {cpu}; {given.rounds} rounds; torch {torch}."))


if __name__ == "__main__":
    main()
