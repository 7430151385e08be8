"""The stage that decides how many timesteps are run: a cut for all samples, and an early exit for
each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from spikeport.analysis.decision.conformal import conformal_exits
from spikeport.analysis.decision.early_exit import choose_threshold, exit_confirmed, margins_over_time
from spikeport.analysis.decision.timestep_cut import Truncation, confirmed, truncate, with_proposal
from spikeport.analysis.information.fisher import FisherResult
from spikeport.export.common.errors import InputError
from spikeport.export.model.network import QuantizedNetwork
from spikeport.export.nir.file import write_nir
from spikeport.hw.backends.simulate import backend
from spikeport.hw.backends.verify import verify
from spikeport.hw.records.record import class_scores, correct_over_time
from spikeport.hw.records.stimulus import encode
from spikeport.stages.folder.bound import Digests
from spikeport.stages.folder.claims import check_output, json_origin, network_origin
from spikeport.stages.pipeline import saying
from spikeport.stages.session import CUT_FROM, SPLITS, Bar, Session, SplitName
from spikeport.stages.tic import kept_tic, tic_stage
from spikeport.train.data.registry import Split

Begin = Literal["accuracy", "fisher", "all"]
PROPOSING = 5000
"""Training samples whose accuracy proposes a T'."""
LAVA_SAMPLES = 20
"""Test samples that T' is confirmed on in real Lava, unless said otherwise."""


@dataclass(frozen=True)
class Answers:
    """One split: right or not, by what margin, and the scores of all classes, after 1 .. T
    timesteps in fixed point; right or not in float after T.
    """

    labels: np.ndarray
    correct: np.ndarray
    margins: np.ndarray
    scores: np.ndarray
    floating: np.ndarray


def truncate_stage(
    session: Session,
    out: Path,
    *,
    tolerance: float,
    lava_samples: int = LAVA_SAMPLES,
    begin: Begin | None = None,
    force: bool = False,
) -> Truncation:
    """Choose T' and the exit threshold on validation data, confirm both once on test data, and
    write the network that is deployed.

    begin: what proposes the T' that the tests begin with (`_beginning`); None for accuracy where
    there are training samples.
    lava_samples: test samples run at T' in real Lava and compared spike for spike, 0 for none.

    Raises:
        InputError: settings out of range, or files of others where the results go, unless `force`.
    """
    if lava_samples < 0:
        raise InputError(f"--lava-samples is {lava_samples}; give 0 for none, or more")
    work, network = session.work, session.network
    made_of = session.made_of("trained", "network")
    check_output(out, json_origin(Truncation), session.made_of(*CUT_FROM), force=force, home=work.root)
    check_output(work.deployed, cut_origin, made_of, force=force, home=work.root)
    validation, test = (_answers(session, name) for name in SPLITS)
    fisher = kept_tic(session, work.tic, network.timesteps)
    if begin == "fisher" and fisher is None:
        fisher = tic_stage(session, work.tic)
    result = _decided(validation, test, fisher, tolerance, _beginning(session, begin, fisher, tolerance))
    deployed = saying(network.with_timesteps(result.chosen), made_of)
    result = _confirmed_in_lava(result, deployed, session.split("test")[:lava_samples], session.bar)
    write_nir(deployed, work.deployed)
    session.keep(out, result, *CUT_FROM)
    return result


def _beginning(session: Session, how: Begin | None, fisher: FisherResult | None, tolerance: float) -> tuple[int | None, str]:
    """T' that the tests begin with, None for T, and what proposes it; validation data has no part
    in it.

    "accuracy": the smallest T' at which the float network loses at most half the tolerance against
    T on training samples.

    Raises:
        InputError: a proposal is asked for, and there are no training samples.
    """
    if session.training is None and how in ("accuracy", "fisher"):
        raise InputError(f"{session.title} brings no training samples, and others must not propose T'; leave --begin {how} out")
    if how == "fisher":
        return (fisher.proposal() if fisher else None), "Fisher information on training samples"
    if how == "all" or session.training is None:
        return None, ""
    part = session.training[:PROPOSING]
    with session.bar(len(part), "accuracy on training samples") as progress:
        accuracy = session.float_right(part, progress).mean(axis=0)
    enough = 100 * (accuracy[-1] - accuracy) <= tolerance / 2
    return int(enough.argmax()) + 1, f"accuracy on {len(part):,} training samples"


def _decided(
    validation: Answers, test: Answers, fisher: FisherResult | None, tolerance: float, begin: tuple[int | None, str]
) -> Truncation:
    """T' and the exit threshold, chosen on validation data and confirmed once on test data. begin:
    see `_beginning`.
    """
    first, by = begin
    result = replace(truncate(validation.correct, validation.floating, tolerance, begin=first), began_by=by if first else "")
    if fisher:
        result = with_proposal(result, fisher)
    result = confirmed(result, test.correct, test.floating)
    exits = choose_threshold(validation.correct, validation.margins, validation.floating, tolerance)
    return replace(
        result,
        exit=exit_confirmed(exits, test.correct, test.margins, test.floating),
        conformal=conformal_exits(validation.scores, validation.labels, test.scores, test.labels),
    )


def cut_origin(path: Path) -> Digests | None:
    """Of a network whose timesteps were cut; None for any other file."""
    kept = network_origin(path)
    return kept if kept and "network" in kept else None


def _answers(session: Session, name: SplitName) -> Answers:
    """One split in fixed point and in float."""
    part, record, readout = session.split(name), session.records[name], session.network.readout
    return Answers(
        labels=part.labels,
        correct=correct_over_time(record.output, part.labels, readout),
        margins=margins_over_time(record.output, readout),
        scores=class_scores(record.output, readout),
        floating=session.float_answers(name)[:, -1],
    )


def _confirmed_in_lava(result: Truncation, deployed: QuantizedNetwork, part: Split, bar: Bar) -> Truncation:
    """Compare T' timesteps in real Lava with the reference, or say why that was not done."""
    if not len(part):
        return replace(result, lava_absent="no samples were asked for")
    try:
        lava = backend("lava")
    except InputError as error:
        return replace(result, lava_absent=str(error))
    with bar(len(part), f"Lava, T' = {result.chosen}") as progress:
        stimulus = encode(deployed.input, part.array, deployed.timesteps)
        return replace(result, lava=verify(deployed, stimulus, {"lava": lava}, progress=progress), lava_absent="")
