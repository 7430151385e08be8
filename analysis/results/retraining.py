"""What retraining for fewer timesteps brought, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from spikeport.analysis.decision.timestep_cut import Truncation


@dataclass(frozen=True)
class RetrainingPlan:
    """timesteps: T' to retrain for. chosen_by: what proposed it. epochs: of retraining."""

    timesteps: int
    chosen_by: str
    epochs: int


@dataclass(frozen=True)
class Retraining:
    """A network cut as it is, and one retrained for fewer timesteps, each judged against the first
    at T.

    confidence: that both statements hold; each has half of the error.
    """

    confidence: float
    plan: RetrainingPlan
    before: Truncation
    after: Truncation

    @property
    def better(self) -> bool:
        """Whether fewer timesteps were shown to be enough after retraining than before."""
        return self.after.shown and (not self.before.shown or self.after.chosen < self.before.chosen)
