"""What a sweep over training settings found, as values that go to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spikeport.analysis.information.fisher import FisherResult
from spikeport.analysis.information.history import FisherHistory
from spikeport.analysis.results.perturbed_accuracy import Robustness


@dataclass(frozen=True)
class SweepPoint:
    """One trained network.

    name: its folder. labels: how it is called in each figure it belongs to, by the figure's name.
    settings: of every varied field.
    accuracy: on test data after 1 .. T timesteps. validation: at T after every epoch. fisher: of
    the network that was kept.
    history: during training, empty where nobody looked. fixed_point: accuracy of the integers on
    test data after 1 .. T timesteps, by bits of a weight.
    """

    name: str
    labels: Mapping[str, str]
    settings: Mapping[str, Any]
    accuracy: tuple[float, ...]
    validation: tuple[float, ...]
    fisher: FisherResult
    robustness: Robustness | None = None
    history: FisherHistory = field(default_factory=FisherHistory)
    fixed_point: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Sweep:
    """points: those that are finished, in order. planned: how many there will be. base: the
    settings that all share unless varied.

    failed: why a point has no network, by name.
    """

    title: str
    planned: int
    base: Mapping[str, Any]
    points: tuple[SweepPoint, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of the figures, one for each varied field, or one for a grid."""
        return tuple(dict.fromkeys(name for point in self.points for name in point.labels))

    def of(self, figure: str) -> list[tuple[str, SweepPoint]]:
        """Labels and points of a figure."""
        return [(point.labels[figure], point) for point in self.points if figure in point.labels]
