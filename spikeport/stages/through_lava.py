"""A set of samples through real Lava, as many as were asked for and fit into the time that was
given.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.backends.through_lava import LavaProof, through_lava
from spikeport.hw.records.stimulus import Stimulus, encode
from spikeport.stages.config import LavaSettings
from spikeport.stages.session import ENGINE_SAMPLES, Bar
from spikeport.train.data.on_demand import Images, in_batches


def lava_set(
    network: QuantizedNetwork, images: Images, settings: LavaSettings, bar: Bar
) -> tuple[LavaProof, np.ndarray] | tuple[None, None]:
    """The first samples of a set through Lava: the proof and Lava's output; None twice where none
    were asked for.
    """
    asked = settings.of(len(images))
    if not asked:
        return None, None
    with bar(asked, f"Lava, at most {settings.seconds:g} s") as progress:
        parts = stimuli(network, images, asked)
        return through_lava(network, parts, len(images), settings.seconds, progress)


def stimuli(network: QuantizedNetwork, images: Images, samples: int) -> Iterator[Stimulus]:
    """The first samples as integers, some at a time, as `through_lava` takes them."""
    starts = range(0, samples, ENGINE_SAMPLES)
    for start, part in zip(starts, in_batches(images, [slice(start, min(start + ENGINE_SAMPLES, samples)) for start in starts])):
        yield encode(network.input, part, network.timesteps, first=start)
