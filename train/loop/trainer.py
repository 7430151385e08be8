"""One trainer for every method: seeds, optimizer, progress, log, the best network on validation
data, and resuming; in one process, or in several that give the result of one
(`train.ranks.group`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn

from spikeport.export.common.errors import InputError
from spikeport.export.common.memory import check_memory
from spikeport.export.common.progress import progress_bar, step_done
from spikeport.train.data.batches import batch_count, epoch_seed, parts_of, shuffled_batches
from spikeport.train.data.registry import Dataset, Split
from spikeport.train.loop.accelerator import mixed, sent, torch_device, widened
from spikeport.train.loop.checkpoint import CONFIG, METRICS, Trained, load, save
from spikeport.train.loop.curves import CURVES, write_curves
from spikeport.train.loop.deployment import prepare_for_deployment
from spikeport.train.loop.evaluation import evaluate
from spikeport.train.loop.masks import Retraining
from spikeport.train.loop.resume import STATE, load_state, make_room, save_state
from spikeport.train.loop.threads import operator_threads
from spikeport.train.loop.without_spikes import begin_without_spikes
from spikeport.train.network.build import build
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.ranks.group import ALONE, Ranks, added_once, agree, replicated, share, together, whole
from spikeport.train.ranks.shares import Share
from spikeport.train.settings.config import TrainConfig, difference, read_config
from spikeport.train.settings.methods import METHODS
from spikeport.train.settings.named_losses import check_training_timesteps, loss_named, share_of_batch
from spikeport.train.settings.optimization import descend, rate_factor, set_rate


class DivergedError(InputError):
    """The loss of a training is no number any more."""


OnEpoch = Callable[[int, SpikingNetwork], None]
"""Gets the number of an epoch, from 1, and the network after it."""


@dataclass
class Run:
    """A training run under way. history: one entry per finished epoch. best: its epoch and
    validation accuracies over T. without_spikes: epochs behind it without spikes, before those.

    timesteps: T in training, None for the network's own. ranks: this process and those it trains
    with. advance: is told the share of an epoch that each batch was.
    """

    config: TrainConfig
    dataset: Dataset
    module: SpikingNetwork
    optimizer: torch.optim.Optimizer
    accelerator: torch.device
    timesteps: int | None
    ranks: Ranks
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)
    without_spikes: int = 0
    advance: Callable[[float], Any] = lambda epochs: None

    @cached_property
    def parallel(self) -> nn.Module:
        """The module, its gradients those of all processes' samples."""
        return replicated(self.module, self.ranks)

    @property
    def share(self) -> Share:
        """What this process has of each batch."""
        return Share(self.ranks, self.config.accumulate)

    @property
    def progress(self) -> dict[str, Any]:
        """What a run that is taken up again has to know, as JSON values."""
        return {"history": self.history, "best": self.best, "without_spikes": self.without_spikes}

    @property
    def metrics(self) -> dict[str, Any]:
        """What is known so far, as JSON values."""
        return {"source": self.dataset.source, **self.best, "history": self.history}


def train(
    config: TrainConfig,
    dataset: Dataset,
    out: Path,
    *,
    resume: bool = False,
    progress: bool = True,
    accelerator: str = "cpu",
    retraining: Retraining | None = None,
    on_epoch: OnEpoch | None = None,
    ranks: Ranks = ALONE,
) -> Trained:
    """Train a network and leave the best one on validation data in a folder
    (`train.loop.checkpoint`).

    The metrics hold `epoch` (the best one, 1-based), `validation_accuracy` and `test_accuracy`
    after 1..T timesteps, and `history` (per epoch: loss, training and validation accuracy, learning
    rate, seconds). The test data is looked at once, at the end. Of equally good epochs the later
    one is kept.

    resume: go on with an unfinished run in `out`; the result is the same as that of an unbroken run
    (seconds apart), on the same machine with as many threads. A finished one is returned as it is.
    accelerator: "cpu", or "cuda", where sums have no fixed order, so last bits differ from run to
    run. What is left in `out` runs anywhere.
    retraining: of a pruned network, instead of training a new one.
    ranks: of `train.ranks.group.joined`, where several processes train together: each calls this
        with the same arguments and gets the same result, to the rounding of sums; the first alone
        writes, shows progress and calls `on_epoch`. All read `out` to resume.
    on_epoch: called when an epoch has been judged and before it is remembered, so that a run that
    is taken up calls it again for an epoch it has to repeat. It must leave the network and torch's
    random numbers as they are.

    Raises:
        InputError: a configuration that does not fit the data, a run in `out` of another
            configuration, no such accelerator, or processes that differ.
        DivergedError: the loss is no number any more; the best network until then stays in `out`,
            without test accuracy.
    """
    agree(ranks, "settings", config)
    finished = _finished(config, out) if resume else None
    agree(ranks, f"what {out} holds to resume", finished is None)
    if finished:
        return finished
    run = _start(config, dataset, accelerator, retraining, ranks)
    begun = resume and (out / STATE).is_file()
    if begun:
        _continue(run, out)
    agree(ranks, f"data, or what {out} holds to resume", (dataset.source, len(dataset.train), run.history))
    if ranks.first:
        make_room(out, config, begun=begun)
    with torch.random.fork_rng(), operator_threads(config.threads):
        if config.without_spikes_epochs and not (run.history or retraining):
            _begin(run, out, progress and ranks.first)
        _epochs(run, out, progress and ranks.first, on_epoch)
    trained = _tested(run, out)
    if ranks.first:
        save(out, trained.module, config, trained.metrics)
        (out / STATE).unlink(missing_ok=True)
    return trained


