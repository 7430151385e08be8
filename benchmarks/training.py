"""Time and memory of training: one step and one epoch against snnTorch, SpikingJelly and Norse on
the same network.

    python benchmarks/training.py --data-dir DIR [--make-rivals] [--quick] [--timesteps 5 10 20] [--batch 64 128]

Writes benchmarks/results/training.json and the table in docs/training-speed.md, which says how it
is measured. --quick tries everything on small sizes and writes nothing. --table prints the table of
the results there are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from parts import engine_table, rivals, training_table
from parts.training_worker import ARCHITECTURE

from spikeport.export.common.files import write_text
from spikeport.train.data.registry import load

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks/results/training.json"
DOCUMENT = ROOT / "docs/training-speed.md"
OURS = (("stbp", "float32"), ("stbp", "bfloat16"), ("dsr", "float32"))
OTHERS = (("snntorch", "float32"), ("spikingjelly", "float32"), ("spikingjelly", "float32 kept"), ("norse", "float32"))
KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
"""What `train.loop.memory.keep_freed_memory` does, for a rival of precision "... kept": what our
trainer's allocator alone would do for it.
"""


class Worker:
    """A contender waiting in its own process. started: its first losses, peak memory and versions."""

    def __init__(self, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        self.process = subprocess.Popen(command, env={**rivals.ENVIRONMENT, **(environment or {})}, **pipes)
        self.started = self._answer()

    def round(self, what: str = "steps") -> dict[str, float]:
        """One round, or one "epoch"."""
        assert self.process.stdin
        print(what, file=self.process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self.process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(map(str, self.process.args))} ended; run it by hand to see why")  # type: ignore[arg-type]
        return json.loads(line)


def case(timesteps: int, batch: int, options: argparse.Namespace, data: str) -> dict[str, Any]:
    """All contenders at one size, taking turns; seconds per step and per epoch are medians over
    rounds.
    """
    settings = [str(n) for n in (timesteps, batch, options.threads, options.steps)] + [data]
    pythons = {**dict.fromkeys(OURS, sys.executable), **dict.fromkeys(OTHERS, str(rivals.PYTHON))}
    workers = {
        " ".join(who): Worker([python, "-m", "parts.training_worker", *who, *settings], KEPT if "kept" in who[1] else {})
        for who, python in pythons.items()
    }
    steps: dict[str, list[dict[str, float]]] = {key: [] for key in workers}
    epochs: dict[str, list[dict[str, float]]] = {key: [] for key in workers}
    for _ in range(options.rounds):
        for key, worker in workers.items():
            steps[key].append(worker.round())
    for _ in range(options.epochs):
        for key, worker in workers.items():
            epochs[key].append(worker.round("epoch"))
    for worker in workers.values():
        worker.close()
    return {
        key: {
            "step": {clock: median(r[clock] for r in steps[key]) / options.steps for clock in ("wall", "core")},
            "epoch": {clock: median(r[clock] for r in epochs[key]) for clock in ("wall", "core")},
            "rounds": [r["core"] / options.steps for r in steps[key]],
            **worker.started,
        }
        for key, worker in workers.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's idx files")
    parser.add_argument("--make-rivals", action="store_true", help="create the other frameworks' environment first")
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing is written")
    parser.add_argument("--table", action="store_true", help="only print the table")
    parser.add_argument("--timesteps", type=int, nargs="+", default=[5, 10, 20])
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--images", type=int, default=6400, help="images of an epoch")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=5, help="steps of a round")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.table:
        return print(training_table.table(json.loads(RESULT.read_text())))
    if options.quick:
        options.timesteps, options.batch, options.images, options.rounds, options.steps, options.epochs = [4], [16], 64, 2, 1, 1
    if options.make_rivals:
        rivals.make()
    train = load("mnist", options.data_dir).train[slice(options.images)]
    described = {key: getattr(options, key) for key in ("images", "rounds", "steps", "epochs", "threads")}
    results: dict[str, Any] = {"machine": engine_table.machine(("torch", "numpy")), "network": ARCHITECTURE, **described, "cases": {}}
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/images.npz"
        np.savez(data, images=train.images, labels=train.labels)
        for timesteps, batch in product(options.timesteps, options.batch):
            results["cases"][f"T = {timesteps}, batch {batch}"] = case(timesteps, batch, options, data)
            print(training_table.table(results), flush=True)
            if not options.quick:
                write_text(RESULT, json.dumps(results, indent=1) + "\n")
    if not options.quick:
        training_table.into_document(DOCUMENT, results)


if __name__ == "__main__":
    main()
