"""One trainer for every method: seeds, optimizer, progress, log, the best network on validation
data, and resuming.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from spikeport.export.common.errors import InputError
from spikeport.export.common.memory import check_memory
from spikeport.export.common.progress import progress_bar, step_done
from spikeport.train.data.batches import batch_count, epoch_seed, shuffled_batches
from spikeport.train.data.registry import Dataset
from spikeport.train.loop.accelerator import sent, torch_device
from spikeport.train.loop.checkpoint import CONFIG, METRICS, MODEL, Trained, load, save
from spikeport.train.loop.curves import CURVES, write_curves
from spikeport.train.loop.deployment import prepare_for_deployment
from spikeport.train.loop.evaluation import evaluate
from spikeport.train.loop.masks import Retraining, keep_zeros, prunable
from spikeport.train.loop.resume import STATE, load_state, save_state
from spikeport.train.loop.threads import operator_threads
from spikeport.train.network.build import build
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.settings.config import TrainConfig, difference, read_config, write_config
from spikeport.train.settings.methods import METHODS
from spikeport.train.settings.named_losses import loss_named
from spikeport.train.settings.optimization import descend, rate_factor, set_rate


class DivergedError(InputError):
    """The loss of a training is no number any more."""


OnEpoch = Callable[[int, SpikingNetwork], None]
"""Gets the number of an epoch, from 1, and the network after it."""


@dataclass
class Run:
    """A training run under way. history: one entry per finished epoch. best: its epoch and
    validation accuracies over T.

    timesteps: T in training, None for the network's own. advance: is told the share of an epoch
    that each batch was.
    """

    config: TrainConfig
    dataset: Dataset
    module: SpikingNetwork
    optimizer: torch.optim.Optimizer
    accelerator: torch.device
    timesteps: int | None
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)
    advance: Callable[[float], Any] = lambda epochs: None

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
    on_epoch: called when an epoch has been judged and before it is remembered, so that a run that
    is taken up calls it again for an epoch it has to repeat. It must leave the network and torch's
    random numbers as they are.

    Raises:
        InputError: a configuration that does not fit the data, a run in `out` of another
            configuration, or no such accelerator.
        DivergedError: the loss is no number any more; the best network until then stays in `out`,
            without test accuracy.
    """
    if resume and (finished := _finished(config, out)):
        return finished
    run = _start(config, dataset, accelerator, retraining)
    if resume and (out / STATE).is_file():
        _continue(run, out)
    else:
        for old in (MODEL, METRICS, STATE):  # of a training before, which --resume would take for this one's
            (out / old).unlink(missing_ok=True)
    write_config(out / CONFIG, config)
    with torch.random.fork_rng(), operator_threads(config.threads):
        _epochs(run, out, progress, on_epoch)
    module = load(out).module  # the best, which need not be the last
    prepare_for_deployment(module, dataset.train.images)
    test = evaluate(module.to(accelerator), dataset.test.images, dataset.test.labels, config.timesteps, accelerator=accelerator)
    trained = Trained(module.cpu().eval(), config, {**run.metrics, "test_accuracy": test.tolist()})
    save(out, module, config, trained.metrics)
    (out / STATE).unlink(missing_ok=True)
    return trained


def _start(config: TrainConfig, dataset: Dataset, accelerator: str, retraining: Retraining | None) -> Run:
    if dataset.task.name != config.data:
        raise InputError(f"the configuration is for {config.data!r}, the data set is {dataset.task.name!r}")
    place = torch_device(accelerator)
    module = build(config, dataset.task).to(place)
    states = 4 * config.batch_size * config.timesteps * module.neuron_count
    what = f"training with batch_size {config.batch_size} and {config.timesteps} timesteps"
    check_memory(states, f"{what} keeps potentials, which", "take fewer of either, or a smaller network")
    optimizer = config.optimizer.build(module.parameters())
    run = Run(config, dataset, module, optimizer, place, METHODS[config.method].training_timesteps)
    if retraining:
        run.timesteps = retraining.timesteps
        module.load_state_dict(retraining.weights)
        keep_zeros(optimizer, prunable(module).values())
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
    run.history, run.best = done["history"], done["best"]


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
            write_curves(out / CURVES, run.history)
            if on_epoch:
                on_epoch(epoch + 1, run.module)
            save_state(out, run.module, run.optimizer, {"history": run.history, "best": run.best})
            bar.n = epoch + 1
            step_done(bar, f"training {out.name}, epoch {epoch + 1} of {total}", _told(run), shown=progress)


def _told(run: Run) -> str:
    """The last epoch, and the time that is left."""
    last, done = run.history[-1], len(run.history)
    left = (run.config.epochs - done) * sum(epoch["seconds"] for epoch in run.history) / done
    rest = f", {left / 60:.0f} min left" if left > 90 else f", {left:.0f} s left" if left else ""
    return f"loss {last['loss']:.3f}, validation {last['validation_accuracy']:.2%}{rest}"


def _judge(run: Run, out: Path, measured: dict[str, float]) -> None:
    """Evaluate on validation data, and keep the network if none was better."""
    validation = run.dataset.validation
    accuracy = evaluate(run.module, validation.images, validation.labels, run.config.timesteps, accelerator=run.accelerator)
    run.history.append({**measured, "validation_accuracy": float(accuracy[-1])})
    if not run.best or accuracy[-1] >= run.best["validation_accuracy"][-1]:
        run.best = {"epoch": len(run.history), "validation_accuracy": accuracy.tolist()}
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
    for i, (images, labels) in enumerate(shuffled_batches(split, config.batch_size, shift=config.shift, flip=config.flip, seed=seed)):
        rate = course.learning_rate * rate_factor(course, epoch + i / count, config.epochs)
        set_rate(run.optimizer, rate)
        x, y = sent(images, run.accelerator), sent(labels, run.accelerator)
        with torch.autocast(run.accelerator.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            output = run.module(x, run.timesteps)
        loss = loss_named(config.loss)(output.float(), y, config.neuron)
        descend(run.optimizer, loss, config.optimizer)
        loss_sum += loss.detach().double() * len(labels)
        correct += (output.detach().sum(0).argmax(-1) == y).sum()
        seen += len(labels)
        run.advance(1 / count)
    return {"loss": loss_sum.item() / seen, "train_accuracy": correct.item() / seen, "learning_rate": rate}
