"""A trained network on disk: `model.safetensors`, `config.toml` and `train.json` in one folder; nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from spikeport.export.common.errors import InputError
from spikeport.export.common.files import read_json, write_json, written_whole
from spikeport.train.data.registry import Task
from spikeport.train.network.build import build
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.settings.config import TrainConfig, read_config, write_config

MODEL, CONFIG, METRICS = "model.safetensors", "config.toml", "train.json"


@dataclass(frozen=True)
class Trained:
    """A trained network, what it was trained with, and how it did (JSON values; see `train.loop.trainer`)."""

    module: SpikingNetwork
    config: TrainConfig
    metrics: Mapping[str, Any]


def save(out: Path, module: SpikingNetwork, config: TrainConfig, metrics: Mapping[str, Any]) -> None:
    """Write a folder that `load` reads; each file is written whole.

    Raises:
        InputError: the folder cannot be written to.
    """
    save_tensors(out / MODEL, module.state_dict())
    write_config(out / CONFIG, config)
    write_json(out / METRICS, {"task": asdict(module.task), **metrics})


def load(folder: Path) -> Trained:
    """Read a folder that `save` wrote.

    Raises:
        InputError: missing or damaged files, or weights that do not fit the configuration.
    """
    if not (folder / MODEL).is_file():
        raise InputError(f"{folder} holds no {MODEL}; give a folder that spikeport train wrote")
    config, metrics = read_config(folder / CONFIG), read_json(folder / METRICS)
    module = build(config, _task(metrics.pop("task", None), folder))
    load_weights(module, folder / MODEL)
    return Trained(module.eval(), config, metrics)


def load_weights(module: torch.nn.Module, path: Path) -> None:
    """Fill a module from a safetensors file.

    Raises:
        InputError: a damaged file, or names and shapes that do not fit the module.
    """
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged ({str(error).splitlines()[0]}); train again") from None
    if found := misfit(tensors, module.state_dict()):
        raise InputError(f"{path} does not fit its {CONFIG}: {found}; put back the {CONFIG} it was trained with, or train again")
    module.load_state_dict(tensors)


def misfit(tensors: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> str:
    """The first tensor that is missing, too much or of another shape, in words; "" where all fit."""
    for name in {**expected, **tensors}:
        found, wanted = (str(tuple(given[name].shape)) if name in given else "absent" for given in (tensors, expected))
        if found != wanted:
            return f"{name} is {found} in the file, {wanted} in the network"
    return ""


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file whole."""
    owned = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    with written_whole(path) as beside:
        save_file(owned, beside, dict(metadata or {}))


def _task(values: Any, folder: Path) -> Task:
    try:
        return Task(values["name"], tuple(values["shape"]), values["classes"], values["levels"], values.get("code", "direct"))
    except (TypeError, KeyError, AttributeError):
        raise InputError(f"{folder / METRICS} lacks the task (name, shape, classes, levels); train again") from None
