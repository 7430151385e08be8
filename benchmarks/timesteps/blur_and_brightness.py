"""Whether blur costs accuracy by its shape or by the brightness that thin strokes lose in it.

    python benchmarks/timesteps/blur_and_brightness.py RUN ... --data-dir DIR [--samples 1000]
        [--into docs/results.md]

RUN: a folder that `spikeport run` or `spikeport train` wrote. The float network answers test images
at T: as they are, dimmed, blurred as `spikeport robustness` blurs them, and blurred images made as
bright again as they were (each image's Euclidean norm).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor

from spikeport.analysis.results.perturbations import Strengths, blur
from spikeport.commands.parts.options import progress_bar
from spikeport.stages.trained import TrainedSession
from spikeport.train.loop.evaluation import evaluate

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `parts` lies

from parts import marks

HEAD = "| run | as they are | 3/4 as bright | half as bright | blurred | norm left of it | blurred, norm given back | and half as bright again |"


def norms(images: Tensor) -> Tensor:
    """Of each image of `(N, C, H, W)`, `(N, 1, 1, 1)`."""
    return images.flatten(1).norm(dim=1)[:, None, None, None]


def row(run: Path, data_dir: Path | None, samples: int) -> str:
    """Of the table."""
    session = TrainedSession.opened(run, data_dir, progress_bar)
    part = session.split("test")[:samples]
    images = torch.from_numpy(part.array)
    blurred = blur(images, Strengths().blur)
    left = norms(blurred) / norms(images)
    tried = [images, 0.75 * images, 0.5 * images, blurred, blurred / left, 1.5 * blurred / left]
    cells = [f"{100 * evaluate(session.trained.module, x.numpy(), part.labels, session.timesteps)[-1]:.1f} %" for x in tried]
    cells.insert(4, f"{100 * left.mean():.0f} %")
    return f"| {' | '.join([run.name, *cells])} |"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--data-dir", type=Path, metavar="DIR")
    parser.add_argument("--samples", type=int, default=1000, metavar="N", help="the first so many test images (default 1000)")
    parser.add_argument("--into", type=Path, metavar="PAGE.md")
    arguments = parser.parse_args()
    lines = [row(run, arguments.data_dir, arguments.samples) for run in arguments.runs]
    marks.publish(arguments.into, "timesteps/blur_and_brightness.py", "\n".join([HEAD, "|---|" + "---:|" * (HEAD.count("|") - 2), *lines]))


if __name__ == "__main__":
    main()
