"""What each process has of a batch: the same batches, however many share them, and its own samples
only.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spikeport.export.common.errors import InputError
from spikeport.export.model.noise import random_bits
from spikeport.train.data.augment import Augmentation
from spikeport.train.data.batches import parts_of, shuffled_batches
from spikeport.train.data.on_demand import OnDemand
from spikeport.train.data.registry import Split
from spikeport.train.neurons.noise_draws import noise_like
from spikeport.train.ranks.draws import drawn, numbered
from spikeport.train.ranks.group import Ranks
from spikeport.train.ranks.shares import Share

SIZE = 12
OPTIONS = {"augmentation": Augmentation(shift=2, flip=True, cutout=3), "seed": 5}


def images(count=40):
    labels = np.arange(count)
    return Split(np.random.default_rng(0).random((count, 1, 6, 6), np.float32) + labels[:, None, None, None].astype(np.float32), labels)


def recordings(count=40):
    rng = np.random.default_rng(1)
    return Split(rng.integers(0, 9, (count, 3, 2, 6, 6)).astype(np.uint8), np.arange(count))


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 3, 6])
@pytest.mark.parametrize("make", [images, recordings])
def test_processes_share_the_batches_of_one(make, size, parts):
    split = make()
    shared = [[*shuffled_batches(split, SIZE, **OPTIONS, share=Share(Ranks(n, size), parts))] for n in range(size)]
    alone = [*shuffled_batches(split, SIZE, **OPTIONS)]
    assert len(alone) == 3 and all(len(each) == 3 for each in shared)
    axis = 0 if make is images else 1
    for number, (x, labels) in enumerate(alone):
        # a part is all processes' pieces in their order
        pieces = [(parts_of(each[number][0], parts)[p], each[number][1].chunk(parts)[p]) for p in range(parts) for each in shared]
        assert torch.equal(torch.cat([piece[0] for piece in pieces], axis), x)
        assert torch.equal(torch.cat([piece[1] for piece in pieces]), labels)


def test_a_process_reads_its_own_samples_only():
    read: list[int] = []

    def reader(name, generator):
        read.append(int(name))
        return np.full((1, 2, 2), int(name), np.float32)

    split = Split(OnDemand(np.arange(40).astype(str), reader, (1, 2, 2), np.float32), np.arange(40))
    labels = [y for _, y in shuffled_batches(split, SIZE, **OPTIONS, share=Share(Ranks(1, 3)))]
    assert sorted(read) == sorted(torch.cat(labels).tolist()) and len(read) == 3 * SIZE // 3


@pytest.mark.parametrize("share", [Share(Ranks(0, 5)), Share(parts=5), Share(Ranks(0, 2), 4)])
def test_a_batch_that_does_not_divide_is_refused(share):
    with pytest.raises(InputError, match=f"a batch of 12 samples does not divide .* multiple of {share.parts * share.ranks.size} "):
        share.check(SIZE)


def test_draws_are_the_chips_counter():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        words = drawn(5, 70_001, lambda x: x, torch.int32, torch.device("cpu"))
        torch.manual_seed(3)
        seed, use = torch.randint(1 << 32, (2,)).tolist()
    assert np.array_equal(words.numpy().view(np.uint32), random_bits(seed, np.arange(5), use, 70_001))


@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
def test_a_sample_draws_the_same_whoever_works_on_it(kind):
    def noise(first, count):
        with torch.random.fork_rng(), numbered(first):
            torch.manual_seed(4)
            return [noise_like(torch.empty(count, 3, 5, 5), kind) for _ in range(2)]

    whole, part = noise(0, 8), noise(5, 3)
    assert torch.equal(whole[0][5:], part[0]) and torch.equal(whole[1][5:], part[1])
    assert not torch.equal(whole[0], whole[1])
