"""Training methods by name: each brings its neuron, its loss, its readout and its usual settings,
as data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from spikeport.train.neurons.base import NeuronConfig
from spikeport.train.neurons.dsr import DSRConfig
from spikeport.train.neurons.noise import NoiseConfig
from spikeport.train.neurons.stbp import LIFConfig
from spikeport.train.neurons.tsslbp import TSSLConfig
from spikeport.train.settings.optimization import OptimizerConfig

ReadoutSignal: TypeAlias = Literal["current", "spikes"]
"""Accumulated current of neurons that never fire, or the output of neurons like all others."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """neuron: its usual configuration. loss, readout, initial (weights): by name.
    training_timesteps: T in training, None for the network's own.

    settings: fields of `TrainConfig` in which a method's usual run differs from a data set's.
    """

    neuron: NeuronConfig
    loss: str = "cross-entropy"
    readout: ReadoutSignal = "current"
    initial: str = "torch"
    training_timesteps: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


METHODS = {
    "stbp": Method(neuron=LIFConfig()),
    "dsr": Method(
        neuron=DSRConfig(kind="lif", threshold=0.6, alpha=0.5, bound=0.001, dt=0.1),
        settings={"timesteps": 5, "optimizer": OptimizerConfig(kind="sgd", learning_rate=0.05, weight_decay=5e-4)},
    ),
    "tssl-bp": Method(
        neuron=TSSLConfig(),
        loss="kernel",
        readout="spikes",
        initial="he",  # torch's own are smaller, and deep layers are silent
        settings={
            "timesteps": 5,
            "batch_norm": False,
            "bias": False,
            "optimizer": OptimizerConfig(learning_rate=5e-4, clip_norm=1.0, clip_weights=4.0),
        },
    ),
    "noise": Method(neuron=NoiseConfig(), loss="rate-mse", training_timesteps=1, settings={"timesteps": 5, "batch_norm": False}),
}
