"""The stage that decides how many timesteps are run: a cut for all samples, and an early exit for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from spikeport.analysis.decision.early_exit import choose_threshold, exit_confirmed, margins_over_time
from spikeport.analysis.decision.timestep_cut import Truncation, confirmed, truncate, with_proposal
from spikeport.analysis.information.fisher import FisherResult
from spikeport.export.common.errors import InputError
from spikeport.export.model.network import QuantizedNetwork
from spikeport.export.nir.file import write_nir
from spikeport.hw.backends.simulate import backend
from spikeport.hw.backends.verify import verify
from spikeport.hw.records.record import SpikeRecord, correct_over_time
from spikeport.hw.records.stimulus import encode
from spikeport.stages.bound import Digests
from spikeport.stages.claims import check_output, json_origin, network_origin
from spikeport.stages.pipeline import CUT_FROM, saying
from spikeport.stages.session import SPLITS, Bar, Session, SplitName
from spikeport.stages.tic import kept_tic, tic_stage
from spikeport.train.data.registry import Split
from spikeport.train.loop.evaluation import evaluate, right_over_time

Begin = Literal["accuracy", "fisher", "all"]
PROPOSING = 5000
"""Training samples whose accuracy proposes a T'."""
LAVA_SAMPLES = 20
"""Test samples that T' is confirmed on in real Lava, unless said otherwise."""


@dataclass(frozen=True)
class Answers:
    """One split: right or not, and by what margin, after 1 .. T timesteps in fixed point; right or not in float after T."""

    correct: np.ndarray
    margins: np.ndarray
    floating: np.ndarray


def truncate_stage(
    session: Session,
    out: Path,
    *,
    tolerance: float,
    lava_samples: int = LAVA_SAMPLES,
    begin: Begin = "accuracy",
    force: bool = False,
) -> Truncation:
    """Choose T' and the exit threshold on validation data, confirm both once on test data, and write the network that is deployed.

    begin: what proposes the T' that the tests begin with (`beginning`).
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
    result = decided(validation, test, fisher, tolerance, begin=beginning(session, begin, fisher, tolerance))
    deployed = saying(network.with_timesteps(result.chosen), made_of)
    result = confirmed_in_lava(result, deployed, session.data.test[:lava_samples], session.bar)
    write_nir(deployed, work.deployed)
    session.keep(out, result, *CUT_FROM)
    return result


def beginning(session: Session, how: Begin, fisher: FisherResult | None, tolerance: float) -> tuple[int | None, str]:
    """T' that the tests begin with, None for T, and what proposes it; validation data has no part in it.

    "accuracy": the smallest T' at which the float network loses at most half the tolerance against T on training samples.
    """
    if how == "fisher":
        return (fisher.proposal() if fisher else None), "Fisher information on training samples"
    if how == "all":
        return None, ""
    part = session.data.train.subset(np.arange(min(len(session.data.train), PROPOSING)))
    accuracy = evaluate(session.trained.module, part.images, part.labels, session.network.timesteps)
    enough = 100 * (accuracy[-1] - accuracy) <= tolerance / 2
    return int(enough.argmax()) + 1, f"accuracy on {len(part):,} training samples"


def decided(
    validation: Answers,
    test: Answers,
    fisher: FisherResult | None,
    tolerance: float,
    *,
    begin: tuple[int | None, str] = (None, ""),
) -> Truncation:
    """T' and the exit threshold, chosen on validation data and confirmed once on test data. begin: see `beginning`."""
    first, by = begin
    result = replace(truncate(validation.correct, validation.floating, tolerance, begin=first), began_by=by if first else "")
    if fisher:
        result = with_proposal(result, fisher)
    result = confirmed(result, test.correct, test.floating)
    exits = choose_threshold(validation.correct, validation.margins, validation.floating, tolerance)
    return replace(result, exit=exit_confirmed(exits, test.correct, test.margins, test.floating))


def answers(network: QuantizedNetwork, part: Split, record: SpikeRecord, floating: np.ndarray) -> Answers:
    """Of a split that was recorded in fixed point. floating: whether the float network is right after T, bool `(samples,)`."""
    return Answers(
        correct=correct_over_time(record.output, part.labels, network.readout),
        margins=margins_over_time(record.output, network.readout),
        floating=floating,
    )


def cut_origin(path: Path) -> Digests | None:
    """Of a network whose timesteps were cut; None for any other file."""
    kept = network_origin(path)
    return kept if kept and "network" in kept else None


def _answers(session: Session, name: SplitName) -> Answers:
    return answers(session.network, session.split(name), session.records[name], float_right(session, name))


def float_right(session: Session, name: SplitName) -> np.ndarray:
    """Whether the float network is right after T, bool `(samples,)`."""
    trained, part, floating = session.trained, session.split(name), []
    with session.bar(len(part), "float reference") as progress:
        for right in right_over_time(trained.module, part.images, part.labels, trained.config.timesteps):
            floating.append(right[:, -1])
            progress(len(right))
    return np.concatenate(floating)


def confirmed_in_lava(result: Truncation, deployed: QuantizedNetwork, part: Split, bar: Bar) -> Truncation:
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
