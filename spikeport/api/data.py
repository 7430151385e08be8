"""Data for training: a set by name, a file, or what lies in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from spikeport.export.common.errors import InputError
from spikeport.export.common.guard import as_path
from spikeport.train.data.dataset import Dataset, Splits
from spikeport.train.data.own import PARTS, is_own, of_arrays
from spikeport.train.data.registry import load

Array: TypeAlias = "np.ndarray[Any, Any]"
Samples: TypeAlias = "tuple[Any, Any] | TorchDataset[Any] | DataLoader[Any]"
"""Samples and their classes: two arrays or tensors, a PyTorch Dataset, or a DataLoader of one."""
PLUGIN_TIMESTEPS = 10
"""Timesteps that recordings of events are counted into, where nothing is said; as in
`train.data.registry.load`.
"""


def dataset(train: Samples, validation: Samples | None = None, test: Samples | None = None, *, seed: int = 0) -> Dataset:
    """Data of your own, from memory.

    Args:
        train, validation, test: `(x, y)`, a PyTorch Dataset or a DataLoader of such pairs. x:
            `(samples, features)`, `(samples, height, width)`, `(samples, channels, height, width)`,
            floats in 0..1 or integers in 0..255, held over time; or counts of events `(samples,
            timesteps, channels, height, width)`. y: a class from 0 for each. Parts that are left
            out are cut from `train`, 15 of 100 samples each, classes in proportion.
        seed: of the cut.

    Raises:
        InputError: arrays that do not fit each other, or values out of range.
    """
    given = {name: _arrays(part, name) for name, part in zip(PARTS, (train, validation, test)) if part is not None}
    _check_alike(given)
    x, y = (np.concatenate([arrays[i] for arrays in given.values()]) for i in range(2))
    if "test" not in given:
        if len(given) > 1:
            raise InputError("validation samples came without test samples; give test too, or train alone")
        return of_arrays(x, y, splits=Splits(seed))
    split = np.concatenate([np.full(len(arrays[1]), PARTS.index(name)) for name, arrays in given.items()])
    return of_arrays(x, y, split, splits=Splits(seed))


def load_data(
    name: str | Path, data_dir: str | Path | None = None, *, seed: int = 0, timesteps: int = PLUGIN_TIMESTEPS, validation: int = 0
) -> Dataset:
    """A data set by name ("digits", "mnist", ...), or your own file (`own.npz`), as `--data` takes
    them.

    data_dir: folder with its files, None for the user's cache, where they are downloaded to. seed:
    of splits. timesteps: that recordings of events are counted into. validation: training samples
    set aside for validation, 0 for the data set's own number.

    Raises:
        InputError: unknown name, missing or damaged files.
    """
    known = str(as_path(name).resolve()) if is_own(str(name)) else str(name)
    return load(known, as_path(data_dir) if data_dir else None, seed, timesteps, validation=validation)


def as_dataset(data: Dataset | Samples | str | Path, seed: int) -> Dataset:
    """Whatever the user has, as a data set."""
    if isinstance(data, Dataset):
        return data
    return load_data(data, seed=seed) if isinstance(data, (str, Path)) else dataset(data, seed=seed)


def _arrays(part: Samples, name: str) -> tuple[Array, Array]:
    """Samples and classes as arrays."""
    if isinstance(part, tuple) and len(part) == 2:
        x, y = map(_array, part)
    elif isinstance(part, DataLoader):
        batches = [(_array(x), _array(y)) for x, y in part]
        x, y = (np.concatenate(parts) for parts in zip(*batches)) if batches else (np.empty(0), np.empty(0, int))
    elif hasattr(part, "__getitem__") and hasattr(part, "__len__"):
        pairs = [part[i] for i in range(len(part))]
        x, y = np.stack([_array(pair[0]) for pair in pairs]), np.array([int(pair[1]) for pair in pairs])
    else:
        raise InputError(f"{name} is a {type(part).__name__}; give (x, y), a PyTorch Dataset or a DataLoader")
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise InputError(f"{name} has x of shape {x.shape} and y of shape {y.shape}; expected a class for each sample")
    return x, y


def _array(value: Any) -> Array:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise InputError(f"samples are {type(value).__name__}s, no numbers; turn them into tensors or arrays first")
    return array


def _check_alike(given: Mapping[str, tuple[Array, Array]]) -> None:
    (name, (first, _)), *others = given.items()
    for other, (x, _) in others:
        if x.shape[1:] != first.shape[1:] or x.dtype.kind != first.dtype.kind:
            raise InputError(
                f"{other} has samples {x.shape[1:]} of {x.dtype}, {name} has {first.shape[1:]} of {first.dtype}; make them alike"
            )
