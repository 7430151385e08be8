"""Events to counts per timestep, against a loop."""

from dataclasses import replace

import numpy as np
import pytest

from spikeport.export.common.errors import InputError
from spikeport.train.data.formats.event_bins import EventBins, Events, event_counts


def some(count, height=13, width=20, seed=0):
    rng = np.random.default_rng(seed)
    return Events(rng.integers(0, width, count), rng.integers(0, height, count), rng.integers(500, 900, count), rng.integers(0, 2, count))


@pytest.mark.parametrize("by", ["time", "count"])
@pytest.mark.parametrize("size", [0, 5])
def test_counts_against_a_loop(by, size):
    events, timesteps = some(997), 7
    rows, columns_ = (size, size) if size else (13, 20)
    expected = np.zeros((timesteps, 2, rows, columns_), int)
    start, span = events.t.min(), events.t.max() - events.t.min()
    ranks = {number: rank for rank, number in enumerate(sorted(range(997), key=lambda number: (events.t[number], number)))}
    for number in range(997):
        share = ranks[number] / 997 if by == "count" else (events.t[number] - start) / span
        step = min(int(share * timesteps + 1e-9), timesteps - 1)
        expected[step, events.p[number], int(events.y[number] * rows / 13 + 1e-9), int(events.x[number] * columns_ / 20 + 1e-9)] += 1
    found = event_counts(events, timesteps, EventBins(by=by, size=size), sensor=(13, 20), where="here")
    assert np.array_equal(found, expected) and found.dtype == np.uint8
    if by == "count":
        assert np.ptp(found.sum((1, 2, 3), dtype=int)) <= 1


@pytest.mark.parametrize("unit", [1 << 51, 2.0**-1060, 2.0**51])
def test_the_unit_of_time_does_not_matter(unit):
    """Powers of two round nothing; the largest times, times 100 timesteps, are beyond 64 bits."""
    events = some(997)
    moved = replace(events, t=(events.t - 700) * unit)
    of = [event_counts(each, 100, EventBins(), sensor=(13, 20), where="here") for each in (events, moved)]
    assert np.array_equal(*of)


@pytest.mark.parametrize("by", ["time", "count"])
def test_few_events(by):
    for count in (0, 1):
        assert event_counts(some(count), 4, EventBins(by=by), sensor=(13, 20), where="here").sum() == count


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"by": "chance"}, "time or count"),
        ({"size": -1}, "0..2048"),
        ({"height": 2049, "width": 34}, "0..2048"),
        ({"height": 3}, "height and width, or neither"),
    ],
)
def test_bins_out_of_range(settings, said):
    with pytest.raises(InputError, match=said):
        EventBins(**settings)


def test_a_map_larger_than_the_sensor():
    with pytest.raises(InputError, match="size 14 is more"):
        event_counts(some(5), 4, EventBins(size=14), sensor=(13, 20), where="here")
