"""The two forms of the counter, one loop on a CPU and operators on a GPU, give the same bits."""

from __future__ import annotations

import numpy as np
import torch

from spikeport.export.model.noise import mix
from spikeport.train.neurons import noise_draws
from spikeport.train.ranks import draws
from spikeport.train.ranks.compiled_draws import fill, to_bell

KEYS = np.array([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 123456789], np.uint32)


def test_the_loop_and_the_operators_are_the_mixer():
    found = np.empty((len(KEYS), 1000), np.uint32)
    fill(KEYS, 65_000, found)
    columns = np.arange(65_000, 66_000)
    np.testing.assert_array_equal(found, mix(KEYS.astype(np.int64)[:, None] ^ columns))
    key = torch.from_numpy(KEYS.view(np.int32))[:, None]
    operators = draws._mixed(key ^ torch.from_numpy(columns.astype(np.int32)))
    np.testing.assert_array_equal(found, operators.numpy().view(np.uint32))


def test_bells_are_centred_sums_of_bytes():
    words = np.random.default_rng(0).integers(0, 1 << 32, (7, 500), dtype=np.uint64).astype(np.uint32)
    words[0, :2] = 0, 0xFFFFFFFF
    expected = words.view(np.uint8).reshape(7, 500, 4).astype(int).sum(2) - 510
    operators = noise_draws._bell_by_operators(torch.from_numpy(words.view(np.int32).copy()))
    np.testing.assert_array_equal(operators.numpy(), expected)
    to_bell(words)
    np.testing.assert_array_equal(words.view(np.int32), expected)
