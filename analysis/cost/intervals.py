"""Intervals: bootstrap over samples, times one factor for every source of prices, drawn once for
all that rests on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from spikeport.analysis.cost.devices import ModelError, Price

DRAWS = 500


@dataclass(frozen=True)
class Band:
    """A mean over samples and its 95 % interval, for T' = 1 .. T."""

    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Factor:
    """What truth may be, relative to the estimate: 95 % in `low` .. `high`, the estimate itself in
    the middle of the draws.
    """

    source: str
    low: float
    high: float

    @classmethod
    def of_price(cls, price: Price) -> Factor:
        """The spread of a price."""
        return cls(price.source, 1 / (1 + price.spread), 1 + price.spread)

    @classmethod
    def of_model(cls, error: ModelError) -> Factor:
        """What was measured on whole networks."""
        return cls(error.source, error.low, error.high)

    def drawn(self, normal: np.ndarray) -> np.ndarray:
        """Log-normal on either side, from standard normal draws."""
        return np.exp(np.abs(normal) / 1.96 * np.where(normal < 0, np.log(self.low), np.log(self.high)))


@dataclass(frozen=True, eq=False)
class Part:
    """A share of a total, under a name: `(samples, T)` in joules or seconds, and the factors that
    it is uncertain by.

    unknown: nothing of it is in the mean; up to all of it (95 %) may come on top. What has no
    price.
    """

    name: str
    values: np.ndarray
    factors: tuple[Factor, ...]
    unknown: bool = False

    def times(self, value: float, *factors: Factor, name: str = "") -> Part:
        """Multiplied by an uncertain number: energy from time and power."""
        return replace(self, name=name or self.name, values=self.values * value, factors=(*self.factors, *factors))


class Draws:
    """What the truth may be, `DRAWS` times: which samples came, and how far each source is off.

    Quantities of one `Draws` are off together, so products of them are too.
    """

    def __init__(self, samples: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.seed, self.weights = seed, rng.multinomial(samples, np.full(samples, 1 / samples), DRAWS) / samples

    def of(self, parts: Iterable[Part]) -> np.ndarray:
        """The sum of all parts, `(DRAWS, T)`."""
        return np.sum([self._part(part) for part in parts], axis=0)

    def _part(self, part: Part) -> np.ndarray:
        mean = self.weights @ part.values
        factors = [f.drawn(self._normal(f.source)) for f in part.factors]
        if part.unknown:
            factors.append(np.abs(self._normal(part.name)) / 1.96)
        return np.prod(factors, axis=0)[:, None] * mean if factors else mean

    def _normal(self, source: str) -> np.ndarray:
        return np.random.default_rng([self.seed, crc32(source.encode())]).standard_normal(DRAWS)

    def band(self, *sums: Sequence[Part]) -> Band:
        """Of a sum of parts, or of the product of several sums."""
        drawn = np.prod([self.of(parts) for parts in sums], axis=0)
        low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
        mean = np.prod([mean_of(parts) for parts in sums], axis=0)
        return Band(tuple(mean.tolist()), tuple(low.tolist()), tuple(high.tolist()))


def mean_of(parts: Iterable[Part]) -> np.ndarray:
    """The estimate, `(T,)`: mean over samples of all that has a price."""
    return np.sum([part.values.mean(axis=0) * (not part.unknown) for part in parts], axis=0)
