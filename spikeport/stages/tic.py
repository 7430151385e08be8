"""Fisher information of what people have: networks trained here, during training or after it, and
anyone's `.nir`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.analysis.information.fisher import FisherResult, fisher_information
from spikeport.analysis.information.history import FisherHistory
from spikeport.analysis.information.scores import Estimator, Labels
from spikeport.analysis.pages.beside import write_beside
from spikeport.analysis.pages.fisher import fisher_page
from spikeport.export.common.errors import InputError
from spikeport.export.common.memory import check_memory
from spikeport.export.floating.input import InputLayer
from spikeport.export.floating.layers import SpikeFunction
from spikeport.export.floating.run import FloatModule
from spikeport.export.floating.simulate import physical_input
from spikeport.export.model.network import FloatNetwork
from spikeport.export.model.seed import check_seed
from spikeport.stages.folder.bound import Digests, json_digests, read_bound, write_bound
from spikeport.stages.session import Session
from spikeport.train.data.batches import network_input
from spikeport.train.data.registry import Split
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.neurons.base import NeuronConfig
from spikeport.train.neurons.dsr import DSRConfig
from spikeport.train.neurons.surrogates import Surrogate
from spikeport.train.neurons.tsslbp import TSSLConfig

PASS_SAMPLES = 64
"""Samples in one pass of the per-sample estimator; no result depends on it but where a neuron model
looks at its whole batch.
"""
Progress = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class TicConfig:
    """What is asked for. samples: the first of the data. batch: of estimator "batch" (16 as
    published). timesteps: None for the network's own.

    seed: of sampled labels, of noise and of the intervals.
    """

    samples: int = 256
    estimator: Estimator = "sample"
    labels: Labels = "true"
    batch: int = 16
    timesteps: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("samples", "batch", "timesteps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} of Fisher information is {value}; it must be at least 1")
        check_seed(self.seed)


def of_trained(module: SpikingNetwork, data: Split, config: TicConfig, progress: Progress | None = None) -> FisherResult:
    """Of a network trained here, or in training, on the first samples of a split.

    Raises:
        InputError: fewer samples than a batch, or recordings shorter than the timesteps.
    """
    part, steps = data[: config.samples], config.timesteps or module.timesteps
    _check_fits(module.neuron_count, steps, config)
    return fisher_information(
        module,
        _batches(
            torch.from_numpy(part.array),
            torch.from_numpy(part.labels),
            config,
            lambda batch, first: _numbered(module.encoder, network_input(batch), steps, first),
        ),
        steps,
        estimator=config.estimator,
        labels=config.labels,
        fresh=looks_ahead(module.neuron_config),
        block=block_name,
        seed=config.seed,
        progress=progress,
    )


def of_float_network(
    network: FloatNetwork, array: np.ndarray, labels: np.ndarray | None, config: TicConfig, progress: Progress | None = None
) -> FisherResult:
    """Of a network in physical units: weights and biases through an arctan surrogate as wide as
    each population's threshold.

    array: as `export.floating.simulate.physical_input` takes it. labels: integers `(samples,)`;
    None where `config.labels` is "sampled".

    Raises:
        InputError: arrays that do not fit the network or each other, or labels that are needed and
            missing.
    """
    steps = config.timesteps or network.timesteps
    _check_fits(sum(p.size for p in network.populations), steps, config)
    values, held = physical_input(network.input, array[: config.samples], steps)
    classes = int(np.prod(network[network.output].shape))
    targets = _checked(labels, len(array), classes, config)[: config.samples]
    module = differentiable(network)
    x = torch.as_tensor(np.ascontiguousarray(values), dtype=torch.float32)
    return fisher_information(
        module,
        _batches(x, targets, config, lambda part, first: _numbered(module.input, part if held else part.transpose(0, 1), steps, first)),
        steps,
        estimator=config.estimator,
        labels=config.labels,
        readout="last" if network.readout == "membrane_potential" else "mean",
        block=_names(module).__getitem__,
        seed=config.seed,
        progress=progress,
    )


def _check_fits(neurons: int, timesteps: int, config: TicConfig) -> None:
    """Gradients need every neuron's potential at every timestep of a batch."""
    what = f"Fisher information of {timesteps:,} timesteps with batches of {config.batch} keeps potentials, which"
    check_memory(4.0 * config.batch * timesteps * neurons, what, "take fewer of either")


def differentiable(network: FloatNetwork) -> FloatModule:
    """The network with its own spikes and a gradient: an arctan surrogate as wide as each
    population's threshold.
    """
    module = FloatModule(network)
    for neurons in module.neuron.values():
        neurons.spike = with_surrogate(neurons.spike, float(neurons.threshold.abs().mean()))
    return module


def recorder(path: Path, data: Split, every: int, config: TicConfig, made_of: Digests) -> Callable[[int, SpikingNetwork], None]:
    """A callback for the trainer: what is found after every so many epochs is added to a file, in
    place of another training's.

    Neither the network nor any random number of the training is touched, so training ends with the
    same weights.
    made_of: digest of the training's settings.

    Raises:
        InputError: `every` below 1.
    """
    if every < 1:
        raise InputError(f"--tic-every is {every}; look after every 1 epoch or more")

    def record(epoch: int, module: SpikingNetwork) -> None:
        if epoch % every == 0:
            history = read_bound(FisherHistory, path, made_of)[0] or FisherHistory()
            write_bound(path, history.with_result(epoch, of_trained(module, data, config)), made_of)

    return record


