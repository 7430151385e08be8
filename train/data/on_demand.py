"""Samples that are read from their files when they are asked for, for data sets that no memory
holds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

Read: TypeAlias = Callable[[str, "np.random.Generator | None"], np.ndarray]
"""A file to a sample; with a generator, to one of the sample's variations in training, if it has
any.
"""
HELD_BYTES = 4 << 30
"""Samples that take no more than this in all are read once and kept."""


def readers() -> ThreadPoolExecutor:
    """As many threads as there are cores."""
    return ThreadPoolExecutor(os.cpu_count())


@dataclass(frozen=True, eq=False)
class OnDemand:
    """Takes the place of an array `(samples, *shape)` where it is indexed by slices or integers;
    every index reads files anew.

    files: a name per sample, as `read` takes it. Threads read beside each other: decoding leaves
    Python's lock alone most of the time.
    """

    files: np.ndarray
    read: Read
    shape: tuple[int, ...]
    dtype: type

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, part: slice | np.ndarray) -> np.ndarray:
        return self.load(part)

    def load(self, part: slice | np.ndarray, seed: int | None = None) -> np.ndarray:
        """Samples as they are; with a seed, varied for training, each by the seed and its own
        number alone.
        """
        with readers() as pool:
            return self.begin(pool, part, seed)()

    def begin(self, pool: ThreadPoolExecutor, part: slice | np.ndarray, seed: int | None = None) -> Callable[[], np.ndarray]:
        """Have threads load samples; what is returned waits for them."""
        numbers = np.arange(len(self))[part]
        loaded: np.ndarray = np.empty((len(numbers), *self.shape), self.dtype)

        def fill(place: int) -> None:
            number = int(numbers[place])
            loaded[place] = self.read(str(self.files[number]), None if seed is None else np.random.default_rng((seed, number)))

        filling = pool.map(fill, range(len(numbers)))

        def wait() -> np.ndarray:
            for _ in filling:
                pass
            return loaded

        return wait

    def subset(self, part: np.ndarray) -> OnDemand:
        """Some of the samples, not read yet."""
        return replace(self, files=self.files[part])

    def held(self) -> np.ndarray | OnDemand:
        """All samples read, where memory takes them."""
        return self[:] if len(self) * int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize <= HELD_BYTES else self


Images: TypeAlias = "np.ndarray | OnDemand"


def in_batches(images: Images, parts: Iterable[slice | np.ndarray], seed: int | None = None) -> Iterator[np.ndarray]:
    """Samples part by part; what is read on demand is read one part ahead. seed: of variations in
    training, None for none.
    """
    if not isinstance(images, OnDemand):
        yield from (images[part] for part in parts)
        return
    with readers() as pool:
        coming: Callable[[], np.ndarray] | None = None
        for part in parts:
            ready, coming = coming, images.begin(pool, part, seed)
            if ready:
                yield ready()
        if coming:
            yield coming()
