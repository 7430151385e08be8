"""Fisher information over timesteps and per layer, and its centroid (temporal information concentration, Kim et al. 2023).

Estimated on validation samples with the trained float network: per sample (equation 6), all timesteps from one forward pass.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from spikeport.analysis.jsonable import to_json
from spikeport.commands.options import add_data, add_json, emit, progress_bar, table
from spikeport.pipeline import tic_stage
from spikeport.workspace import Workspace

EXAMPLES = """examples:
  spikeport tic runs/digits --out runs/digits/tic.json
  spikeport tic runs/mnist --data-dir data --samples 500 --labels sampled --out tic.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport tic`."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="a training directory")
    parser.add_argument("--out", type=Path, required=True, metavar="tic.json")
    parser.add_argument("--samples", type=int, default=256, metavar="N", help="validation samples (default 256)")
    parser.add_argument("--labels", choices=["true", "sampled"], default="true", help="empirical as published, or drawn from the model")
    add_data(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Estimate and print the curve."""
    work = Workspace(arguments.directory)
    data = work.dataset(work.trained(), arguments.data_dir)
    result = tic_stage(work, data, arguments.out, progress_bar, samples=arguments.samples, labels=arguments.labels)
    rows = [
        (t, f"{value:.4g}", f"{error:.2g}", f"{rest:.1%}")
        for t, (value, error, rest) in enumerate(zip(result.per_step, result.standard_error, result.to_come), 1)
    ]
    text = table(rows, ("t", "I_t", "standard error", "share still to come"))
    emit(arguments, to_json(result), f"{text}\ninformation centroid {result.centroid:.3f} of {result.timesteps}, {result.samples} samples")
    return 0
