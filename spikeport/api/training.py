"""A network from the papers' notation, its training, and what it means to a chip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from spikeport.api.data import Samples, as_dataset
from spikeport.export.common.errors import InputError
from spikeport.export.common.guard import as_path
from spikeport.export.model.network import FloatNetwork
from spikeport.stages.config import training_config
from spikeport.stages.folder.claims import check_place, claimed
from spikeport.stages.folder.workspace import Workspace
from spikeport.train.data.dataset import Dataset
from spikeport.train.loop.accelerator import torch_device
from spikeport.train.loop.checkpoint import Trained
from spikeport.train.loop.deployment import prepare_for_deployment
from spikeport.train.loop.masks import Retraining
from spikeport.train.loop.trainer import train as run_training
from spikeport.train.network.architecture import Architecture
from spikeport.train.network.build import build as build_network
from spikeport.train.network.lowering import lower as lower_network
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.settings.config import TrainConfig
from spikeport.train.settings.methods import METHODS

BUILT = tuple("arch method neuron timesteps batch_norm tdbn_alpha bias stem_bias initial readout normalise input_code dropout".split())
"""Settings that a network is built with and training cannot change."""


def build(
    arch: str | Architecture,
    data: Dataset | Samples | str | Path,
    *,
    method: str = "stbp",
    timesteps: int | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> SpikingNetwork:
    """An untrained spiking network: a torch module, called as `network(x, timesteps)`, whose
    outputs `(T, N, classes)` add up over time.

    Args:
        arch: the papers' notation ("15C5-P2-40C5-P2-300"), a name ("resnet-18", see
            `train.network.architecture`), or layers in Python. A readout of one neuron per class is
            added.
        data: what it must fit; a data set, `(x, y)`, a PyTorch Dataset or DataLoader, a name, or a
            file.
        method: "stbp", "dsr", "tssl-bp", "noise", or one of your own; it brings the neurons.
        timesteps: T, None for the data set's usual. seed: of the weights.
        settings: anything else of a `[train]` table (docs/configuration.md), such as `{"neuron":
            {"decay": 0.9}}`.

    Raises:
        InputError: a notation that is not understood or does not fit, or settings out of range.
    """
    config, task = _config(arch, data, method, timesteps, seed, settings)
    _refuse_other_start(config.without_spikes_epochs)
    return build_network(config, task)


def train(
    network: SpikingNetwork | str | Architecture,
    data: Dataset | Samples | str | Path,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    loss: str | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
    accelerator: str = "cpu",
    progress: bool = True,
    on_epoch: Callable[[int, SpikingNetwork], None] | None = None,
) -> Trained:
    """Train a network; the best one on validation data comes back, and test data is looked at once,
    at the end.

    Args:
        network: from `build`, which goes on from its weights (those that are zero stay so: `prune`)
            and is filled with the best ones; or a notation, as `build` takes it, with all settings
            the data set's own.
        data: as in `build`.
        epochs, batch_size, learning_rate, loss, seed, settings: None for what the network was built
        with, or the data set's usual.
        out: folder that commands go on with (`spikeport quantize OUT`); None leaves no file.
            resume: go on with a run that was stopped
            there. force: replace the run that lies there.
        accelerator: "cpu" or "cuda". progress: show it on standard error.
        on_epoch: called with the number of each epoch, from 1, and the network after it; must
            change neither.

    Raises:
        InputError: settings out of range, data that do not fit, or another run in `out`;
            DivergedError, one of these, where the loss is no number any more.
    """
    if isinstance(network, SpikingNetwork):
        built = network
        if built.config is None:
            raise InputError("this network was put together from stages by hand; train it in a loop of your own, or use sp.build")
        _refuse_other_start((settings or {}).get("without_spikes_epochs"))
        found = as_dataset(data, built.config.seed)
    else:
        found = as_dataset(data, seed or 0)
        method = str((settings or {}).get("method", "stbp"))
        built = build_network(*_config(network, found, method, None, seed or 0, settings))
    config = _changed(built, found, {"epochs": epochs, "batch_size": batch_size, "loss": loss, "seed": seed}, learning_rate, settings)
    torch_device(accelerator)
    weights = Retraining(built.state_dict(), METHODS[config.method].training_timesteps or config.timesteps) if built is network else None
    options: dict[str, Any] = {"progress": progress, "accelerator": accelerator, "on_epoch": on_epoch, "retraining": weights}
    with TemporaryDirectory(prefix="spikeport-") if out is None else nullcontext(as_path(out)) as place:
        work = Workspace(Path(place) / "network" if out is None else Path(place))  # progress says its name
        check_place(work, force=force, resume=resume)
        with claimed(work, force=force, resume=resume):
            trained = run_training(config, found, work.root, resume=resume, **options)
            if out is not None:
                work.remember_data(None)
    built.load_state_dict(trained.module.state_dict())
    return Trained(built.cpu().eval(), trained.config, trained.metrics)


def lower(network: SpikingNetwork | Trained, *, calibration: Any = None, timesteps: int | None = None) -> FloatNetwork:
    """The network in physical units, exactly: what `quantize`, `write_float_onnx` and
    `simulate_float` take.

    Args:
        network: trained here, by `train` or in a loop of your own; it is set to evaluation.
        calibration: training images, which neurons of the method "noise" need after a loop of your
            own; `train` has done it.
        timesteps: T, None for what it was built for.

    Raises:
        InputError: neurons that cannot be lowered, or that were not calibrated.
    """
    module = network.module if isinstance(network, Trained) else network
    if calibration is not None:
        prepare_for_deployment(module, calibration)
    return lower_network(module.eval(), timesteps)


def _config(
    arch: str | Architecture,
    data: Dataset | Samples | str | Path,
    method: str,
    timesteps: int | None,
    seed: int,
    settings: Mapping[str, Any] | None,
) -> tuple[TrainConfig, Any]:
    task = as_dataset(data, seed).task
    changes = {"arch": str(arch), "method": method, "seed": seed, **({} if timesteps is None else {"timesteps": timesteps})}
    return training_config({"data": task.name}, {**(settings or {}), **changes}, "settings"), task


def _refuse_other_start(without_spikes_epochs: int | None) -> None:
    if without_spikes_epochs:
        raise InputError("without_spikes_epochs begins a training, and a network that is built has weights; give sp.train the notation")


def _changed(
    network: SpikingNetwork, data: Dataset, changes: Mapping[str, Any], learning_rate: float | None, settings: Mapping[str, Any] | None
) -> TrainConfig:
    """The network's configuration with what training was told; InputError where that would be
    another network.
    """
    before = network.config
    assert before is not None
    if data.task.shape != network.task.shape or data.task.classes > network.task.classes:
        raise InputError(
            f"the data have samples {data.task.shape} of {data.task.classes} classes, the network takes {network.task.shape} "
            f"of {network.task.classes}; build it for these data"
        )
    said: dict[str, Any] = {**(settings or {}), **{name: value for name, value in changes.items() if value is not None}}
    if learning_rate is not None:
        said["optimizer"] = {**said.get("optimizer", {}), "learning_rate": learning_rate}
    after = training_config(asdict(before), {**said, "data": data.task.name}, "settings")
    for name in BUILT:
        if getattr(after, name) != getattr(before, name):
            raise InputError(f"{name} is built into the network; give it to sp.build")
    return after
