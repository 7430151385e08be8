"""The data that a configuration names."""

from __future__ import annotations

from pathlib import Path

from spikeport.train.data.registry import Dataset, load
from spikeport.train.settings.config import TrainConfig


def training_data(config: TrainConfig, data_dir: Path | None) -> Dataset:
    """What a network is trained, validated and tested on. data_dir: folder of its files, None for
    the user's cache.

    Raises:
        InputError: missing or damaged files, or no samples left to train on.
    """
    return load(config.data, data_dir, config.seed, config.timesteps, config.events, config.validation)
