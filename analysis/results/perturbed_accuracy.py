"""How much accuracy perturbed images cost, in float and in fixed point, as values that go to JSON
and back.

Losses against clean images are paired: the same samples, each right or wrong before and after.
Limits are exact (`spikeport.analysis.common.paired`), 2.5 % on either side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikeport.analysis.common.paired import largest_loss
from spikeport.analysis.results.perturbations import Strengths

ALPHA = 0.025


@dataclass(frozen=True)
class Outcome:
    """One network on one set of images. accuracy: after 1 .. T timesteps, fractions.

    loss: of accuracy against clean images at T in percentage points, low and high its 95 % limits.
    """

    accuracy: tuple[float, ...]
    loss: float
    low: float
    high: float


@dataclass(frozen=True)
class Condition:
    """One set of images. name: "clean" or a perturbation. first, last: timesteps (from 1) that were
    perturbed.

    outcomes: by network, "float" (the trained one in PyTorch) and "fixed point" (the quantized
    one).
    """

    name: str
    first: int
    last: int
    outcomes: Mapping[str, Outcome]


@dataclass(frozen=True)
class Robustness:
    """Accuracy under perturbations. samples: of test data. cut: T' where truncation chose one.
    level: smallest change of a pixel that fixed point sees.

    conditions: clean first, then images perturbed at all timesteps. windows: images perturbed in a
    window of timesteps that slides from the first step to the last (figure 2), with the
    perturbation named `deficit`; empty where that was not asked for.
    """

    samples: int
    seed: int
    timesteps: int
    cut: int | None
    level: float
    strengths: Strengths
    conditions: tuple[Condition, ...]
    deficit: str = "noise"
    windows: tuple[Condition, ...] = ()

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks that were run."""
        return tuple(self.conditions[0].outcomes)

    def relative(self, network: str) -> tuple[float, ...]:
        """Accuracy with the deficit in each window minus that in the last one, percentage points
        (figure 2, right panels).
        """
        accuracy = [100 * window.outcomes[network].accuracy[-1] for window in self.windows]
        return tuple(a - accuracy[-1] for a in accuracy)


def outcome(correct: np.ndarray, clean: np.ndarray) -> Outcome:
    """From whether each sample is right after 1 .. T timesteps, bool `(samples, T)`, on perturbed
    and on clean images.
    """
    lost, gained = int((clean[:, -1] & ~correct[:, -1]).sum()), int((correct[:, -1] & ~clean[:, -1]).sum())
    low, high = 0.0, 0.0
    if correct is not clean:
        low, high = -largest_loss(gained, lost, len(correct), ALPHA), largest_loss(lost, gained, len(correct), ALPHA)
    return Outcome(tuple(correct.mean(axis=0).tolist()), 100 * (lost - gained) / len(correct), 100 * low, 100 * high)
