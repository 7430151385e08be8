"""How much every layer of a float network fires, gathered while it runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import torch

from spikeport.export.floating.layers import Step
from spikeport.export.model.network import FloatNetwork


@dataclass
class Activity:
    """An observer of `FloatModule`. spikes: per spiking population. several: how many neuron-steps
    held more than one spike.
    """

    network: FloatNetwork
    spikes: Counter[str] = field(default_factory=Counter)
    several: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.spikes.update({p.name: 0 for p in self.network.populations if p.neuron.spiking})

    def __call__(self, name: str, course: Step) -> None:
        """Count one chunk of samples."""
        if name in self.spikes:
            self.spikes[name] += int(course.spikes.sum(dtype=torch.float64))
            self.several[name] += int((course.spikes > 1).sum())
