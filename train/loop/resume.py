"""The state of an unfinished training run in one file, so that a kill at any moment leaves a whole state behind.

Tensors are `model/NAME` and `optimizer/INDEX/KEY`; the progress is JSON in the file's metadata. Random numbers need no state:
the trainer seeds its generators anew every epoch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from spikeport.export.common.errors import InputError
from spikeport.train.loop.checkpoint import broken_seal, load_tensors, misfit, save_tensors

STATE = "state.safetensors"
SEALED = "sealed"
"""Stands in the progress of a file that must carry the digest of its contents; files of versions before have none."""


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
    try:
        with safe_open(path, "pt") as file:
            return json.loads(file.metadata()["progress"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise _unusable(path, error) from None


def _unusable(path: Path, error: Exception | str) -> InputError:
    return InputError(f"{path} cannot be resumed from ({str(error).splitlines()[0]}); start again without --resume")


def load_state(out: Path, module: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Fill module and optimizer; returns the progress.

    Raises:
        InputError: a damaged file, one whose contents are not those that were written, or one that does not fit the module.
    """
    path = out / STATE
    progress = _progress(path)
    try:
        tensors, metadata = load_tensors(path)
    except (SafetensorError, OSError) as error:
        raise _unusable(path, error) from None
    if reason := broken_seal(tensors, metadata, required=SEALED in progress):
        raise _unusable(path, reason)
    weights = {name[6:]: t for name, t in tensors.items() if name.startswith("model/")}
    if found := misfit(weights, module.state_dict()):
        raise _unusable(path, found)
    module.load_state_dict(weights)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return progress
