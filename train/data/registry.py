"""Data sets by name, with splits fixed by a seed.

Timesteps are chosen on validation data and reported on test data, so every data set has all three
splits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spikeport.export.common.errors import InputError, unknown
from spikeport.train.data.colour import cifar, cifar_jpeg, svhn
from spikeport.train.data.dataset import Dataset, Split, Splits, Task
from spikeport.train.data.events import dvs_cifar10, event_folder, n_mnist, n_mnist_small
from spikeport.train.data.formats.event_bins import EventBins
from spikeport.train.data.grey import digits, mnist_like
from spikeport.train.data.imagenet import imagenet
from spikeport.train.data.own import is_own, own
from spikeport.train.data.speech import speech

__all__ = ["DATASETS", "Dataset", "EventBins", "Split", "Task", "load"]


def load(
    name: str, data_dir: Path | None = None, seed: int = 0, timesteps: int = 10, bins: EventBins | None = None, validation: int = 0
) -> Dataset:
    """Load a data set by name, or a user's own by its place (`train.data.own`).

    The seed decides who is in which split, nothing else; MNIST's official test set stays the test
    set. What comes class by class is mixed (`train.data.dataset.in_mixed_order`). validation:
    training samples set aside for validation, 0 for the data set's own number.

    data_dir: folder that holds the files; without it they are downloaded once into the user's
    cache, where a download exists. The bundled digits need neither. timesteps, bins: how recordings
    of events are counted; images have no time.

    Raises:
        InputError: unknown name, missing or damaged files.
    """
    if is_own(name):
        return own(name, data_dir, Splits(seed, validation), timesteps, bins or EventBins())
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS, "or give the place of your own, own.npz")
    if data_dir is not None and data_dir.is_file():
        raise InputError(f"--data-dir {data_dir} is a file; give the folder that holds the files of {name}")
    return DATASETS[name](name, data_dir, Splits(seed, validation), timesteps, bins or EventBins()).mixed()


DATASETS: dict[str, Callable[[str, Path | None, Splits, int, EventBins], Dataset]] = {
    "digits": digits,
    "mnist": mnist_like,
    "fashion-mnist": mnist_like,
    "cifar-10": cifar,
    "cifar-100": cifar,
    "cifar-10-jpeg": cifar_jpeg,
    "svhn": svhn,
    "n-mnist": n_mnist,
    "n-mnist-small": n_mnist_small,
    "dvs-cifar10": dvs_cifar10,
    "shd": speech,
    "ssc": speech,
    "events": event_folder,
    "imagenet": imagenet,
}
"""Loader by the name given on the command line."""
