"""Quantization-aware fine-tuning: a lowered network learns to live on the grid that quantization
chose for it.

Forward, every weight is rounded to its grid; backward, rounding passes the gradient where it does
not clip (straight-through estimator, Bengio et al. 2013). Thresholds and decays are the quantized
ones; biases start there and train in float, since their grid is 64 times finer. What is lost where
currents are rounded down (negative weight exponents) is not simulated.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from spikeport.export.common.errors import InputError
from spikeport.export.common.progress import progress_bar
from spikeport.export.floating.run import FloatModule
from spikeport.export.model.network import Connection, Elementwise, FloatNetwork, FloatNeuron, Population, QuantizedNetwork
from spikeport.export.quantization.dequantize import dequantize
from spikeport.export.quantization.weight_step import WeightGrid, weight_grids
from spikeport.train.data.augment import Augmentation
from spikeport.train.data.batches import batch_count, epoch_seed, shuffled_batches
from spikeport.train.data.registry import Dataset
from spikeport.train.loop.evaluation import evaluate
from spikeport.train.loop.masks import keep_zeros
from spikeport.train.loop.threads import operator_threads
from spikeport.train.neurons.noise import NoiseConfig
from spikeport.train.neurons.stbp import LIFConfig
from spikeport.train.neurons.surrogates import Surrogate
from spikeport.train.settings.config import TrainConfig
from spikeport.train.settings.losses import accumulated_cross_entropy
from spikeport.train.settings.optimization import OptimizerConfig, rate_factor, set_rate


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """A short AdamW run on cross-entropy of the mean over time, whose learning rate falls along a
    cosine. It is in float32 whatever the training was in: bfloat16 has no more bits than an 8-bit
    grid. threads: see `TrainConfig`.
    """

    epochs: int = 5
    learning_rate: float = 1e-3
    batch_size: int = 64
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    threads: int = 0
    surrogate: Surrogate = field(default_factory=Surrogate)

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size) < 1 or not self.learning_rate > 0:
            raise InputError("fine-tuning needs at least 1 epoch and 1 sample a batch, and a positive learning rate")

    @classmethod
    def after(cls, training: TrainConfig, epochs: int) -> FinetuneConfig:
        """With the augmentation, seed, threads and surrogate of the training; the usual surrogate
        where its method has none.
        """
        neuron = training.neuron
        surrogate = neuron.surrogate if isinstance(neuron, (LIFConfig, NoiseConfig)) else Surrogate()
        return cls(epochs=epochs, augmentation=training.augmentation, seed=training.seed, threads=training.threads, surrogate=surrogate)


class FakeQuantize(nn.Module):
    """Weights rounded to a grid, with a straight-through gradient."""

    step: torch.Tensor

    def __init__(self, grid: WeightGrid) -> None:
        super().__init__()
        self.low, self.high = grid.low, grid.high
        self.register_buffer("step", torch.tensor(grid.step, dtype=torch.float32))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        scaled = torch.clamp(weight / self.step, self.low, self.high)
        return self.step * (scaled + (torch.round(scaled) - scaled).detach())


def finetune(
    network: FloatNetwork, quantized: QuantizedNetwork, dataset: Dataset, config: FinetuneConfig, *, progress: bool = True
) -> FloatNetwork:
    """Fine-tune a float network for the grid of its quantization;
    `export.quantization.rounding.requantize(result, quantized)` is exact on it.

    network: the float network that `quantized` was made from. The best epoch on validation data is
    returned, which may be none: then the weights are those of `quantized`.
    """
    module = fake_quantized(network, quantized, config.surrogate)
    with operator_threads(config.threads):
        _train(module, dataset, config, progress)
    return _network(network, quantized, module)


def fake_quantized(network: FloatNetwork, quantized: QuantizedNetwork, surrogate: Surrogate) -> FloatModule:
    """The quantized network's neurons, and the float network's weights, which round themselves to
    the grid.

    Only dense and convolution weights and the biases behind them train; elementwise ones (max
    pooling) stay.
    """
    module = FloatModule(replace(network, populations=dequantize(quantized).populations), spike=surrogate.spike)
    trained = {c.target for c in network.connections if not isinstance(c.op, Elementwise)}
    for population, neuron in zip(module.network.populations, module.neurons):
        neuron.bias.requires_grad_(population.name in trained)
    grids = weight_grids(quantized)
    for connection, synapse in zip(module.network.connections, module.synapses):
        synapse.weight.requires_grad_(not isinstance(connection.op, Elementwise))
        parametrize.register_parametrization(synapse, "weight", FakeQuantize(grids[connection.name]))
    return module


def _train(module: FloatModule, dataset: Dataset, config: FinetuneConfig, progress: bool) -> None:
    """Leave the best weights in the module."""
    best, best_accuracy = _state(module), _accuracy(module, dataset)
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], config.learning_rate, weight_decay=0.0)
    keep_zeros(optimizer, [p for name, p in module.named_parameters() if name.startswith("synapses.") and p.requires_grad])
    with progress_bar(config.epochs, "fine-tuning", unit="epoch", leave=True, shown=progress) as bar:
        for epoch in range(config.epochs):
            _epoch(module, optimizer, dataset, config, epoch)
            accuracy = _accuracy(module, dataset)
            if accuracy >= best_accuracy:
                best, best_accuracy = _state(module), accuracy
            bar.update()
    module.load_state_dict(best)


def _epoch(module: FloatModule, optimizer: torch.optim.Optimizer, dataset: Dataset, config: FinetuneConfig, epoch: int) -> None:
    seed, count = epoch_seed(config.seed, epoch), batch_count(dataset.train, config.batch_size)
    batches = shuffled_batches(dataset.train, config.batch_size, config.augmentation, seed=seed)
    for i, (images, labels) in enumerate(batches):
        set_rate(optimizer, config.learning_rate * rate_factor(OptimizerConfig(), epoch + i / count, config.epochs))
        optimizer.zero_grad(set_to_none=True)
        first = (epoch * count + i) * len(labels)  # so that every batch has noise and spikes of its own
        accumulated_cross_entropy(module(images, module.network.timesteps, first=first), labels).backward()
        optimizer.step()


def _accuracy(module: FloatModule, dataset: Dataset) -> float:
    validation = dataset.validation
    return float(evaluate(module, validation.images, validation.labels, module.network.timesteps)[-1])


def _state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def _network(network: FloatNetwork, quantized: QuantizedNetwork, module: FloatModule) -> FloatNetwork:
    """The trained weights, on their grid, and biases, in float64."""
    grids, latent = weight_grids(quantized), dict(module.named_parameters())

    def population(p: Population) -> Population:
        assert isinstance(p.neuron, FloatNeuron)
        return replace(p, neuron=replace(p.neuron, bias=_float64(module.biases[p.name])))

    def connection(c: Connection, trained: torch.Tensor) -> Connection:
        grid = grids[c.name]
        weight = grid.step * np.clip(np.rint(_float64(trained) / grid.step), grid.low, grid.high)
        return replace(c, op=replace(c.op, weight=np.asarray(weight)))

    return replace(
        network,
        populations=tuple(map(population, network.populations)),
        connections=tuple(
            connection(c, latent[f"synapses.{i}.parametrizations.weight.original"]) for i, c in enumerate(network.connections)
        ),
    )


def _float64(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()
