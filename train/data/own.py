"""A user's own data: arrays `x` and `y`, and where given `split`, in memory, in an `.npz` file or
as `.npy` files of a folder.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeport.export.common.arrays import read_npy, read_npz
from spikeport.export.common.digest import content_digest, short
from spikeport.export.common.errors import InputError
from spikeport.train.data.dataset import Dataset, Split, Splits, Task, cut, split_digest
from spikeport.train.data.formats.event_bins import EventBins

PARTS = ("train", "validation", "test")
IN_MEMORY = "arrays in memory"
"""The name of data that no file holds."""
LEVELS = 255
"""Input levels of arrays of floats; integers up to this are levels themselves."""
CLASSES_MAX = 100_000
BY_SEED_0 = Splits()
HELD_OUT = 0.15
"""Share of the samples that validation and test take each, where the data come without a split."""


def is_own(name: str) -> bool:
    """Whether a data set's name is the place of a user's own: an `.npz`, a path, or memory."""
    return name.endswith(".npz") or "/" in name or name == IN_MEMORY


def own(name: str, data_dir: Path | None, splits: Splits, timesteps: int, bins: EventBins) -> Dataset:
    """Classes of vectors, images, or event counts over time.

    x: `(samples, features)`, `(samples, height, width)`, `(samples, channels, height, width)`, held
    over time; or counts of events `(samples, timesteps, channels, height, width)`, uint8, of which
    the first `timesteps` are taken. Integers are levels 0..255; floats lie in 0..1 and are rounded
    to 256 levels, since that is what is sent to a chip. y: class of each sample, from 0. split: 0,
    1, 2 or "train", "validation", "test" for each; without it the classes are cut in proportion,
    70, 15 and 15 of 100, by the seed. Where a split names no validation samples, 15 of 100 of the
    training samples are.

    The data set's `source` has a digest of the arrays: a path says nothing about what lies there
    tomorrow.

    Raises:
        InputError: missing or damaged files, or arrays that do not fit each other.
    """
    if name == IN_MEMORY:
        raise InputError(
            "the network was trained in Python on arrays that no file holds; save them with np.savez('own.npz', x=x, y=y) and train on own.npz"
        )
    arrays = _arrays(Path(name))
    return of_arrays(arrays["x"], arrays["y"], arrays.get("split"), name=name, splits=splits, timesteps=timesteps)


def of_arrays(
    x: np.ndarray,
    y: np.ndarray,
    split: np.ndarray | None = None,
    *,
    name: str = IN_MEMORY,
    splits: Splits = BY_SEED_0,
    timesteps: int | None = None,
) -> Dataset:
    """The data set of arrays; meaning and errors as in `own`. timesteps: of event counts, None for
    all.
    """
    where = Path(name)
    x, levels = _levels(_shaped(x, where, timesteps), where)
    labels = _labels(y, len(x), where)
    everything = Split(x, labels)
    task = Task(name, x.shape[-3:], int(labels.max()) + 1, levels, "events" if x.ndim == 5 else "direct")
    if split is None:
        rest, test = cut(everything, _held_out(everything), splits.seed)
        train, validation = splits.held_out(rest, _held_out(everything))
        how = f"split by seed {splits.seed}"
    else:
        train, validation, test = (everything.subset(part) for part in _split(split, len(x), where))
        how = "split as given"
        if len(validation) == 0:
            train, validation = splits.held_out(train, _held_out(train))
            how = f"validation split off by seed {splits.seed}"
        else:
            splits.refuse_own_number(where.name)
    digest = content_digest("own", *map(split_digest, (train, validation, test)))
    return Dataset(task, train, validation, test, f"{where.name} ({short(digest)}), {how}").mixed()


def _held_out(split: Split) -> int:
    return max(1, round(HELD_OUT * len(split)))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if path.is_dir():
        files = {name: path / f"{name}.npy" for name in ("x", "y", "split")}
        arrays = {name: read_npy(file) for name, file in files.items() if name != "split" or file.exists()}
    else:
        arrays = read_npz(path)
    missing = [name for name in ("x", "y") if name not in arrays]
    if missing:
        raise InputError(f"{path} has no array {missing[0]}; a data set of your own holds x, y and, if you like, split")
    return arrays


def _shaped(x: np.ndarray, path: Path, timesteps: int | None) -> np.ndarray:
    """`(samples, channels, height, width)`, or with a time axis behind the first."""
    if not x.size or x.ndim not in (2, 3, 4, 5):
        raise InputError(f"{path}: x has shape {x.shape}; expected samples of a vector, an image, or counts over time")
    if x.ndim == 2:
        return x[:, :, None, None]
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 5 and timesteps and x.shape[1] < timesteps:
        raise InputError(f"{path}: x has {x.shape[1]} timesteps, training takes {timesteps}; train with --timesteps {x.shape[1]}")
    return x[:, :timesteps] if x.ndim == 5 else x


def _levels(x: np.ndarray, path: Path) -> tuple[np.ndarray, int]:
    """The values as training takes them, and the number of levels above 0."""
    if x.dtype.kind not in "fiub" or not np.isfinite(x).all():
        raise InputError(f"{path}: x holds {x.dtype} values that are not all finite numbers")
    low, high, whole = x.min(), x.max(), x.dtype.kind in "iub"
    if low < 0 or high > (LEVELS if whole else 1) or (x.ndim == 5 and not whole):
        expected = "whole counts in 0..255" if x.ndim == 5 else "integers in 0..255 or floats in 0..1"
        raise InputError(f"{path}: x lies in {low:g}..{high:g} as {x.dtype}; expected {expected}, scale it first")
    if x.ndim == 5:
        return x.astype(np.uint8), max(1, int(high))
    levels = max(1, int(high)) if whole else LEVELS
    return ((x if whole else np.rint(x * LEVELS)) / levels).astype(np.float32), levels


def _labels(y: np.ndarray, samples: int, path: Path) -> np.ndarray:
    if y.shape != (samples,) or y.dtype.kind not in "iu" or not samples:
        raise InputError(f"{path}: y has shape {y.shape} and type {y.dtype}; expected one class from 0 for each of {samples} samples")
    if y.min() < 0 or y.max() >= CLASSES_MAX:
        raise InputError(f"{path}: y lies in {y.min()}..{y.max()}; classes are 0..{CLASSES_MAX - 1:,} at most, number them from 0")
    return y.astype(np.int64)


def _split(split: np.ndarray, samples: int, path: Path) -> list[np.ndarray]:
    """Which samples each part has."""
    names = np.asarray(PARTS)
    chosen = [split == (name if split.dtype.kind == "U" else i) for i, name in enumerate(names)]
    if split.shape != (samples,) or not np.any(chosen, axis=0).all():
        raise InputError(f"{path}: split must say 0, 1, 2 or {', '.join(PARTS)} for each of {samples} samples")
    return chosen
