"""Find the fewest timesteps T' whose accuracy loss stays below the tolerance, with 95 % confidence, and an early exit with the same.

Chosen on validation data from one record in fixed point by exact paired tests against T timesteps and against the float network,
confirmed once on test data, and at T' in real Lava. Needs DIR/network.nir. Writes DIR/deployed.nir, the network with T'.
Exit status 1 if Lava differs from the reference.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from spikeport.analysis.common.numbers import counted
from spikeport.analysis.decision.early_exit import EarlyExit
from spikeport.analysis.decision.guarantee import Confirmation, LossLimits, check_statement
from spikeport.analysis.decision.timestep_cut import Truncation
from spikeport.commands.parts.options import add_data, add_force, add_json, emit, output_file, progress_bar, table
from spikeport.commands.verify import describe as describe_verification
from spikeport.export.common.digest import short
from spikeport.stages.bound import bound
from spikeport.stages.claims import held
from spikeport.stages.imported import open_session
from spikeport.stages.session import CUT_FROM
from spikeport.stages.truncation import LAVA_SAMPLES, truncate_stage

EXAMPLES = """examples:
  spikeport truncate runs/mnist --tolerance 0.5 --out runs/mnist/truncation.json
  spikeport truncate runs/mnist --lava-samples 0 --out runs/mnist/truncation.json     where Lava is not installed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport truncate`."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="the folder of a run with network.nir in it")
    parser.add_argument("--tolerance", type=float, default=0.5, metavar="P", help="accuracy loss in percentage points (default 0.5)")
    parser.add_argument("--out", type=output_file, required=True, metavar="truncation.json")
    parser.add_argument(
        "--lava-samples",
        type=int,
        default=LAVA_SAMPLES,
        metavar="N",
        help=f"test samples run in Lava at T' (default {LAVA_SAMPLES}; 0: none)",
    )
    add_force(parser, "what another network or program left at --out, or as DIR/deployed.nir")
    add_data(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Choose, confirm and print."""
    check_statement(1, arguments.tolerance, 0.95)  # before anything is read
    with held(arguments.directory, arguments.out.parent):
        session = open_session(arguments.directory, arguments.data_dir, progress_bar)
        settings = {"tolerance": arguments.tolerance, "lava_samples": arguments.lava_samples}
        result = truncate_stage(session, arguments.out, **settings, force=arguments.force)
    made_of = session.made_of(*CUT_FROM)
    lines = f"{describe(result)}\nnetwork {short(made_of['network'])}"
    emit(arguments, bound(result, made_of), lines, session.notes)
    return 1 if result.lava and not result.lava.equal else 0


def describe(result: Truncation) -> str:
    """The tests as a table, the choices in words, and what confirmed them."""
    rows = [(s.timesteps, f"{s.accuracy:.2%}", _limits(s.losses.full), _limits(s.losses.floating), s.verdict) for s in result.steps]
    limits = f"{result.confidence:.0%} limits"
    head = ("T'", "validation", f"loss against T ({limits})", f"loss against float ({limits})", "loss below tolerance")
    claim = f"tolerance {result.tolerance:g} points, {counted(result.samples, 'validation sample')}" + (
        "" if result.shown else "; nothing was shown"
    )
    lines = [table(rows, head), f"T' = {result.chosen} of {result.timesteps} ({claim})"]
    if result.proposal:
        lines.append(f"Fisher information proposes T' = {result.proposal}")
    if result.test:
        lines.append(_confirmed(f"T' = {result.chosen}", result.test, result))
    lines.append(
        "Lava: " + describe_verification(result.lava).partition(": ")[2] if result.lava else f"Lava: skipped, {result.lava_absent}"
    )
    lines += _describe_exit(result.exit, result) if result.exit else []
    return "\n".join([*lines, *([f"note: {result.warning}"] if result.warning else [])])


def _describe_exit(early_exit: EarlyExit, result: Truncation) -> list[str]:
    if early_exit.threshold is None or early_exit.test is None:
        return ["early exit: no margin was shown to be safe"]
    shares = ", ".join(f"{share:.1%}" for share in early_exit.exits)
    return [
        f"early exit at a margin of {early_exit.threshold}: {early_exit.mean_steps:.2f} timesteps on average ({shares} after 1 to {result.timesteps})",
        _confirmed("early exit", early_exit.test, result),
    ]


def _confirmed(what: str, test: Confirmation, result: Truncation) -> str:
    return (
        f"test, {what}: {test.accuracy_chosen:.2%} (T: {test.accuracy_full:.2%}, float: {test.accuracy_floating:.2%}); loss "
        f"{_limits(test.losses.full)} and {_limits(test.losses.floating)} points; the test data {test.verdict(result.tolerance)}"
    )


def _limits(loss: LossLimits) -> str:
    return f"{loss.value:+.2f} ({loss.low:+.2f} .. {loss.high:+.2f})"
