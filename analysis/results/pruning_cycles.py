"""Iterative magnitude pruning as values that go to JSON and back (Kim et al. 2023, figures 6 and
7).

Training is counted in sample-timesteps: samples that went through the network in training times the
timesteps each was shown for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class PruningCycle:
    """One cycle: pruned, then retrained. remaining: nonzero weights by layer.

    accuracy: of the best epoch on test data after 1 .. T timesteps; validation: on validation data
    at T. seconds: of retraining and its validation, as measured.
    """

    remaining: Mapping[str, int]
    accuracy: tuple[float, ...]
    validation: float
    epoch: int
    seconds: float


@dataclass(frozen=True)
class Pruning:
    """A whole run of prune. source: where the trained network lay. weights: of it, by layer.

    timesteps: T, at which everything is evaluated; trained_timesteps: of the first training (1 for
    single-step methods).
    retraining_timesteps: T_retrain, chosen_by: in words. to_come: share of Fisher information still
    to come after 1 .. T timesteps in the trained network, None where it did not decide.
    trained_epochs, epochs: of the first training and of each cycle.
    samples: that an epoch trains on. planned: cycles. cycles: those done; before: the trained
    network, not pruned.
    """

    source: str
    weights: Mapping[str, int]
    scope: Literal["global", "layer"]
    fraction: float
    timesteps: int
    trained_timesteps: int
    retraining_timesteps: int
    chosen_by: str
    to_come: tuple[float, ...] | None
    trained_epochs: int
    epochs: int
    samples: int
    seed: int
    planned: int
    before: PruningCycle
    cycles: tuple[PruningCycle, ...] = ()

    @property
    def stages(self) -> tuple[PruningCycle, ...]:
        """The network before, and after every cycle."""
        return (self.before, *self.cycles)

    def sparsity(self, cycle: PruningCycle) -> float:
        """Share of weights that are zero, 0 to 1."""
        return 1 - sum(cycle.remaining.values()) / sum(self.weights.values())

    def retraining(self, timesteps: int) -> int:
        """Sample-timesteps of the cycles done, had they trained with so many timesteps."""
        return len(self.cycles) * self.epochs * self.samples * timesteps

    @property
    def first_training(self) -> int:
        """Sample-timesteps of the training before."""
        return self.trained_epochs * self.samples * self.trained_timesteps

    @property
    def saved(self) -> float:
        """Share of all training that T_retrain saves against retraining with T: N_r R (T - T_r) /
        (N T + N_r R T), section 6.
        """
        full = self.first_training + self.retraining(self.timesteps)
        return (self.retraining(self.timesteps) - self.retraining(self.retraining_timesteps)) / full
