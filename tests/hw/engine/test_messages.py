"""The order in which the engine holds what the input sends."""

import numpy as np
import pytest
import torch

from spikeport.export.model.input import Input
from spikeport.hw.engine.compiled.messages import input_messages
from spikeport.hw.records.stimulus import encode


@pytest.mark.parametrize("channels", [1, 3, 8, 16, 24])
@pytest.mark.parametrize("top", [1, 255, 300])
@pytest.mark.parametrize("held", [True, False])
def test_channels_come_last_in_the_narrowest_type(channels: int, top: int, held: bool) -> None:
    source = Input("input", (channels, 5, 7), low=0, high=top)
    levels = np.random.default_rng(channels).integers(0, top + 1, (3, *(() if held else (4,)), channels, 5, 7))
    stimulus = encode(source, levels, 4)
    messages = input_messages(source, stimulus, torch.device("cpu")).numpy()
    assert messages.dtype == stimulus.values.dtype == (np.uint8 if top < 256 else np.int32)
    assert messages.shape == (3, 1 if held else 4, channels * 35)
    assert np.array_equal(messages.reshape(-1, 5, 7, channels), np.moveaxis(levels.reshape(-1, channels, 5, 7), 1, 3))


def test_what_computes_with_levels_is_given_32_bits() -> None:
    source = Input("input", (2,), low=0, high=255)
    stimulus = encode(source, np.array([[[200, 255], [1, 0]]], np.uint8), 2)
    assert stimulus.values.dtype == np.uint8
    assert {stimulus.at(-1).dtype, stimulus.at(0).dtype, stimulus.over_time().dtype} == {np.dtype(np.int32)}
    assert (2 * stimulus.at(0)).tolist() == [[400, 510]] and not stimulus.at(-1).any()
