"""Find the fewest timesteps T' whose accuracy loss stays below the tolerance, with 95 % confidence,
and an early exit with the same.

Chosen on validation data from one record in fixed point by exact paired tests against T timesteps
and against the float network. They begin with the T' that training samples propose (--begin), go
down while it is shown and up where it is not, at one level; confirmed once on test data, and at T'
in real Lava. Needs DIR/network.nir. Writes DIR/deployed.nir, the network with T'. Exit status 1 if
Lava differs from the reference.

With --retrain DIR2 the network is also trained on for fewer timesteps, quantized and tested against
the network as it was, before and after each at half of the error; DIR2 becomes a training
directory.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from spikeport.analysis.common.jsonable import to_json
from spikeport.analysis.common.numbers import counted
from spikeport.analysis.decision.conformal import ConformalExit
from spikeport.analysis.decision.early_exit import EarlyExit
from spikeport.analysis.decision.guarantee import Confirmation, LossLimits, check_statement
from spikeport.analysis.decision.timestep_cut import Truncation, verdict_in_words
from spikeport.analysis.results.retraining import Retraining
from spikeport.commands.parts.options import add_data, add_force, add_json, emit, output_file, output_folder, progress_bar, table
from spikeport.commands.verify import describe as describe_verification
from spikeport.export.common.digest import short
from spikeport.export.common.errors import InputError
from spikeport.export.common.lock import locked
from spikeport.stages.folder.bound import bound
from spikeport.stages.folder.claims import held
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.imported import open_session
from spikeport.stages.retraining import SHORTER, check_retraining, retrain_stage
from spikeport.stages.session import CUT_FROM, Session
from spikeport.stages.trained import TrainedSession
from spikeport.stages.truncation import LAVA_SAMPLES, Begin, truncate_stage
from spikeport.train.loop.memory import keep_freed_memory

EXAMPLES = """examples:
  spikeport truncate runs/mnist --tolerance 0.5 --out runs/mnist/truncation.json
  spikeport truncate runs/mnist --lava-samples 0 --out runs/mnist/truncation.json     where Lava is not installed
  spikeport truncate runs/mnist --retrain runs/mnist-short --out runs/mnist/truncation.json
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
    parser.add_argument(
        "--begin",
        choices=get_args(Begin),
        help="what proposes the first T' to test: the float network's accuracy on training samples (default), their Fisher information "
        "(DIR/tic.json, else taken now), or nothing: all T first (an imported network's only way: it brings no training samples)",
    )
    parser.add_argument("--retrain", type=output_folder, metavar="DIR2", help="retrain for fewer timesteps, into DIR2")
    parser.add_argument("--t-retrain", type=int, metavar="T", help="timesteps to retrain for (default: from Fisher information)")
    parser.add_argument("--retrain-epochs", type=int, metavar="N", help=f"of retraining (default: those of training over {SHORTER})")
    add_force(parser, "what another network or program left at --out, or as DIR/deployed.nir")
    add_data(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Choose, confirm and print."""
    check_statement(1, arguments.tolerance, 0.95)  # before anything is read
    _check_retraining(arguments)
    retrained = None
    with held(arguments.directory, arguments.out.parent):
        session = open_session(arguments.directory, arguments.data_dir, progress_bar)
        settings = {"tolerance": arguments.tolerance, "lava_samples": arguments.lava_samples, "begin": arguments.begin}
        result = truncate_stage(session, arguments.out, **settings, force=arguments.force)
        if arguments.retrain:
            retrained = _retrained(session, arguments)
    made_of = session.made_of(*CUT_FROM)
    lines = [describe(result), f"network {short(made_of['network'])}", *([describe_retraining(retrained)] if retrained else [])]
    told = {**bound(result, made_of), **({"retraining": to_json(retrained)} if retrained else {})}
    emit(arguments, told, "\n".join(lines), session.notes)
    return 1 if result.lava and not result.lava.equal else 0


def _check_retraining(arguments: argparse.Namespace) -> None:
    if arguments.retrain is None and (arguments.t_retrain or arguments.retrain_epochs):
        raise InputError("--t-retrain and --retrain-epochs say how to retrain; give --retrain DIR2 too")
    if arguments.retrain_epochs is not None and arguments.retrain_epochs < 1:
        raise InputError(f"--retrain-epochs is {arguments.retrain_epochs}; it must be at least 1")


def _retrained(session: Session, arguments: argparse.Namespace) -> Retraining:
    if not isinstance(session, TrainedSession):
        raise InputError(f"{arguments.directory} holds an imported network, which brings no training data; leave --retrain out")
    keep_freed_memory()
    out = Workspace(arguments.retrain)
    settings = {"timesteps": arguments.t_retrain, "epochs": arguments.retrain_epochs}
    check_retraining(session, out, arguments.t_retrain)
    with locked(out.root):
        result = retrain_stage(session, out, tolerance=arguments.tolerance, **settings)
        out.remember_data(arguments.data_dir or session.work.data_place())
    return result


def describe_retraining(result: Retraining) -> str:
    """Both cuts, and which is the smaller."""
    plan, before, after = result.plan, result.before, result.after
    lines = [
        f"retrained for T' = {plan.timesteps} ({plan.chosen_by}), {counted(plan.epochs, 'epoch')}; judged against the network as it was, at T",
        _tests(after),
    ]
    for name, cut in (("as it was", before), ("retrained", after)):
        steps = f"T' = {cut.chosen}" if cut.shown else "nothing was shown"
        lines.append(f"{name}: {steps}; {_confirmed(f'after {cut.chosen}', cut.test, cut) if cut.test else ''}")
    lines.append(
        f"both statements hold with {result.confidence:.0%} confidence; retraining {'helped' if result.better else 'did not help'}"
    )
    return "\n".join(lines)


def describe(result: Truncation) -> str:
    """The tests as a table, the choices in words, and what confirmed them."""
    claim = f"tolerance {result.tolerance:g} points, {counted(result.samples, 'validation sample')}" + (
        "" if result.shown else "; nothing was shown"
    )
    lines = [_tests(result), f"T' = {result.chosen} of {result.timesteps} ({claim})"]
    if result.proposal:
        lines.append(f"Fisher information proposes T' = {result.proposal}")
    if result.began:
        lines.append(f"the tests began with T' = {result.began}, proposed by {result.began_by}")
    if result.test:
        lines.append(_confirmed(f"T' = {result.chosen}", result.test, result))
    lines.append(
        "Lava: " + describe_verification(result.lava).partition(": ")[2] if result.lava else f"Lava: skipped, {result.lava_absent}"
    )
    lines += _describe_exit(result.exit, result) if result.exit else []
    lines += describe_conformal(result.conformal)
    return "\n".join([*lines, *([f"note: {result.warning}"] if result.warning else [])])


def _tests(result: Truncation) -> str:
    """The table of tests."""
    limits = "limits" if result.began else f"{100 * result.confidence:g}% limits"
    rows = [
        (s.timesteps, f"{s.accuracy:.2%}", _limits(s.losses.full), _limits(s.losses.floating), verdict_in_words(s)) for s in result.steps
    ]
    head = ("T'", "validation", f"loss against T ({limits})", f"loss against float ({limits})", "loss below tolerance")
    return table(rows, head)


def _describe_exit(early_exit: EarlyExit, result: Truncation) -> list[str]:
    if early_exit.threshold is None or early_exit.test is None:
        return ["early exit: no margin was shown to be safe"]
    shares = ", ".join(f"{share:.1%}" for share in early_exit.exits)
    return [
        f"early exit at a margin of {early_exit.threshold}: {early_exit.mean_steps:.2f} timesteps on average ({shares} after 1 to {result.timesteps})",
        _confirmed("early exit", early_exit.test, result),
    ]


def describe_conformal(exits: Sequence[ConformalExit]) -> list[str]:
    """Conformal exits as a table, for comparison."""
    head = ("conformal exit", "timesteps", "test accuracy", "true class in set", "classes in set")
    rows = [(e.name, f"{e.mean_steps:.2f}", f"{e.accuracy:.2%}", f"{e.coverage:.2%}", f"{e.set_size:.3f}") for e in exits]
    return [table(rows, head)] if rows else []


def _confirmed(what: str, test: Confirmation, result: Truncation) -> str:
    return (
        f"test, {what}: {test.accuracy_chosen:.2%} (T: {test.accuracy_full:.2%}, float: {test.accuracy_floating:.2%}); loss "
        f"{_limits(test.losses.full)} and {_limits(test.losses.floating)} points; the test data {test.verdict(result.tolerance)}"
    )


def _limits(loss: LossLimits) -> str:
    return f"{loss.value:+.2f} ({loss.low:+.2f} .. {loss.high:+.2f})"