def _tested(run: Run, out: Path) -> Trained:
    """The best network, which need not be the last, on test data; on validation data again where
    what is deployed is not what was trained.
    """
    parts = {"test_accuracy": run.dataset.test}
    module = (load(out).module if run.ranks.first else run.module).to(run.accelerator)
    share(module, run.ranks)
    if prepare_for_deployment(module.cpu(), run.dataset.train.images):
        parts["validation_accuracy"] = run.dataset.validation
    module.to(run.accelerator)
    accuracy = {name: _accuracy(run, module, split).tolist() for name, split in parts.items()}
    return Trained(module.cpu().eval(), run.config, {**run.metrics, **accuracy})


def _start(config: TrainConfig, dataset: Dataset, accelerator: str, retraining: Retraining | None, ranks: Ranks) -> Run:
    if dataset.task.name != config.data:
        raise InputError(f"the configuration is for {config.data!r}, the data set is {dataset.task.name!r}")
    place = torch_device(accelerator)
    Share(ranks, config.accumulate).check(min(config.batch_size, len(dataset.train)))
    module = build(config, dataset.task).to(place)
    at_once = config.batch_size // (ranks.size * config.accumulate)
    what = f"training with batch_size {at_once} and {config.timesteps} timesteps keeps potentials, which"
    check_memory(4 * at_once * config.timesteps * module.neuron_count, what, "take fewer of either, or a smaller network")
    optimizer = config.optimizer.build(module.parameters())
    run = Run(config, dataset, module, optimizer, place, METHODS[config.method].training_timesteps, ranks)
    if retraining:
        check_training_timesteps(config.loss, retraining.timesteps)
        run.timesteps = retraining.timesteps
        retraining.begin(module, optimizer)
    return run


def _finished(config: TrainConfig, out: Path) -> Trained | None:
    """The finished run of this configuration, if `out` holds it; refuses one of another."""
    if (out / CONFIG).is_file() and (mismatch := difference(read_config(out / CONFIG), config)):
        raise InputError(f"{out} holds a run of another configuration ({mismatch}); choose another folder, or replace it with --force")
    if not (out / METRICS).is_file() or (out / STATE).is_file():
        return None
    trained = load(out)
    return trained if "test_accuracy" in trained.metrics else None


def _continue(run: Run, out: Path) -> None:
    done = load_state(out, run.module, run.optimizer)
    run.history, run.best, run.without_spikes = done["history"], done["best"], done.get("without_spikes", 0)


def _begin(run: Run, out: Path, progress: bool) -> None:
    """Before the first epoch with spikes, by every process alike."""

    def keep(epochs: int) -> None:
        run.without_spikes = epochs
        if run.ranks.first:
            save_state(out, run.module, run.optimizer, run.progress)

    config = run.config
    begin_without_spikes(
        run.module, run.optimizer, config, run.dataset, run.accelerator, done=run.without_spikes, on_epoch=keep, progress=progress
    )
    run.optimizer = config.optimizer.build(run.module.parameters())


