"""The joint choice of a population's scale and the exponents of all connections into it.

Imports numpy only.

A population counts potential in weight units of physical size S; connection c's weights are
integers times `S * 2**e_c`. S may be any number (for each channel its own, where allowed), e_c is
an integer and the same for all channels. Chosen are the S and e_c with

    least  sum_c E_c(S * 2**e_c)  +  (1 + number of negative e_c) * S**2 / 12        subject to  S >= floor

where E_c is the mean square error of the current that rounding and clipping the weights of c makes,
on the real statistics of its input, and S**2 / 12 that of rounding the threshold (if there is one)
and of rounding down each current whose exponent is negative. The floor keeps registers from
overflowing. No single weight counts with more than threshold**2 in E_c: a spiking neuron cannot
tell a current of forty thresholds from one of two, so one outlier is clipped before it starves the
rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.model import registers as reg

PHASES = 16
"""Candidate steps per factor of two: neighbours differ by 4 %."""
UNSEEN_SHARE = 0.01
"""A weight whose input was silent in calibration still counts this share of the average one."""
NEGLIGIBLE = 1.001
"""Costs whose ratio is closer to 1 are the same."""
EXPONENTS = range(reg.WEIGHT_EXPONENT_MIN, reg.WEIGHT_EXPONENT_MAX + 1)


@dataclass(frozen=True, eq=False)
class SynapseRows:
    """Weights of one connection, a row per channel: `(groups, weights)`. squares: mean square of
    their inputs. fan_in: per neuron.
    """

    weight: np.ndarray
    squares: np.ndarray
    fan_in: int


@dataclass(frozen=True, eq=False)
class Fit:
    """What was chosen. scale: `(groups,)`. exponents: one per connection. cost: the sum above, each
    group over its threshold squared.
    """

    scale: np.ndarray
    exponents: tuple[int, ...]
    cost: float


class _ErrorTable:
    """E_c for every candidate step `base * 2**(m / PHASES)`, m from `first` on; `(groups,
    candidates)`.
    """

    def __init__(self, synapses: SynapseRows, base: np.ndarray, bits: int, threshold: np.ndarray, *, shared: bool) -> None:
        weight = synapses.weight.astype(np.float32)
        squares = synapses.squares.astype(np.float32)
        squares = squares + UNSEEN_SHARE * squares.mean() + np.finfo(np.float32).tiny
        half = 1 << (bits - 1)
        worst = (threshold**2)[:, None].astype(np.float32)
        peak = np.abs(synapses.weight).max(axis=1)
        # From clipping all beyond the mean magnitude to clipping none; where the scale must suit
        # other connections too, on to losing all.
        typical = np.abs(synapses.weight).sum(axis=1) / np.maximum(np.count_nonzero(synapses.weight, axis=1), 1)
        self.first = int(np.floor(PHASES * np.log2(np.where(peak > 0, typical, base) / ((half - 1) * base)).min()))
        last = int(np.ceil(PHASES * np.log2(np.where(peak > 0, peak, base) / ((half - 1) * base)).max() - 1e-6)) + 1
        last += shared * PHASES * bits
        steps = base[:, None] * 2.0 ** (np.arange(self.first, last + 1) / PHASES)
        neurons = weight.shape[1] / synapses.fan_in
        self.error = np.stack([_squared_error(weight, squares, s.astype(np.float32), half, worst) for s in steps.T], axis=1) / neurons
        self.energy = np.minimum(weight**2 * squares, worst).sum(axis=1, dtype=np.float64) / neurons

    def at(self, m: np.ndarray) -> np.ndarray:
        """Error at `(groups, candidates)` steps; infinite below those tried, beyond them that of
        losing every weight.
        """
        last = self.error.shape[1] - 1
        known = np.take_along_axis(self.error, np.clip(m - self.first, 0, last), axis=1)
        return np.where(m < self.first, np.inf, np.where(m > self.first + last, self.energy[:, None], known))


def _squared_error(weight: np.ndarray, squares: np.ndarray, step: np.ndarray, half: int, worst: np.ndarray) -> np.ndarray:
    """Weighted squared error per row of weights rounded to multiples of `step`, clipped to
    `-half..half - 1`; at most `worst` each.
    """
    rounded = np.rint(weight / step[:, None])
    np.clip(rounded, -half, half - 1, out=rounded)
    rounded *= step[:, None]
    rounded -= weight
    rounded *= rounded
    rounded *= squares
    return np.minimum(rounded, worst, out=rounded).sum(axis=1, dtype=np.float64)


class ScaleSearch:
    """The choice for one population. threshold: physical, `(groups,)`. fires: whether the threshold
    is ever compared with.
    """

    def __init__(self, synapses: Sequence[SynapseRows], bits: int, threshold: np.ndarray, *, fires: bool) -> None:
        self.base = _base_steps(synapses, bits, threshold)
        self.unit = np.where(threshold > 0, threshold, 1.0)
        worst = np.where((threshold > 0) & fires, threshold, np.inf)
        self.tables = [_ErrorTable(s, self.base, bits, worst, shared=len(synapses) > 1) for s in synapses]
        self.fires = fires
        lead = _peaks(synapses[0], self.base)
        self.offsets = [round(float(np.median(np.log2(_peaks(s, self.base) / lead)))) for s in synapses]

    def best(self, floor: np.ndarray) -> Fit:
        """Scale and exponents of least cost; of those that differ negligibly, the smallest
        exponents, which leave most room in the
        registers. floor: smallest scale allowed, `(groups,)`, positive.
        """
        fits = [self._fit([e + o for o in self.offsets], floor) for e in EXPONENTS]
        least = min(fit.cost for fit in fits)
        if not np.isfinite(least):
            raise InputError("no scale and exponent fits a population's weights and threshold: they lie too far apart; rescale the network")
        best = next(fit for fit in fits if fit.cost <= NEGLIGIBLE * least)
        while True:
            better = min((self._fit(e, floor) for e in _neighbours(best.exponents)), key=lambda fit: fit.cost, default=best)
            if better.cost * NEGLIGIBLE >= best.cost:
                assert np.isfinite(best.cost)
                return best
            best = better

    def _fit(self, exponents: Sequence[int], floor: np.ndarray) -> Fit:
        """The best scale of every group for these exponents; the cost is infinite where none is
        allowed.
        """
        if any(e not in EXPONENTS for e in exponents):
            return Fit(self.base, tuple(exponents), np.inf)
        m, scales = self._candidates(exponents[0], floor)
        cost = sum(table.at(m + PHASES * e) for table, e in zip(self.tables, exponents))
        cost = cost + scales**2 / 12 * (self.fires + sum(e < 0 for e in exponents))
        chosen = np.where(scales >= floor[:, None], cost, np.inf).argmin(axis=1)
        groups = np.arange(len(floor))
        return Fit(scales[groups, chosen], tuple(exponents), float((cost[groups, chosen] / self.unit**2).sum()))

    def _candidates(self, exponent: int, floor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scales `(groups, candidates)` and m, their place among steps; a group with all of them
        below the floor takes the floor.
        """
        lead = self.tables[0]
        m = np.arange(lead.first, lead.first + lead.error.shape[1]) - PHASES * exponent
        scales = self.base[:, None] * 2.0 ** (m / PHASES)
        low = scales.max(axis=1, keepdims=True) < floor[:, None]
        at_floor = np.ceil(PHASES * np.log2(floor / self.base)).astype(np.int64)[:, None]
        return np.where(low, at_floor, m), np.where(low, floor[:, None], scales)


def _base_steps(synapses: Sequence[SynapseRows], bits: int, threshold: np.ndarray) -> np.ndarray:
    """Per group, the step that just holds the largest weight; a group without weights takes that of
    its threshold.
    """
    peak = np.max([np.abs(s.weight).max(axis=1) for s in synapses], axis=0)
    anything = np.where(threshold > 0, threshold, 1.0)
    return np.where(peak > 0, peak, anything) / ((1 << (bits - 1)) - 1)


def _peaks(synapses: SynapseRows, base: np.ndarray) -> np.ndarray:
    peak = np.abs(synapses.weight).max(axis=1)
    return np.where(peak > 0, peak, base)


def _neighbours(exponents: tuple[int, ...]) -> list[list[int]]:
    """The same exponents with one changed by 1 or 2, or two by 1 each."""
    places = range(len(exponents)) if len(exponents) > 1 else ()
    moves = [{i: d} for i in places for d in (-2, -1, 1, 2)]
    moves += [{i: d, j: f} for i, j in combinations(places, 2) for d, f in product((-1, 1), repeat=2)]
    return [[e + move.get(i, 0) for i, e in enumerate(exponents)] for move in moves]
