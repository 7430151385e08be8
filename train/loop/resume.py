"""The state of an unfinished training run in one file, so that a kill at any moment leaves a whole
state behind.

Tensors are `model/NAME` and `optimizer/INDEX/KEY`; the progress is JSON in the file's metadata.
Random numbers need no state: the trainer seeds its generators anew every epoch.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from spikeport.export.common.errors import InputError
from spikeport.export.common.files import parse_json
from spikeport.export.common.guard import reading
from spikeport.train.loop.checkpoint import CONFIG, METRICS, MODEL, broken_seal, checked_metrics, load_tensors, misfit, save_tensors
from spikeport.train.settings.config import TrainConfig, write_config

STATE = "state.safetensors"
SEALED = "sealed"
"""Stands in the progress of a file that must carry the digest of its contents; files of versions
before have none.
"""
AGAIN = "start again without --resume"


def save_state(out: Path, module: torch.nn.Module, optimizer: torch.optim.Optimizer, progress: dict[str, Any]) -> None:
    """Write the state after an epoch."""
    tensors = {f"model/{name}": t for name, t in module.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": torch.as_tensor(value) for key, value in values.items() if value is not None}
    save_tensors(out / STATE, tensors, {"progress": json.dumps({**progress, SEALED: True})})


def epochs_done(out: Path) -> int:
    """Epochs that an unfinished run has behind it, 0 where there is none.

    Raises:
        InputError: a damaged file.
    """
    path = out / STATE
    return len(_progress(path)["history"]) if path.is_file() else 0


def _progress(path: Path) -> dict[str, Any]:
    with _state(path):
        with safe_open(path, "pt") as file:
            progress = parse_json(file.metadata()["progress"], f"{path}: progress")
        checked_metrics({**progress["best"], "history": progress["history"]}, path)
        return progress


def _state(path: Path) -> AbstractContextManager[None]:
    return reading(path, "an unfinished training", AGAIN)


def load_state(out: Path, module: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Fill module and optimizer; returns the progress.

    Raises:
        InputError: a damaged file, one whose contents are not those that were written, or one that
            does not fit the module.
    """
    path = out / STATE
    progress = _progress(path)
    with _state(path):
        tensors, metadata = load_tensors(path)
        if reason := broken_seal(tensors, metadata, required=SEALED in progress):
            raise InputError(f"{path} is damaged: {reason}; {AGAIN}")
        weights = {name[6:]: t for name, t in tensors.items() if name.startswith("model/")}
        if mismatch := misfit(weights, module.state_dict()):
            raise InputError(f"{path} does not fit its network: {mismatch}; {AGAIN}")
        module.load_state_dict(weights)
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer/"):
                _, index, key = name.split("/")
                state.setdefault(int(index), {})[key] = tensor
        _check_moments(state, list(module.parameters()), path)
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        return progress


def _check_moments(state: dict[int, dict[str, torch.Tensor]], parameters: list[torch.nn.Parameter], path: Path) -> None:
    for index, values in state.items():
        shapes = {(), tuple(parameters[index].shape)} if 0 <= index < len(parameters) else set()
        if any(tuple(value.shape) not in shapes for value in values.values()):
            raise InputError(f"{path} holds an optimizer's state that does not fit parameter {index} of the network; {AGAIN}")


def make_room(out: Path, config: TrainConfig, *, begun: bool) -> None:
    """Write the settings; unless the training has begun, remove what one before it left."""
    if not begun:
        for old in (MODEL, METRICS, STATE):  # of a training before, which --resume would take for this one's
            (out / old).unlink(missing_ok=True)
    write_config(out / CONFIG, config)
