"""Training of the same network without spikes, on the same data with the same settings: what the
spiking one is compared with, and what its training can begin with.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from spikeport.export.common.progress import progress_bar, step_done
from spikeport.train.data.batches import batch_count, epoch_seed, network_input, shuffled_batches
from spikeport.train.data.registry import Dataset
from spikeport.train.loop.accelerator import mixed, sent, widened
from spikeport.train.loop.evaluation import evaluate
from spikeport.train.loop.threads import operator_threads
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.network.without_spikes import NetworkWithoutSpikes, Rectified
from spikeport.train.neurons.dsr import DSR, DSRConfig
from spikeport.train.settings.config import TrainConfig
from spikeport.train.settings.optimization import descend, rate_factor, set_rate

BATCHES = 5
"""Of training samples whose activations thresholds begin with."""
CPU = torch.device("cpu")


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

    Activations and weights are rounded from the first batch on, in float32 whatever the settings
    say. The best epoch on validation data counts, of equals the later.
    """
    config = replace(config, precision="float32")
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


def begin_without_spikes(
    network: SpikingNetwork,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    dataset: Dataset,
    accelerator: torch.device,
    *,
    done: int = 0,
    on_epoch: Callable[[int], None] = lambda epochs: None,
    progress: bool = True,
) -> None:
    """Train a network's weights and BatchNorm with ReLU in place of neurons for
    `without_spikes_epochs`, as hybrid training does (Rathi et al., ICLR 2020, arXiv 2005.01807):
    cross-entropy whatever the loss will be, and whole batches whatever `accumulate` says, since one
    pass takes the memory of one timestep.

    DSR's thresholds then begin with a percentile of each layer's activations, as the authors begin
    on ImageNet (Meng et al. 2022, code: the 99.9th of five batches, zeros among them). Other
    methods' thresholds are fixed; they are met by currents of the scale that BatchNorm gives.

    done: epochs that network and optimizer have behind them. on_epoch: gets their number after each
    further one.

    Raises:
        InputError: a network with delays.
    """
    rectified, total = Rectified(network), config.without_spikes_epochs
    with progress_bar(total, "without spikes, ReLU", unit="epoch", done=done, leave=True, shown=progress) as bar:
        for epoch in range(done, total):
            loss = _epoch(rectified, optimizer, replace(config, epochs=total), dataset, epoch, accelerator)
            on_epoch(epoch + 1)
            bar.n = epoch + 1
            step_done(bar, f"without spikes, epoch {epoch + 1} of {total}", f"loss {loss:.3f}", shown=progress)
    if not isinstance(config.neuron, DSRConfig):
        return
    for name, activations in _activations(rectified, config, dataset, accelerator).items():
        neuron = network.neuron(name)
        assert isinstance(neuron, DSR)
        neuron.represent(percentile(activations, config.neuron.percentile))


def percentile(values: np.ndarray, share: float) -> float:
    """The authors' percentile: of n sorted values that which `share` % of them lie below, no mean
    of neighbours.
    """
    place = min(int(share / 100 * values.size), values.size - 1)
    return float(np.partition(values, place)[place])


@torch.no_grad()
def _activations(rectified: Rectified, config: TrainConfig, dataset: Dataset, accelerator: torch.device) -> dict[str, np.ndarray]:
    """Of each layer, on the first training samples, as in evaluation."""
    rectified.eval()
    seen: dict[str, list[np.ndarray]] = {}
    for first in range(0, min(BATCHES * config.batch_size, len(dataset.train)), config.batch_size):
        images = np.asarray(dataset.train[first : first + config.batch_size].array)
        rectified(sent(network_input(torch.from_numpy(images)), accelerator))
        for name, values in rectified.activations.items():
            seen.setdefault(name, []).append(values.cpu().numpy().ravel())
    return {name: np.concatenate(parts) for name, parts in seen.items()}


def _epoch(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    dataset: Dataset,
    epoch: int,
    accelerator: torch.device = CPU,
) -> float:
    """Returns the mean of the batches' losses."""
    module.train()
    course, seed, count = config.optimizer, epoch_seed(config.seed, epoch), batch_count(dataset.train, config.batch_size)
    torch.manual_seed(seed)
    batches = shuffled_batches(dataset.train, config.batch_size, config.augmentation, seed=seed)
    loss_sum = torch.zeros((), dtype=torch.float64, device=accelerator)
    for i, (images, labels) in enumerate(batches):
        set_rate(optimizer, course.learning_rate * rate_factor(course, epoch + i / count, config.epochs))
        with mixed(config.precision, accelerator):
            output = module(sent(images, accelerator))
        loss_sum += descend(optimizer, [F.cross_entropy(widened(output).flatten(0, -2), sent(labels, accelerator))], course)
    return loss_sum.item() / count


def _accuracy(module: NetworkWithoutSpikes, split) -> float:
    return float(evaluate(module, split.images, split.labels, 1)[-1])
