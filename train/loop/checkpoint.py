"""A trained network on disk: `model.safetensors`, `config.toml` and `train.json` in one folder;
nothing is ever unpickled.

The weights carry a digest of themselves in the file's metadata, and `train.json` says that they do
(`"sealed": true`), so that neither a damaged weight nor a file written by another tool passes for
the network that was trained. Folders of versions before that have neither, and are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save as as_safetensors

from spikeport.export.common.digest import content_digest, short
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import read_json, write_bytes, write_json
from spikeport.export.common.guard import check_regular, reading
from spikeport.export.common.printable import brief
from spikeport.export.common.tabular import Table, Tabular
from spikeport.train.data.registry import Task
from spikeport.train.network.build import build, stages_of, weight_count
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.settings.config import TrainConfig, read_config, write_config

MODEL, CONFIG, METRICS = "model.safetensors", "config.toml", "train.json"
DIGEST = "digest"
"""Name of the digest in a safetensors file's metadata."""
MODEL_MAX = 1 << 35
"""Bytes of weights, or of a training's state: those of the largest network that is built, with
Adam's moments.
"""
VALUES_MAX = 1 << 24
"""Of one sample, classes, or levels of a value."""


@dataclass(frozen=True, repr=False)
class Trained(Tabular):
    """A trained network, what it was trained with, and how it did (JSON values; see
    `train.loop.trainer`).
    """

    module: SpikingNetwork
    config: TrainConfig
    metrics: Mapping[str, Any]

    def table(self) -> Table:
        """The training, a row per epoch."""
        history, test = self.metrics.get("history", []), self.metrics.get("test_accuracy")
        names = ("loss", "train_accuracy", "validation_accuracy", "seconds")
        said = f"test accuracy {test[-1]:.2%} after {self.config.timesteps} timesteps" if test else "not tested"
        columns = {"epoch": range(1, len(history) + 1), **{name: [epoch.get(name) for epoch in history] for name in names}}
        title = f"{self.config.arch} on {self.config.data} with {self.config.method}: {said}, {len(history)} epochs"
        return Table(title, columns, "epoch", names[1:3], "accuracy")


def save(out: Path, module: SpikingNetwork, config: TrainConfig, metrics: Mapping[str, Any]) -> None:
    """Write a folder that `load` reads; each file is written whole.

    Raises:
        OutputError: the folder cannot be written to.
    """
    save_tensors(out / MODEL, module.state_dict())
    write_config(out / CONFIG, config)
    write_json(out / METRICS, {"task": asdict(module.task), "sealed": True, **metrics})


def load(folder: Path) -> Trained:
    """Read a folder that `save` wrote.

    Raises:
        InputError: missing or damaged files, or weights that do not fit the configuration or are
            not those that were written.
    """
    if not (folder / MODEL).is_file():
        raise InputError(f"{folder} holds no {MODEL}; give a folder that spikeport train wrote")
    config, metrics = read_config(folder / CONFIG), checked_metrics(read_json(folder / METRICS), folder / METRICS)
    with reading(folder, "a trained network", "train again"):
        task = _task(metrics.pop("task", None), folder)
        _check_weights(folder, config, task)
        module = build(config, task)
    load_weights(module, folder / MODEL, sealed=bool(metrics.pop("sealed", False)))
    return Trained(module.eval(), config, metrics)


def trained_digest(module: torch.nn.Module, config: TrainConfig) -> str:
    """Which trained network a result speaks of: its weights and what they were trained with; 64
    hexadecimal digits.
    """
    return content_digest("trained", tensors_digest(module.state_dict()), asdict(config))


def settings_digest(config: TrainConfig) -> str:
    """Which training a result speaks of that was taken while it went on; 64 hexadecimal digits."""
    return content_digest("settings", asdict(config))


def load_weights(module: torch.nn.Module, path: Path, *, sealed: bool = False) -> None:
    """Fill a module from a safetensors file. sealed: the file must carry the digest of its tensors.

    Raises:
        InputError: a damaged file, or names, shapes and types that do not fit the module.
    """
    with reading(path, "weights", "train again"):
        tensors, metadata = load_tensors(path)
    if mismatch := misfit(tensors, module.state_dict()):
        raise InputError(f"{path} does not fit its {CONFIG}: {mismatch}; put back the {CONFIG} it was trained with, or train again")
    if reason := broken_seal(tensors, metadata, required=sealed):
        raise InputError(f"{path} is damaged: {reason}; put back the file that training wrote, or train again")
    with reading(path, "weights", "train again"):
        module.load_state_dict(tensors)


