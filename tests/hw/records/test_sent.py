"""A record that travels between processes is the same record, and smaller."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from support.oracles.same import assert_equal

from spikeport.hw.records.record import MAPPINGS, SpikeRecord

ENDS = [0, 1, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1]


def record(numbers: list[int]) -> SpikeRecord:
    """With so many samples of one timestep."""
    column = np.array(numbers, np.int64)[:, None]
    return SpikeRecord(
        output=(column & 0x7FFFFFFF).astype(np.int32)[..., None],
        spike_counts={"input": column, "classes": column[::-1]},
        synaptic_events={"to_classes": column},
        overflows={"classes": 3},
        spikes={"classes": np.arange(len(numbers))[:, None, None] % 2 == 0},
        potentials={"classes": (-(column & 0x7FFFFFFF)).astype(np.int32)[..., None]},
        notes={"to_classes": "said"},
    )


@pytest.mark.parametrize("low", [0, *(-end for end in ENDS[1:]), -(2**63)])
@pytest.mark.parametrize("high", ENDS)
def test_integers_arrive_as_they_were(low, high):
    sent = record([low, high])
    came = pickle.loads(pickle.dumps(sent))
    assert_equal(came, sent)
    assert all(list(getattr(came, name)) == list(getattr(sent, name)) for name in MAPPINGS)


def test_an_empty_record_arrives():
    assert len(pickle.loads(pickle.dumps(record([])))) == 0


def test_small_counts_take_few_bytes():
    few = record([*range(200)] * 100)
    assert len(pickle.dumps(few)) < 0.4 * sum(a.nbytes for a in [few.output, *few.spike_counts.values(), *few.synaptic_events.values()])
