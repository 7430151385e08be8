"""What Fisher information over time costs: ours, a plain loop over samples and timesteps, the
authors' way, and torch.func.

    python benchmarks/timesteps/fisher.py [--rounds N]

One thread. STBP on 15C5-P2-40C5-P2-300, T = 5, 128 images of uniform random pixels, weights as at
the start of training, BatchNorm statistics from those images. All find the same numbers
(`deviation`, relative, of I_t). Contenders take turns and each is given its fastest round, in
processor time, so that other work on the machine harms all alike. Writes
benchmarks/results/fisher.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spikeport.analysis.information.fisher import fisher_information
from spikeport.stages.tic import PASS_SAMPLES
from spikeport.train.data.registry import Task
from spikeport.train.network.build import build
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.settings.config import defaults_for

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `parts` lies

from parts import engine_table, fisher_rivals

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "benchmarks/results/fisher.json"
ARCH, STEPS, SAMPLES, PUBLISHED_BATCH = "15C5-P2-40C5-P2-300", 5, 128, 16
GOAL = 5
"""Times faster than a plain loop (issue 5)."""
RIVALS = {"plain loop": "ours", "plain loop, one run per sample": "ours", "torch.func": "ours", "authors' way": "ours, batch"}
"""What each rival is held against: the estimator that finds the same."""


def setting() -> tuple[SpikingNetwork, Tensor, Tensor]:
    """The network in evaluation mode, images and labels."""
    torch.manual_seed(0)
    module = build(defaults_for("mnist", method="stbp", arch=ARCH, timesteps=STEPS), Task("mnist", (1, 28, 28), 10, 256))
    x, y = torch.rand(SAMPLES, 1, 28, 28), torch.randint(10, (SAMPLES,))
    module.train()
    with torch.no_grad():
        for _ in range(20):
            module(x, STEPS)
    return module.eval(), x, y


def contenders() -> dict[str, Callable[[], np.ndarray]]:
    """Each gives I_t, `(T,)`."""
    module, x, y = setting()
    published = list(zip(x.split(PUBLISHED_BATCH), y.split(PUBLISHED_BATCH)))
    return {
        "ours": lambda: np.array(fisher_information(module, zip(x.split(PASS_SAMPLES), y.split(PASS_SAMPLES)), STEPS).per_step),
        "plain loop": lambda: fisher_rivals.plain_loop(module, x, y, STEPS, shared=False),
        "plain loop, one run per sample": lambda: fisher_rivals.plain_loop(module, x, y, STEPS, shared=True),
        "torch.func": fisher_rivals.torch_func(module, x, y, STEPS),
        "ours, batch": lambda: np.array(fisher_information(module, published, STEPS, estimator="batch").per_step),
        "authors' way": lambda: fisher_rivals.published(module, published, STEPS),
    }


def measure(rounds: int) -> dict[str, object]:
    """Processor seconds of every contender and how its numbers compare."""
    runs = contenders()
    found = {name: run() for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.process_time()
            run()
            seconds[name].append(time.process_time() - started)
    best = {name: min(values) for name, values in seconds.items()}
    faster = {rival: best[rival] / best[ours] for rival, ours in RIVALS.items()}
    return {
        "network": ARCH,
        "timesteps": STEPS,
        "samples": SAMPLES,
        "samples in a pass of ours": PASS_SAMPLES,
        "published batch": PUBLISHED_BATCH,
        "rounds": rounds,
        "processor seconds": best,
        "median": {name: float(np.median(values)) for name, values in seconds.items()},
        "deviation": {rival: float(np.abs(found[rival] / found[ours] - 1).max()) for rival, ours in RIVALS.items()},
        "times faster": faster,
        "goal met": {rival: faster[rival] >= GOAL for rival in faster if rival.startswith("plain loop")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = {"machine": engine_table.machine(("torch", "numpy")), **measure(options.rounds)}
    RESULT.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps({name: results[name] for name in ("processor seconds", "times faster", "deviation")}, indent=1))


if __name__ == "__main__":
    main()
