"""What a data set is: a task and three disjoint splits."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from spikeport.export.common.digest import content_digest
from spikeport.export.common.errors import InputError
from spikeport.train.data.on_demand import Images, OnDemand


@dataclass(frozen=True)
class Task:
    """What a network must fit. shape: `(channels, height, width)`.

    code: "direct", pixels held over time, integers 0..levels divided by levels; or "events", counts
    0..levels per timestep as they are.
    """

    name: str
    shape: tuple[int, ...]
    classes: int
    levels: int
    code: Literal["direct", "events"] = "direct"

    @property
    def scale(self) -> float:
        """What an input of 1 level stands for."""
        return 1 / self.levels if self.code == "direct" else 1.0


@dataclass(frozen=True, eq=False)
class Split:
    """images: float32 in [0, 1], `(samples, channels, height, width)`, or event counts uint8
    `(samples, timesteps, channels, height, width)`.

    labels: int64 `(samples,)`. Where no memory holds the images, they are read on demand: an index
    reads some of them.
    """

    images: Images
    labels: np.ndarray

    def __post_init__(self) -> None:
        assert len(self.images) == len(self.labels), (len(self.images), self.labels.shape)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice | np.ndarray) -> Split:
        return Split(self.images[part], self.labels[part])

    @property
    def array(self) -> np.ndarray:
        """All images, read where they are not yet."""
        return self.images[:]

    def subset(self, part: np.ndarray) -> Split:
        """Some of the samples; what is read on demand stays unread."""
        images = self.images.subset(part) if isinstance(self.images, OnDemand) else self.images[part]
        return Split(images, self.labels[part])

    def held(self) -> Split:
        """The same samples, read now where memory takes them."""
        return Split(self.images.held(), self.labels) if isinstance(self.images, OnDemand) else self


@dataclass(frozen=True, eq=False)
class Dataset:
    """A classification task with its three disjoint splits. source: where the data came from, for
    the report.
    """

    task: Task
    train: Split
    validation: Split
    test: Split
    source: str

    def __post_init__(self) -> None:
        if not all(map(len, (self.train, self.validation, self.test))):
            counts = f"{len(self.train)} for training, {len(self.validation)} for validation and {len(self.test)} for testing"
            raise InputError(f"{self.task.name}: too few samples, {counts}; each needs at least 1, give more")

    def mixed(self) -> Dataset:
        """The same samples, no split class by class (`in_mixed_order`)."""
        return replace(self, train=in_mixed_order(self.train), validation=in_mixed_order(self.validation), test=in_mixed_order(self.test))

    def named(self, name: str) -> Dataset:
        """The same data as a data set of that name."""
        return replace(self, task=replace(self.task, name=name), source=self.source.replace(self.task.name, name, 1))


@dataclass(frozen=True)
class Splits:
    """Who is in which split. seed: of the draw. validation: so many of the training samples are set
    aside to choose the epoch and T'; 0 for the number that the data set's loader names.
    """

    seed: int = 0
    validation: int = 0

    def held_out(self, official: Split, usual: int) -> tuple[Split, Split]:
        """Training and validation samples, classes in proportion. usual: how many are for
        validation where the user does not say.

        Raises:
            InputError: as many as there are, or more.
        """
        if self.validation >= len(official):
            raise InputError(f"validation is {self.validation:,}, but there are {len(official):,} samples to train on; set aside fewer")
        return cut(official, self.validation or max(1, usual), self.seed)

    def refuse_own_number(self, where: str) -> None:
        """Where validation samples come with the data.

        Raises:
            InputError: the user asked for a number.
        """
        if self.validation:
            raise InputError(f"validation is {self.validation:,}, but {where} has validation samples of its own; leave it out")


def cut(split: Split, size: int, seed: int) -> tuple[Split, Split]:
    """Two disjoint parts in their original order, the second with `size` samples, if there are as
    many, and the classes in proportion.

    Shuffled, then sorted by class, then every n-th: exact for any size, where a class may be
    missing from a small part.
    """
    size = min(size, len(split))
    shuffled = np.random.default_rng(seed).permutation(len(split))
    by_class = shuffled[np.argsort(split.labels[shuffled], kind="stable")]
    chosen = np.zeros(len(split), bool)
    chosen[by_class[np.arange(size) * len(split) // size]] = True
    return split.subset(~chosen), split.subset(chosen)


def in_mixed_order(split: Split) -> Split:
    """The same samples; where they come class by class, in a random order that is the same every
    time.

    Folders are read class by class, and so are many files, but whoever looks at the first so many
    samples (calibration, Fisher information, a comparison in Lava) means any. Class by class:
    neighbours differ in class less than half as often as in a random order.
    """
    shares = np.unique(split.labels, return_counts=True)[1] / max(1, len(split))
    differ = np.count_nonzero(split.labels[1:] != split.labels[:-1])
    if 2 * differ >= (len(split) - 1) * (1 - (shares**2).sum()):
        return split
    return split.subset(np.random.default_rng(0).permutation(len(split)))


def scaled(images: np.ndarray, labels: np.ndarray) -> Split:
    """Bytes `(samples, channels, height, width)` to levels in [0, 1]."""
    return Split(images.astype(np.float32) / np.float32(255), labels.astype(np.int64))


def split_digest(split: Split) -> str:
    """A digest of samples and labels in their order; 64 hexadecimal digits.

    Of samples that are read on demand, which no memory holds, their files' names below the folder
    that all share stand for them.
    """
    if not isinstance(split.images, OnDemand):
        return content_digest("split", split.images, split.labels)
    names = [str(name) for name in split.images.files]
    shared = os.path.commonpath([os.path.dirname(name) for name in names])  # noqa: PTH120
    relative = [os.path.relpath(name, shared or ".") for name in names]
    kind = (split.images.shape, str(split.images.dtype().dtype))
    return content_digest("split on demand", relative, *kind, split.labels)
