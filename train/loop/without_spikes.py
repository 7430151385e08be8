"""Training of the same network without spikes, on the same data with the same settings: what the
spiking one is compared with.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from spikeport.export.common.progress import progress_bar
from spikeport.train.data.batches import batch_count, epoch_seed, shuffled_batches
from spikeport.train.data.registry import Dataset
from spikeport.train.loop.evaluation import evaluate
from spikeport.train.loop.threads import operator_threads
from spikeport.train.network.without_spikes import NetworkWithoutSpikes
from spikeport.train.settings.config import TrainConfig
from spikeport.train.settings.optimization import descend, rate_factor, set_rate


@dataclass(frozen=True)
class WithoutSpikes:
    """What it reached. bits: of activations. epoch: the best one on validation data, from 1.

    Accuracies are fractions.
    """

    bits: int
    epoch: int
    validation: float
    test: float


def train_without_spikes(config: TrainConfig, dataset: Dataset, bits: int, *, progress: bool = True) -> WithoutSpikes:
    """Train with the settings of a spiking network, but cross-entropy as loss; the test data is
    looked at once, at the end.

    Activations and weights are rounded from the first batch on. The best epoch on validation data
    counts, of equals the later.
    """
    with torch.random.fork_rng(), operator_threads(config.threads):
        torch.manual_seed(config.seed)
        module = NetworkWithoutSpikes(config, dataset.task, bits)
        optimizer = config.optimizer.build(module.parameters())
        best = (0, 0.0, module.state_dict())
        with progress_bar(config.epochs, f"without spikes, {bits} bits", unit="epoch", leave=True, shown=progress) as bar:
            for epoch in range(config.epochs):
                _epoch(module, optimizer, config, dataset, epoch)
                validation = _accuracy(module, dataset.validation)
                if not best[0] or validation >= best[1]:
                    best = (epoch + 1, validation, copy.deepcopy(module.state_dict()))
                bar.update()
        module.load_state_dict(best[2])
        return WithoutSpikes(bits, best[0], best[1], _accuracy(module, dataset.test))


def _epoch(module: NetworkWithoutSpikes, optimizer: torch.optim.Optimizer, config: TrainConfig, dataset: Dataset, epoch: int) -> None:
    module.train()
    course, seed, count = config.optimizer, epoch_seed(config.seed, epoch), batch_count(dataset.train, config.batch_size)
    torch.manual_seed(seed)
    batches = shuffled_batches(dataset.train, config.batch_size, shift=config.shift, flip=config.flip, seed=seed)
    for i, (images, labels) in enumerate(batches):
        set_rate(optimizer, course.learning_rate * rate_factor(course, epoch + i / count, config.epochs))
        descend(optimizer, [F.cross_entropy(module(images)[0], labels)], course)


def _accuracy(module: NetworkWithoutSpikes, split) -> float:
    return float(evaluate(module, split.images, split.labels, 1)[-1])
