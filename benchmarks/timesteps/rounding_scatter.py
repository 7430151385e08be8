"""How far accuracy scatters when weights move by no more than rounding moves them: what a
difference between a float network and its integers must be held against.

    python benchmarks/timesteps/rounding_scatter.py RUN ... --data-dir DIR [--copies 10]
        [--into docs/results.md]

RUN: a folder that `spikeport run` wrote. Every weight of a copy moves by up to half a step of 8
bits, drawn evenly; all copies and the float network answer the same validation and test samples at
T, with the same noise where a network has any.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from spikeport.commands.parts.options import progress_bar
from spikeport.stages.session import SplitName
from spikeport.stages.trained import TrainedSession
from spikeport.train.loop.evaluation import evaluate

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `parts` lies

from parts import marks

PARTS: tuple[SplitName, ...] = ("validation", "test")
LARGEST = 127
"""Weight of 8 bits."""


def moved(module: nn.Module, seed: int) -> nn.Module:
    """A copy with other weights."""
    module, generator = copy.deepcopy(module), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                w = layer.weight
                w.add_((torch.rand(w.shape, generator=generator) - 0.5) * w.abs().max() / LARGEST)
    return module


def rows(run: Path, data_dir: Path | None, copies: int) -> list[str]:
    """Of the table, one for each part of the data."""
    session = TrainedSession.opened(run, data_dir, progress_bar)
    module, steps = session.trained.module, session.timesteps
    modules = [module, *(moved(module, seed) for seed in range(copies))]
    found = {part: np.zeros(len(modules)) for part in PARTS}
    for i, each in enumerate(tqdm(modules, run.name)):
        for part in PARTS:
            split = session.split(part)
            torch.manual_seed(0)
            found[part][i] = 100 * evaluate(each, split.images, split.labels, steps)[-1]
    told = json.loads((run / "report.json").read_text(encoding="utf-8"))["accuracy"]
    fixed = {a["split"]: 100 * a["accuracy"][-1] for a in told if a["stage"] == "quantized"}
    return [_row(f"{run.name}, {part}", accuracy[0], fixed[part], accuracy[1:]) for part, accuracy in found.items()]


def _row(name: str, own: float, fixed: float, others: np.ndarray) -> str:
    mean, deviation = others.mean(), others.std(ddof=1)
    return f"| {name} | {own:.2f} % | {fixed:.2f} % | {mean:.2f} % | {deviation:.2f} | {(own - mean) / deviation:+.1f} |"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--data-dir", type=Path, metavar="DIR")
    parser.add_argument("--copies", type=int, default=10, metavar="N")
    parser.add_argument("--into", type=Path, metavar="PAGE.md")
    arguments = parser.parse_args()
    head = f"| run | float | fixed point | mean of {arguments.copies} copies | their deviation | float, in deviations from the mean |"
    lines = [head, "|---|---:|---:|---:|---:|---:|"]
    for run in arguments.runs:
        lines += rows(run, arguments.data_dir, arguments.copies)
    marks.publish(arguments.into, "timesteps/rounding_scatter.py", "\n".join(lines))


if __name__ == "__main__":
    main()
