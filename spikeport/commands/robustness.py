"""Accuracy under Gaussian noise, blur, FGSM and PGD, and under deficits in a sliding window of
timesteps (Kim et al. 2023, table 1, figure 2).

In float, and in fixed point where DIR/network.nir is. Adversarial images are made on the float
network through its own gradient (white box) and transferred to the quantized network as integers.
Writes JSON and, beside it, a page with pictures.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

from spikeport.analysis.pages.robustness import lead, table_rows
from spikeport.analysis.results.perturbations import Strengths
from spikeport.commands.parts.folders import Folder
from spikeport.commands.parts.options import add_data, add_force, add_json, emit, output_file, progress_bar, table
from spikeport.commands.parts.workers import add_workers, many, workers_of
from spikeport.export.common.digest import short
from spikeport.stages.folder.bound import bound
from spikeport.stages.folder.claims import held
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.imported import open_session
from spikeport.stages.robustness import RobustnessConfig, robustness_stage

EXAMPLES = """examples:
  spikeport robustness runs/digits
  spikeport robustness runs/mnist --data-dir data --samples 2000 --epsilon 16/255 --step 4/255 --no-random-start --out strong.json
  spikeport robustness runs/mnist --workers 8
  spikeport robustness runs/mnist --deficit blur --window 1
"""
USUAL = Strengths()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport robustness`."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="the folder of a run")
    parser.add_argument("--out", type=output_file, metavar="robustness.json", help="default DIR/robustness.json, which the report shows")
    parser.add_argument("--samples", type=int, default=1000, metavar="N", help="the first test samples (default 1000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of noise, and of PGD's start (default 0)")
    parser.add_argument("--noise", type=float, default=USUAL.noise, metavar="R", help="l2 norm over the image's (default 0.5)")
    parser.add_argument("--blur", type=float, default=USUAL.blur, metavar="F", help="factor of down-sampling (default 2)")
    parser.add_argument("--epsilon", type=_level, default=USUAL.epsilon, metavar="E", help="of FGSM and PGD (default 8/255)")
    parser.add_argument("--step", type=_level, default=USUAL.step, metavar="A", help="of PGD (default 4/255)")
    parser.add_argument("--iterations", type=int, default=USUAL.iterations, metavar="N", help="of PGD (default 10)")
    parser.add_argument(
        "--random-start",
        action=argparse.BooleanOptionalAction,
        default=USUAL.random_start,
        help="PGD starts at a random point of the ball (default), or at the image",
    )
    parser.add_argument("--deficit", choices=["noise", "blur"], default="noise", help="what the window of timesteps sees")
    parser.add_argument("--window", type=int, metavar="W", help="timesteps of a deficit (default 3), 0 for none")
    add_force(parser, "what another network or program left at --out")
    add_data(parser)
    add_workers(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Perturb, run and print the table."""
    names = ("noise", "blur", "epsilon", "step", "iterations", "random_start")
    strengths = Strengths(**{name: getattr(arguments, name) for name in names})
    config = RobustnessConfig(
        samples=arguments.samples, seed=arguments.seed, strengths=strengths, deficit=arguments.deficit, window=arguments.window
    )
    out = arguments.out or Workspace(arguments.directory).robustness
    with held(out.parent):
        session = open_session(arguments.directory, arguments.data_dir, progress_bar)
        opened = Folder.of(session, arguments.data_dir) if many(arguments) else None
        with workers_of(arguments) as workers:
            result = robustness_stage(session, out, config, force=arguments.force, workers=workers, opened=opened)
    made_of = session.made_of(*session.with_network("trained", "test"))
    of = ", ".join(f"{name} {short(digest)}" for name, digest in made_of.items())
    head, rows = table_rows(result)
    lines = f"{table([tuple(row) for row in rows], tuple(head))}\n{lead(result)}\n{of}"
    emit(arguments, bound(result, made_of), lines, session.notes)
    return 0


def _level(text: str) -> float:
    """A number or a fraction, such as 8/255."""
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r} is no number or fraction such as 8/255") from None