def _epochs(run: Run, out: Path, progress: bool, on_epoch: OnEpoch | None) -> None:
    total, done = run.config.epochs, len(run.history)
    with progress_bar(total, f"training {out.name}", unit="epoch", done=done, leave=True, shown=progress) as bar:
        run.advance = bar.update
        for epoch in range(done, total):
            started = perf_counter()
            measured = _epoch(run, epoch)
            if not isfinite(measured["loss"]):
                raise DivergedError(
                    f"training diverged in epoch {epoch + 1} of {total}: its loss is {measured['loss']}; lower learning_rate"
                )
            _judge(run, out, measured)
            run.history[-1]["seconds"] = perf_counter() - started
            if run.ranks.first:
                write_curves(out / CURVES, run.history)
                if on_epoch:
                    on_epoch(epoch + 1, run.module)
                save_state(out, run.module, run.optimizer, run.progress)
            bar.n = epoch + 1
            step_done(bar, f"training {out.name}, epoch {epoch + 1} of {total}", _told(run), shown=progress)


def _told(run: Run) -> str:
    """The last epoch, and the time that is left."""
    last, done = run.history[-1], len(run.history)
    left = (run.config.epochs - done) * sum(epoch["seconds"] for epoch in run.history) / done
    rest = f", {left / 60:.0f} min left" if left > 90 else f", {left:.0f} s left" if left else ""
    return f"loss {last['loss']:.3f}, validation {last['validation_accuracy']:.2%}{rest}"


def _accuracy(run: Run, module: SpikingNetwork, split: Split) -> np.ndarray:
    return evaluate(module, split.images, split.labels, run.config.timesteps, accelerator=run.accelerator, ranks=run.ranks)


def _judge(run: Run, out: Path, measured: dict[str, float]) -> None:
    """Evaluate on validation data, and keep the network if none was better."""
    accuracy = _accuracy(run, run.module, run.dataset.validation)
    run.history.append({**measured, "validation_accuracy": float(accuracy[-1])})
    if not run.best or accuracy[-1] >= run.best["validation_accuracy"][-1]:
        run.best = {"epoch": len(run.history), "validation_accuracy": accuracy.tolist()}
        if run.ranks.first:
            save(out, run.module, run.config, run.metrics)


def _epoch(run: Run, epoch: int) -> dict[str, float]:
    """One pass over the training data; returns the mean loss, the accuracy and the last learning
    rate.
    """
    config, course = run.config, run.config.optimizer
    run.module.train()
    seed, split = epoch_seed(config.seed, epoch), run.dataset.train
    torch.manual_seed(seed)
    count = batch_count(split, config.batch_size)
    # summed where they arise: reading them would make the CPU wait for a GPU after every batch
    loss_sum, correct = (torch.zeros((), dtype=dtype, device=run.accelerator) for dtype in (torch.float64, torch.int64))
    seen, rate = 0, 0.0
    batches = shuffled_batches(split, config.batch_size, config.augmentation, seed=seed, share=run.share)
    with together(run.ranks):
        for i, (images, labels) in enumerate(batches):
            rate = course.learning_rate * rate_factor(course, epoch + i / count, config.epochs)
            set_rate(run.optimizer, rate)
            samples = len(labels) * run.ranks.size
            losses = _losses(run, sent(images, run.accelerator), sent(labels, run.accelerator), correct)
            loss_sum += descend(run.optimizer, losses, course) * samples
            seen += samples
            run.advance(1 / count)
    return {"loss": loss_sum.item() / seen, "train_accuracy": correct.item() / seen, "learning_rate": rate}


def _losses(run: Run, images: torch.Tensor, labels: torch.Tensor, correct: torch.Tensor) -> Iterator[torch.Tensor]:
    """The loss of each part of a batch, over all processes' samples of it; those that are right are
    added to `correct`.
    """
    config, parts = run.config, run.config.accumulate
    loss, weight = loss_named(config.loss), share_of_batch(config.loss, parts)
    for i, (x, y) in enumerate(zip(parts_of(images, parts), labels.chunk(parts)), start=1):
        with added_once(run.parallel, last=i == parts):
            with mixed(config.precision, run.accelerator):
                output = run.parallel(x, run.timesteps, first=run.ranks.number * len(y))
            answers, right = whole(widened(output), 1, run.ranks), whole(y, 0, run.ranks)
            correct += (answers.detach().sum(0).argmax(-1) == right).sum()
            yield loss(answers, right, config.neuron) * weight