def fitting(result: FisherResult | None, path: Path, timesteps: int) -> FisherResult | None:
    """A result that lay in a file, refused where it is of other timesteps than the network's.

    Raises:
        InputError: it is.
    """
    if result and result.timesteps != timesteps:
        again = f"make it again with: spikeport tic {path.parent}"
        raise InputError(f"{path} is of {result.timesteps} timesteps, the network has {timesteps}; {again}")
    return result


def kept_tic(session: Session, path: Path, timesteps: int, **asked: Any) -> FisherResult | None:
    """What lies in a file of this session's network; None where there is nothing, or else than is
    asked for in fields of `FisherResult`.

    What was taken on validation samples, as before, is nothing: a proposal that these had a part in
    must not open the tests on them.

    Raises:
        InputError: a damaged file, or one of other timesteps than the network's.
    """
    if session.training and path.exists() and "validation" in (json_digests(path, FisherResult.__name__) or {}):
        session.note(f"{path.name} is left out: it was taken on validation samples; make it again with: spikeport tic {path.parent}")
        return None
    result = fitting(session.kept(FisherResult, path, *session.informed_by), path, timesteps)
    return result if result and all(getattr(result, name) == value for name, value in asked.items()) else None


def tic_stage(session: Session, out: Path, config: TicConfig | None = None) -> FisherResult:
    """Fisher information of the float network on the samples of `Session.calibration`, as
    configured or as usual.
    """
    config = config or TicConfig(seed=session.seed)
    with session.bar(min(len(session.calibration), config.samples), "Fisher information") as progress:
        result = session.information(config, progress)
    history = session.kept(FisherHistory, session.work.tic_history, "settings")
    write_tic(result, history, session.title, out, session.made_of(*session.informed_by))
    return result


def write_tic(result: FisherResult, history: FisherHistory | None, title: str, out: Path, made_of: Digests) -> None:
    """JSON, and a page with pictures beside it; they are also kept as files."""
    write_bound(out, result, made_of)
    write_beside(out.with_suffix(".html"), made_of, lambda beside: fisher_page(result, history, title, beside))


def looks_ahead(neuron: NeuronConfig) -> bool:
    """Whether the backward pass at t depends on steps after t: DSR's mean current, and the mean
    rate of TSSL-BP as in the paper.
    """
    return isinstance(neuron, DSRConfig) or (isinstance(neuron, TSSLConfig) and neuron.rule == "paper")


def block_name(layer: str) -> str:
    """`synapses.group2block1a.0.weights` to `group2block1`; the stage, where there are no residual
    blocks.
    """
    stage = layer.split(".")[1]
    residual = re.match(r"group\d+block\d+", stage)
    return residual[0] if residual else stage


def with_surrogate(spike: SpikeFunction, threshold: float) -> SpikeFunction:
    """The same spikes, strict or not, with a gradient."""
    soft = Surrogate(width=threshold or 1.0).spike

    def spikes(x: Tensor) -> Tensor:
        graded = soft(x)
        return spike(x) + (graded - graded.detach())

    return spikes


def _names(module: FloatModule) -> dict[str, str]:
    """From a layer's name in torch to its population's: a connection belongs to its target."""
    synapses = {f"synapses.{i}": layer.connection.target for i, layer in enumerate(module.synapse.values())}
    return synapses | {f"neurons.{i}": name for i, name in enumerate(module.neuron)}


def _numbered(layer: InputLayer, x: Tensor, timesteps: int, first: int) -> Tensor:
    """The spikes that a rate code draws for these samples, whatever pass they are in; the input of
    other codes as it is.
    """
    if layer.source.code != "rate":
        return x
    return layer.drawn(x[None] if x.shape[1:] == layer.source.shape else x, timesteps, first)


def _batches(x: Tensor, y: Tensor, config: TicConfig, shaped: Callable[[Tensor, int], Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Samples first, and the number of the first, to what the network takes; the batch estimator
    leaves out the remainder of less than a batch.
    """
    size = PASS_SAMPLES if config.estimator == "sample" else config.batch
    count = len(y) if config.estimator == "sample" else len(y) // size * size
    if not count:
        raise InputError(f"{len(y)} samples make no batch of {size}; give more samples or a smaller batch")
    for start in range(0, count, size):
        yield shaped(x[start : start + size], start), y[start : start + size]


def _checked(labels: np.ndarray | None, samples: int, classes: int, config: TicConfig) -> Tensor:
    if labels is None:
        if config.labels == "true":
            raise InputError("true labels need --targets Y.npy; or let the network draw them with --labels sampled")
        return torch.zeros(samples, dtype=torch.int64)
    if labels.shape != (samples,) or labels.dtype.kind not in "iu":
        raise InputError(f"targets have shape {labels.shape} and type {labels.dtype}; expected one integer for each of {samples} samples")
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(f"targets lie in {labels.min()}..{labels.max()}; the network has {classes} outputs, so 0..{classes - 1}")
    return torch.from_numpy(labels.astype(np.int64))