def misfit(tensors: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> str:
    """The first tensor that is missing, too much, of another shape or type, or not finite, in
    words; "" where all fit.

    What is not finite in `expected` itself (statistics that are not measured yet) may be so in the
    file.
    """
    for name in {**expected, **tensors}:
        there, here = (_described(given.get(name)) for given in (tensors, expected))
        if there != here:
            return f"{name} is {there} in the file, {here} in the network"
        if not (tensors[name].isfinite() | ~expected[name].cpu().isfinite()).all():
            return f"{name} holds NaN or infinity"
    return ""


def _described(tensor: torch.Tensor | None) -> str:
    """Shape, and the type of the elements where it is not the usual one."""
    if tensor is None:
        return "absent"
    kind = "" if tensor.dtype == torch.float32 else f" of {str(tensor.dtype).removeprefix('torch.')}"
    return f"{tuple(tensor.shape)}{kind}"


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file whole, with a digest of the tensors and of the other metadata in its
    metadata.
    """
    owned = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    said = dict(metadata or {})
    write_bytes(path, as_safetensors(owned, {**said, DIGEST: tensors_digest(owned, said)}))


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file; raises what the library raises, see
    `export.common.guard`.
    """
    check_regular(path, MODEL_MAX)
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}


def tensors_digest(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> str:
    """A digest of names, types, shapes and elements, and of what is said beside them."""
    plain = {name: (str(t.dtype), tuple(t.shape), _bytes(t)) for name, t in tensors.items()}
    return content_digest("tensors", plain, dict(metadata or {}))


def broken_seal(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str], *, required: bool) -> str:
    """Why tensors are not those that were written, in words; "" where they are, or where a file
    without a digest is allowed.
    """
    said = dict(metadata)
    if not (digest := said.pop(DIGEST, "")):
        return "it does not carry the digest of its tensors any more" if required else ""
    if digest != tensors_digest(tensors, said):
        return f"its tensors do not have the digest {short(digest)} that they were written with"
    return ""


def _bytes(tensor: torch.Tensor) -> np.ndarray:
    """The elements as they lie in memory, little end first on every machine that PyTorch runs on."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _task(values: Any, folder: Path) -> Task:
    if not isinstance(values, dict) or not {"name", "shape", "classes", "levels"} <= values.keys():
        raise InputError(f"{folder / METRICS} lacks the task (name, shape, classes, levels); train again")
    name, shape, code = values["name"], values["shape"], values.get("code", "direct")
    sizes = [*shape, values["classes"], values["levels"]] if isinstance(shape, list) else []
    plain = all(type(size) is int and 1 <= size <= VALUES_MAX for size in sizes) and len(sizes) == 5
    if not plain or prod(shape) > VALUES_MAX or not isinstance(name, str) or code not in ("direct", "events"):
        raise InputError(f"{folder / METRICS} has a task that no data set has: {brief(values)}; train again")
    return Task(name, tuple(shape), values["classes"], values["levels"], code)


def _check_weights(folder: Path, config: TrainConfig, task: Task) -> None:
    """Refuse a configuration of more weights than the file holds, before they are made."""
    weights, size = weight_count(stages_of(config.arch, task)), (folder / MODEL).stat().st_size
    if 4 * weights > size:
        raise InputError(
            f"{folder / MODEL} is damaged or another network's: {size:,} bytes, {CONFIG} describes {weights:,} weights; train again"
        )


def checked_metrics(values: Any, path: Path) -> dict[str, Any]:
    """What training keeps of itself, as `train.loop.trainer` describes it, checked; what else is
    there is left as it is.

    Raises:
        InputError: accuracies that are no fractions, or a history without them.
    """
    if not isinstance(values, dict):
        raise InputError(f"{path} is no record of a training; train again")
    for name in ("validation_accuracy", "test_accuracy"):
        over_time = values.get(name, [0.0])
        if not (isinstance(over_time, list) and over_time and all(map(_fraction, over_time))):
            raise InputError(f"{path}: {name} is {brief(over_time)}; expected fractions after 1..T timesteps; train again")
    history = values.get("history", [])
    timed = history if "test_accuracy" in values else history[:-1] if isinstance(history, list) else ()  # saved before the clock is read
    if not isinstance(history, list) or not all(map(_epoch, history)) or not all("seconds" in epoch for epoch in timed):
        raise InputError(f"{path}: its epochs are no list of numbers with validation_accuracy and seconds; train again")
    if type(values.get("epoch", 0)) is not int or not isinstance(values.get("source", ""), str):
        raise InputError(f"{path}: its best epoch or its data source is of another kind; train again")
    return values


def _fraction(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def _epoch(value: Any) -> bool:
    numbers = isinstance(value, dict) and all(type(number) in (int, float) for number in value.values())
    return numbers and _fraction(value.get("validation_accuracy")) and 0 <= value.get("seconds", 0) < 2**53
