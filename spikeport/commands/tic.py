"""Fisher information over timesteps, by block and kind of parameter, and its centroid (temporal
information concentration, Kim et al. 2023).

Of a network trained here, on training samples; or of any .nir file, on samples that are given. All
timesteps come from the same data and one forward pass. Writes JSON and, beside it, a page with
pictures; with the course over epochs where training followed it (spikeport train --tic-every).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

from spikeport.analysis.common.jsonable import to_json
from spikeport.analysis.information.fisher import FisherResult, normalised
from spikeport.analysis.information.scores import Estimator, Labels
from spikeport.analysis.pages.fisher import describe
from spikeport.commands.parts.options import (
    MEANING,
    add_data,
    add_force,
    add_json,
    add_meaning,
    emit,
    output_file,
    progress_bar,
    refuse_ignored,
    table,
)
from spikeport.commands.parts.sources import load_any, natural_timesteps
from spikeport.export.common.digest import content_digest, short
from spikeport.export.common.errors import InputError
from spikeport.export.model.digest import network_digest
from spikeport.export.nir.file import is_quantized
from spikeport.hw.records.stimulus import load_input
from spikeport.stages.folder.bound import MADE_OF, Digests
from spikeport.stages.folder.claims import check_kept, check_output, held, json_origin, page_origin
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.imported import open_session
from spikeport.stages.tic import TicConfig, of_float_network, tic_stage, write_tic

EXAMPLES = """examples:
  spikeport tic runs/digits
  spikeport tic runs/mnist --data-dir data --samples 1000 --estimator batch --batch 16 --out published.json
  spikeport tic anyone.nir --from norse --input x.npy --targets y.npy --timesteps 10 --out tic.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport tic`."""
    usual = TicConfig()
    parser.add_argument("network", type=Path, metavar="DIR|NET.nir", help="the folder of a run, or a .nir file")
    parser.add_argument("--out", type=output_file, metavar="tic.json", help="default DIR/tic.json, which truncation and report read")
    parser.add_argument("--samples", type=int, default=usual.samples, metavar="N", help="the first N samples (default 256)")
    parser.add_argument(
        "--estimator",
        choices=get_args(Estimator),
        default=usual.estimator,
        help="sample: each sample's own gradient (equation 6); batch: the gradient of a batch's mean, as the authors' script",
    )
    parser.add_argument("--batch", type=int, default=usual.batch, metavar="B", help="samples of estimator batch (default 16)")
    parser.add_argument("--labels", choices=get_args(Labels), default=usual.labels, help="true as published, or drawn from the network")
    parser.add_argument(
        "--timesteps", type=int, metavar="T", help="default: the network's; of a .nir that states none the input's, or 32 where it is held"
    )
    parser.add_argument("--seed", type=int, metavar="S", help="of sampled labels, noise and intervals (default: the training's, or 0)")
    parser.add_argument("--input", type=Path, metavar="X.npy", help="of a .nir: (samples, timesteps, *shape), or (samples, *shape) held")
    parser.add_argument("--targets", type=Path, metavar="Y.npy", help="of a .nir: the right class of every sample, integers")
    add_force(parser, "what another network or program left at --out")
    add_meaning(parser)
    add_data(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Estimate and print the curve."""
    out = arguments.out or Workspace(arguments.network).tic
    if arguments.network.is_dir():
        refuse_ignored(arguments, ["input", "targets", *MEANING], f"{arguments.network} is a training directory with data of its own")
    else:
        refuse_ignored(arguments, ["data_dir"], f"{arguments.network} was not trained here; --input and --targets give its data")
    with held(out.parent):
        result, made_of, notes = (_of_file if arguments.network.is_file() else _of_directory)(arguments, out)
    curve = f"{_table(result)}\n" if result.informative else ""
    of = ", ".join(f"{name} {short(digest)}" for name, digest in made_of.items())
    emit(arguments, {MADE_OF: dict(made_of), **_with_views(result)}, f"{curve}{describe(result)}\n{of}", notes)
    return 0


def _config(arguments: argparse.Namespace, seed: int) -> TicConfig:
    names = ("samples", "estimator", "labels", "batch", "timesteps")
    return TicConfig(**{name: getattr(arguments, name) for name in names}, seed=seed if arguments.seed is None else arguments.seed)


Told = tuple[FisherResult, Digests, Sequence[str]]
"""A result, what it was made of, and notes."""


def _of_directory(arguments: argparse.Namespace, out: Path) -> Told:
    session = open_session(arguments.network, arguments.data_dir, progress_bar)
    made_of = session.made_of(*session.informed_by)
    _check(arguments, out, made_of, home=session.work.root)
    return tic_stage(session, out, _config(arguments, session.seed)), made_of, session.notes


def _check(arguments: argparse.Namespace, out: Path, made_of: Digests, home: Path | None) -> None:
    check_output(out, json_origin(FisherResult), made_of, force=arguments.force, home=home)
    check_output(out.with_suffix(".html"), page_origin, {}, force=arguments.force, home=out.parent)
    check_kept(out.with_suffix(".html"), force=arguments.force)


def _of_file(arguments: argparse.Namespace, out: Path) -> Told:
    if not arguments.input or not arguments.out:
        raise InputError(f"{arguments.network} is a file; give samples with --input X.npy, and --out tic.json")
    network, array = load_any(arguments), load_input(arguments.input)
    config = _config(arguments, 0)
    if config.timesteps is None and not is_quantized(arguments.network):
        config = replace(config, timesteps=natural_timesteps(network, array))
    targets = load_input(arguments.targets) if arguments.targets else None
    made_of = {"network": network_digest(network), "input": content_digest("input", array)}
    made_of |= {} if targets is None else {"targets": content_digest("targets", targets)}
    _check(arguments, out, made_of, home=None)
    with progress_bar(min(len(array), config.samples), "Fisher information") as progress:
        result = of_float_network(network, array, targets, config, progress)
    write_tic(result, None, arguments.network.name, out, made_of)
    return result, made_of, ()


def _with_views(result: FisherResult) -> dict:
    """The result as in the file, and what follows from it."""
    views = {
        "centroid": result.centroid,
        "to_come": result.to_come,
        "proposal": result.proposal(),
        "normalised": {by: normalised(result.per_block, by) for by in ("peak", "sum")},
    }
    return {**to_json(result), **to_json(views)}


def _table(result: FisherResult) -> str:
    nan = ((np.nan, np.nan),) * result.timesteps
    limits = result.intervals.per_step if result.intervals else nan
    rest = result.intervals.to_come if result.intervals else nan
    rows = [
        (t + 1, f"{result.per_step[t]:.4g}", _span(limits[t], ".4g"), f"{result.to_come[t]:.2%}", _span(rest[t], ".2%"))
        for t in range(result.timesteps)
    ]
    return table(rows, ("t", "I_t", "95 % limits", "still to come", "95 % limits"))


def _span(limits: tuple[float, float], form: str) -> str:
    return "-" if np.isnan(limits[0]) else f"{limits[0]:{form}} .. {limits[1]:{form}}"
