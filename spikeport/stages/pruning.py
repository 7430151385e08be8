"""The stage that prunes a trained network in cycles and retrains it with as many timesteps as its information needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from spikeport.analysis.common.jsonable import read_as, to_json
from spikeport.analysis.pages.picture import write_picture
from spikeport.analysis.pages.pruning import pruning_page, sparsity_figure
from spikeport.analysis.results.pruning_cycles import Pruning, PruningCycle
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import write_json, write_text
from spikeport.stages.pipeline import Bar, tic_stage
from spikeport.stages.tic import kept_tic
from spikeport.stages.workspace import Workspace
from spikeport.train.data.batches import batch_count
from spikeport.train.data.registry import Dataset
from spikeport.train.loop.checkpoint import Trained, save
from spikeport.train.loop.masks import Retraining, Scope, check_fraction, prunable, prune, remaining
from spikeport.train.loop.trainer import train
from spikeport.train.settings.methods import METHODS

SHARE = 0.05
"""Of the information: no more may be still to come after T_retrain timesteps."""
SHORTER = 5
"""A cycle has so many times fewer epochs than the first training, where nothing is said (300 and 60 as published)."""


def prune_stage(
    source: Workspace,
    data: Dataset,
    out: Workspace,
    bar: Bar,
    *,
    cycles: int = 5,
    fraction: float = 0.5,
    scope: Scope = "global",
    epochs: int | None = None,
    retraining_timesteps: int | None = None,
    share: float = SHARE,
    beside: Sequence[Path] = (),
    accelerator: str = "cpu",
) -> Pruning:
    """Prune and retrain in cycles; `out` becomes a training directory of the sparsest network, `out/cycle-N` those on the way.

    pruning.json, pruning.html and its picture, pruning.svg, are written anew after each cycle. A run that was stopped goes on in the cycle it was in.
    retraining_timesteps: T_retrain, instead of the smallest that leaves at most `share` of the trained network's Fisher
    information (DIR/tic.json, or estimated here). beside: other runs' directories, for the figure.

    Raises:
        InputError: settings out of range, a method that trains with one step anyway, or other settings than the run in `out` has.
    """
    trained = source.trained()
    _check(source, out, trained, cycles, fraction, retraining_timesteps, share)
    others = [read_as(Pruning, Workspace(path).pruning) for path in beside]
    config = replace(trained.config, epochs=max(1, round(trained.config.epochs / SHORTER)) if epochs is None else epochs)
    chosen = _chosen(source, data, out, bar, retraining_timesteps, trained.config.timesteps, share)
    result = _planned(source, trained, data, cycles=cycles, fraction=fraction, scope=scope, epochs=config.epochs, **chosen)
    done = 0
    if out.pruning.exists():
        old = read_as(Pruning, out.pruning)
        _same(result, old, out)
        done = len(old.cycles)
    else:
        write_json(out.pruning, to_json(result))
    last = trained
    for number in range(1, cycles + 1):
        module = last.module
        prune(module, fraction, scope)
        weights = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        retraining = Retraining(weights, result.retraining_timesteps)
        last = train(config, data, out.root / f"cycle-{number}", resume=True, accelerator=accelerator, retraining=retraining)
        result = replace(result, cycles=(*result.cycles, _stage(last)))
        if number > done:
            out.forget_stages()
            save(out.root, last.module, last.config, last.metrics)
            write_json(out.pruning, to_json(result))
        write_text(out.pruning.with_suffix(".html"), pruning_page([result, *others], f"{config.arch} on {config.data}"))
        write_picture(sparsity_figure([result, *others]), out.pruning.with_suffix(".svg"))
    return result


def _check(source: Workspace, out: Workspace, trained: Trained, cycles: int, fraction: float, timesteps: int | None, share: float) -> None:
    method, full = trained.config.method, trained.config.timesteps
    if source.root.resolve() == out.root.resolve():
        raise InputError(f"--out {out.root} is the trained network itself; choose another directory, so that it stays")
    if "test_accuracy" not in trained.metrics:
        raise InputError(f"{source.root} holds an unfinished training; end it with: spikeport train --resume --out {source.root}")
    if METHODS[method].training_timesteps:
        raise InputError(
            f"method {method} trains with {METHODS[method].training_timesteps} timestep anyway; there is no T_retrain to choose"
        )
    if cycles < 1:
        raise InputError(f"cycles is {cycles}; pruning needs at least 1")
    check_fraction(fraction)
    if not 0 < share < 1:
        raise InputError(f"share is {share:g}; it lies above 0 and below 1")
    if timesteps is not None and not 1 <= timesteps <= full:
        raise InputError(f"T_retrain is {timesteps}; it lies in 1..{full}, the timesteps that the network was trained with")


def _chosen(source: Workspace, data: Dataset, out: Workspace, bar: Bar, timesteps: int | None, full: int, share: float) -> dict[str, Any]:
    """T_retrain, who chose it, and from what."""
    if timesteps is not None:
        return {"retraining_timesteps": timesteps, "chosen_by": "given", "to_come": None}
    own = out.root / "fisher-before.json"  # first, so that a run that goes on keeps its curve
    found = kept_tic(own, full) or kept_tic(source.tic, full) or tic_stage(source, data, own, bar)
    proposed = found.proposal(share)
    if proposed is None:
        raise InputError(
            f"{source.root} holds no Fisher information to choose T_retrain by; no weight moves its answer. Give --t-retrain N"
        )
    reason = f"the fewest after which at most {100 * share:g} % of the Fisher information is still to come"
    return {"retraining_timesteps": proposed, "chosen_by": reason, "to_come": found.to_come}


def _planned(source: Workspace, trained: Trained, data: Dataset, *, cycles: int, **settings: Any) -> Pruning:
    config, size = trained.config, min(trained.config.batch_size, len(data.train))
    return Pruning(
        source=source.root.name,
        weights={name: weight.numel() for name, weight in prunable(trained.module).items()},
        timesteps=config.timesteps,
        trained_timesteps=config.timesteps,
        trained_epochs=config.epochs,
        samples=batch_count(data.train, size) * size,
        seed=config.seed,
        planned=cycles,
        before=_stage(trained),
        **settings,
    )


def _stage(trained: Trained) -> PruningCycle:
    metrics = trained.metrics
    return PruningCycle(
        remaining=remaining(trained.module),
        accuracy=tuple(metrics["test_accuracy"]),
        validation=metrics["validation_accuracy"][-1],
        epoch=metrics["epoch"],
        seconds=sum(epoch["seconds"] for epoch in metrics["history"]),
    )


def _same(new: Pruning, old: Pruning, out: Workspace) -> None:
    """Refuse to go on with a run of other settings."""
    if replace(old, cycles=(), planned=new.planned) != new or len(old.cycles) > new.planned:
        raise InputError(f"{out.root} holds pruning with other settings, or of another network; choose another --out")
