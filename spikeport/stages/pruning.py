"""The stage that prunes a trained network in cycles and retrains it with as many timesteps as its
information needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spikeport.analysis.pages.beside import write_beside
from spikeport.analysis.pages.pruning import pruning_page
from spikeport.analysis.results.pruning_cycles import Pruning, PruningCycle
from spikeport.export.common.errors import InputError
from spikeport.stages.folder.bound import Digests, json_digests, read_result, write_bound
from spikeport.stages.folder.claims import check_ours, forget_run
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.tic import kept_tic, tic_stage
from spikeport.stages.trained import TrainedSession
from spikeport.train.data.batches import batch_count
from spikeport.train.data.registry import Dataset
from spikeport.train.loop.checkpoint import Trained, save, trained_digest
from spikeport.train.loop.masks import Retraining, Scope, check_fraction, prunable, prune, remaining
from spikeport.train.loop.trainer import train
from spikeport.train.settings.config import TrainConfig
from spikeport.train.settings.methods import METHODS
from spikeport.train.settings.named_losses import check_training_timesteps

SHARE = 0.05
"""Of the information: no more may be still to come after T_retrain timesteps."""
FISHER_BEFORE = "fisher-before.json"
"""What T_retrain was chosen by, where the trained network had none of its own."""
SHORTER = 5
"""A cycle has so many times fewer epochs than the first training, where nothing is said (300 and 60
as published).
"""


@dataclass(frozen=True, kw_only=True)
class PruningConfig:
    """What is asked for. fraction: of the weights that are left, gone in each cycle. epochs: of a
    cycle, None for the usual.

    retraining_timesteps: T_retrain, instead of the smallest that leaves at most `share` of the
    trained network's Fisher information still to come.
    """

    cycles: int = 5
    fraction: float = 0.5
    scope: Scope = "global"
    epochs: int | None = None
    retraining_timesteps: int | None = None
    share: float = SHARE

    def __post_init__(self) -> None:
        if self.cycles < 1:
            raise InputError(f"cycles is {self.cycles}; pruning needs at least 1")
        check_fraction(self.fraction)
        if not 0 < self.share < 1:
            raise InputError(f"share is {self.share:g}; it lies above 0 and below 1")


def prune_stage(
    session: TrainedSession,
    out: Workspace,
    config: PruningConfig,
    *,
    beside: Sequence[Path] = (),
    accelerator: str = "cpu",
    force: bool = False,
) -> Pruning:
    """Prune and retrain in cycles; `out` becomes a training directory of the sparsest network,
    `out/cycle-N` those on the way.

    pruning.json, pruning.html and what the page shows, as files in pruning_files, are written anew
    after each cycle. A run that was stopped goes on in the cycle it was in. beside: other runs'
    directories, for the figure. force: the run that lies in `out` goes first, with its cycles.

    Raises:
        InputError: settings out of range, a method that trains with one step anyway, or `out` holds
            a training of its own, or a run with other settings or of another network.
    """
    _check(session, out, config, force=force)
    source = {"source": session.float_digests["trained"]}
    others = [read_result(Pruning, Workspace(path).pruning) for path in beside]
    if force:
        _forget(out)
    trained = session.trained
    retrained = replace(trained.config, epochs=_epochs(trained, config))
    result = _planned(session, out, config, retrained.epochs)
    done = _taken_up(result, out, source)
    last = trained
    for number in range(1, config.cycles + 1):
        last = _cycle(last, result, retrained, session.data, out.root / f"cycle-{number}", accelerator)
        result = replace(result, cycles=(*result.cycles, _stage(last)))
        if number > done:
            out.forget_stages()
            save(out.root, last.module, last.config, last.metrics)
            write_bound(out.pruning, result, {**source, "trained": trained_digest(last.module, last.config)})
        _draw([result, *others], f"{retrained.arch} on {retrained.data}", out, source)
    return result


def _forget(out: Workspace) -> None:
    """Delete the run in `out` by our names, and the cycles on its way."""
    out.forget()
    (out.root / FISHER_BEFORE).unlink(missing_ok=True)
    for path in out.root.glob("cycle-*"):
        if path.is_dir() and path.name.removeprefix("cycle-").isdecimal():
            forget_run(Workspace(path))


def _check(session: TrainedSession, out: Workspace, config: PruningConfig, *, force: bool) -> None:
    work, trained, timesteps = session.work, session.trained, config.retraining_timesteps
    method, full = trained.config.method, trained.config.timesteps
    source, target = work.root.resolve(), out.root.resolve()
    if source == target or (force and target in source.parents):
        raise InputError(f"--out {out.root} is or holds the trained network itself; choose another directory, so that it stays")
    if not force:
        check_ours(out)
        if out.begun and not out.pruning.exists():
            raise InputError(f"{out.root} holds a training that is not from spikeport prune; --force replaces it, or choose another --out")
    if "test_accuracy" not in trained.metrics:
        raise InputError(f"{work.root} holds an unfinished training; end it with: spikeport train --resume --out {work.root}")
    if METHODS[method].training_timesteps:
        raise InputError(
            f"method {method} trains with {METHODS[method].training_timesteps} timestep anyway; there is no T_retrain to choose"
        )
    if timesteps is not None and not 1 <= timesteps <= full:
        raise InputError(f"T_retrain is {timesteps}; it lies in 1..{full}, the timesteps that the network was trained with")
    check_training_timesteps(trained.config.loss, timesteps or full)


def _epochs(trained: Trained, config: PruningConfig) -> int:
    return max(1, round(trained.config.epochs / SHORTER)) if config.epochs is None else config.epochs


def _planned(session: TrainedSession, out: Workspace, config: PruningConfig, epochs: int) -> Pruning:
    """The run before its first cycle."""
    trained, train = session.trained.config, session.data.train
    size = min(trained.batch_size, len(train))
    return Pruning(
        source=session.work.root.name,
        weights={name: weight.numel() for name, weight in prunable(session.trained.module).items()},
        timesteps=trained.timesteps,
        trained_timesteps=trained.timesteps,
        trained_epochs=trained.epochs,
        samples=batch_count(train, size) * size,
        seed=trained.seed,
        planned=config.cycles,
        before=_stage(session.trained),
        fraction=config.fraction,
        scope=config.scope,
        epochs=epochs,
        **_chosen(session, out, config),
    )


def _chosen(session: TrainedSession, out: Workspace, config: PruningConfig) -> dict[str, Any]:
    """T_retrain, who chose it, and from what."""
    if config.retraining_timesteps is not None:
        return {"retraining_timesteps": config.retraining_timesteps, "chosen_by": "given", "to_come": None}
    own, full = out.root / FISHER_BEFORE, session.trained.config.timesteps  # own first: a run that goes on keeps its curve
    fisher = kept_tic(session, own, full) or kept_tic(session, session.work.tic, full) or tic_stage(session, own)
    proposed = fisher.proposal(config.share)
    if proposed is None:
        raise InputError(
            f"{session.work.root} holds no Fisher information to choose T_retrain by; no weight moves its answer. Give --t-retrain N"
        )
    check_training_timesteps(session.trained.config.loss, proposed)
    reason = f"the fewest after which at most {100 * config.share:g} % of the Fisher information is still to come"
    return {"retraining_timesteps": proposed, "chosen_by": reason, "to_come": fisher.to_come}


def _taken_up(result: Pruning, out: Workspace, source: Digests) -> int:
    """Cycles that an earlier run in `out` has done; begins one where there is none.

    Raises:
        InputError: the earlier run has other settings, or is of another network.
    """
    if not out.pruning.exists():
        write_bound(out.pruning, result, source)
        return 0
    old = read_result(Pruning, out.pruning)
    other = (json_digests(out.pruning, Pruning.__name__) or {}).get("source") != source["source"]
    if other or replace(old, cycles=(), planned=result.planned) != result or len(old.cycles) > result.planned:
        raise InputError(
            f"{out.root} holds pruning with other settings, or of another network; --force replaces it, or choose another --out"
        )
    return len(old.cycles)


def _cycle(last: Trained, result: Pruning, config: TrainConfig, data: Dataset, out: Path, accelerator: str) -> Trained:
    """Prune the network where it is, and train it on with T_retrain."""
    prune(last.module, result.fraction, result.scope)
    weights = {name: tensor.clone() for name, tensor in last.module.state_dict().items()}
    return train(config, data, out, resume=True, accelerator=accelerator, retraining=Retraining(weights, result.retraining_timesteps))


def _draw(results: Sequence[Pruning], title: str, out: Workspace, made_of: Digests) -> None:
    """The page, its picture and its table."""
    write_beside(out.pruning.with_suffix(".html"), made_of, lambda beside: pruning_page(results, title, beside))


def _stage(trained: Trained) -> PruningCycle:
    metrics = trained.metrics
    return PruningCycle(
        remaining=remaining(trained.module),
        accuracy=tuple(metrics["test_accuracy"]),
        validation=metrics["validation_accuracy"][-1],
        epoch=metrics["epoch"],
        seconds=sum(epoch["seconds"] for epoch in metrics["history"]),
    )
