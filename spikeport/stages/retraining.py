"""The stage that retrains a network for fewer timesteps, and tests whether these are enough, at one
honest error for all.

The number of timesteps to retrain for comes from Fisher information on training samples, or is
given. A part of the training data chooses the epoch, so that validation data confirms only. Two
statements are made on it, that of the network as it was and that of the retrained one, each at half
of the error; both networks are compared with the first in fixed point and in float at T.
"""

from __future__ import annotations

from dataclasses import replace

from spikeport.analysis.decision.guarantee import References
from spikeport.analysis.decision.timestep_cut import confirmed_against, truncate_against
from spikeport.analysis.results.retraining import Retraining, RetrainingPlan
from spikeport.export.common.errors import InputError
from spikeport.export.nir.file import write_nir
from spikeport.hw.records.record import correct_over_time
from spikeport.stages.folder.bound import read_bound, write_bound
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.pipeline import QuantizationConfig, quantize_stage, saying
from spikeport.stages.session import CUT_FROM, SPLITS, SplitName
from spikeport.stages.tic import kept_tic, tic_stage
from spikeport.stages.trained import TrainedSession
from spikeport.train.data.dataset import Dataset, cut
from spikeport.train.loop import masks
from spikeport.train.loop.checkpoint import Trained
from spikeport.train.loop.trainer import train
from spikeport.train.settings.methods import METHODS
from spikeport.train.settings.named_losses import check_training_timesteps

CONFIDENCE = 0.95
SHORTER = 5
"""Retraining has so many times fewer epochs than training, where nothing is said."""
FOR_EPOCHS = 12
"""One in so many training samples chooses the epoch."""


def retrain_stage(
    session: TrainedSession, out: Workspace, *, tolerance: float, timesteps: int | None = None, epochs: int | None = None
) -> Retraining:
    """Retrain from the weights that are there, quantize, test; `out` becomes a training directory
    of the retrained network.

    timesteps: to retrain for, None for what Fisher information proposes. A run that was stopped
    goes on.

    Raises:
        InputError: a method that trains with one step anyway, recordings, or timesteps out of
            range.
    """
    check_retraining(session, out, timesteps)
    plan = _planned(session, out, timesteps, epochs)
    retrained = _retrained(session, out, plan)
    after = TrainedSession(out, retrained, session.data, session.bar)
    bits = session.network.weight_bits
    quantize_stage(after, out.network, QuantizationConfig(weight_bits=bits), force=True)
    each = (1 + CONFIDENCE) / 2
    references, cuts = {split: _references(session, split) for split in SPLITS}, {}
    for name, of in (("before", session), ("after", after)):
        right = {split: correct_over_time(of.records[split].output, of.split(split).labels, of.network.readout) for split in SPLITS}
        begin = plan.timesteps if name == "before" and timesteps is None else None  # a number of the user's may know validation data
        chosen = truncate_against(right["validation"], references["validation"], tolerance, confidence=each, begin=begin)
        cuts[name] = confirmed_against(chosen, right["test"], references["test"])
    result = Retraining(CONFIDENCE, plan, **cuts)
    write_bound(out.retraining, result, {**after.made_of(*CUT_FROM), "source": session.float_digests["trained"]})
    if result.after.shown:
        write_nir(saying(after.network.with_timesteps(result.after.chosen), after.made_of("trained", "network")), out.deployed)
    return result


def check_retraining(session: TrainedSession, out: Workspace, timesteps: int | None) -> None:
    """Refuse what cannot be retrained; errors as in `retrain_stage`."""
    config = session.trained.config
    if session.work.root.resolve() == out.root.resolve():
        raise InputError(f"--retrain {out.root} is the trained network itself; choose another directory, so that it stays")
    if METHODS[config.method].training_timesteps:
        raise InputError(f"method {config.method} trains with one timestep anyway; there is nothing to retrain for fewer")
    if session.data.task.code == "events":
        raise InputError(
            f"{config.data} holds recordings, which fewer timesteps would cut into longer bins; only images can be retrained for fewer"
        )
    if timesteps is not None and not 1 <= timesteps < config.timesteps:
        raise InputError(f"--t-retrain is {timesteps}; it lies in 1..{config.timesteps - 1}, below the {config.timesteps} of the network")
    check_training_timesteps(config.loss, timesteps or config.timesteps)


def _planned(session: TrainedSession, out: Workspace, timesteps: int | None, epochs: int | None) -> RetrainingPlan:
    """What to retrain for, and how long; kept in `out` before anything else, so that a run that is
    taken up is this one.
    """
    usual = max(1, round(session.trained.config.epochs / SHORTER))
    proposal, chosen_by = (timesteps, "given") if timesteps else _proposed(session, out)
    plan, source = RetrainingPlan(proposal, chosen_by, epochs or usual), {"source": session.float_digests["trained"]}
    if out.begun and read_bound(RetrainingPlan, out.plan, source)[0] != plan:
        raise InputError(
            f"{out.root} holds another training, or retraining of another network or with other settings; choose another --retrain"
        )
    write_bound(out.plan, plan, source)
    return plan


def _proposed(session: TrainedSession, out: Workspace) -> tuple[int, str]:
    last, own = session.trained.config.timesteps, out.root / "fisher-before.json"
    fisher = kept_tic(session, own, last) or kept_tic(session, session.work.tic, last) or tic_stage(session, own)
    proposal = fisher.proposal()
    if proposal is None or proposal == last:
        raise InputError(f"Fisher information proposes no fewer than the {last} timesteps that there are; give a number with --t-retrain N")
    check_training_timesteps(session.trained.config.loss, proposal)
    return proposal, "Fisher information on training samples"


def _retrained(session: TrainedSession, out: Workspace, plan: RetrainingPlan) -> Trained:
    trained, data = session.trained, session.data
    config = replace(trained.config, timesteps=plan.timesteps, epochs=plan.epochs)
    rest, choosing = cut(data.train, max(1, len(data.train) // FOR_EPOCHS), config.seed)
    weights = {name: tensor.clone() for name, tensor in trained.module.state_dict().items()}
    own = Dataset(data.task, rest, choosing, data.test, data.source)
    return train(config, own, out.root, resume=True, retraining=masks.Retraining(weights, plan.timesteps))


def _references(session: TrainedSession, split: SplitName) -> References:
    """Whether the network as it was is right at T, in fixed point and in float."""
    record, part = session.records[split], session.split(split)
    full = correct_over_time(record.output, part.labels, session.network.readout)[:, -1]
    return References(full, session.float_answers(split)[:, -1])
