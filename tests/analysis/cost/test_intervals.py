"""How sure an estimate is: samples, prices, sources that err together, and one number at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.oracles.hand_costs import CORES, LOIHI1, by_hand, record_by_hand, without

from spikeport.analysis.common.jsonable import from_json, to_json
from spikeport.analysis.cost.devices import (
    ACCESS,
    AXON_OUT,
    DENSE,
    GRADED,
    ModelError,
)
from spikeport.analysis.cost.estimate import estimate_cost
from spikeport.analysis.cost.result import Cost
from spikeport.analysis.cost.verdict import verdict
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference


def test_intervals_cover_samples_and_prices():
    network = by_hand()
    spikes = np.random.default_rng(0).integers(0, 2, (200, 2, 3))
    record = reference.run(network, encode(network.input, spikes, 2))
    exact = replace(LOIHI1, energy={k: replace(p, spread=0.0) for k, p in LOIHI1.energy.items()})
    narrow, wide = (estimate_cost(network, record, d).dynamic for d in (exact, LOIHI1))
    assert narrow.low[1] < narrow.mean[1] < narrow.high[1]
    assert wide.high[1] - wide.low[1] > narrow.high[1] - narrow.low[1]


def test_what_has_no_price_gives_no_narrow_interval():
    network = by_hand(graded=True)
    record = reference.run(network, encode(network.input, np.array([[200, 0, 7]]), 2))
    priced, lacking = (estimate_cost(network, record, device) for device in (LOIHI1, without(LOIHI1, GRADED)))
    assert "energy of graded multiply-accumulate" in lacking.unpriced
    dearest = LOIHI1.energy[AXON_OUT].value
    assert lacking.dynamic.high[1] - lacking.dynamic.mean[1] > 0.8 * 8 * dearest * 1e-12
    assert next(t for t in priced.terms if t.name == GRADED).energy


def test_one_number_at_a_time():
    """A price moves the total by its share; of time, only what the busiest core waits for moves the
    latency.
    """
    network = by_hand()
    cost = estimate_cost(network, record_by_hand(network), LOIHI1)
    rows = {(s.quantity, s.name): s for s in cost.sensitivity}
    access, price = next(t for t in cost.terms if t.name == ACCESS), LOIHI1.energy[ACCESS]
    row = rows["total energy", ACCESS]
    assert row.high - cost.total.mean[1] == pytest.approx(price.spread * access.energy[1])
    assert cost.total.mean[1] - row.low == pytest.approx((1 - 1 / (1 + price.spread)) * access.energy[1])
    dear = replace(LOIHI1, time={**LOIHI1.time, DENSE: replace(LOIHI1.time[DENSE], value=3.8 * 1.243)})
    assert rows["latency", DENSE].high == pytest.approx(estimate_cost(network, record_by_hand(network), dear).latency.mean[1])
    widths = [s.high - s.low for s in cost.sensitivity if s.quantity == "total energy"]
    assert widths == sorted(widths, reverse=True)


def test_prices_of_one_source_share_its_error():
    """Eight prices that are 11.7 % off together leave the total 11.7 % off, not a fraction of it."""
    network, exact = by_hand(), ModelError(1.0, 1.0, "measured", "test")
    dynamic = estimate_cost(network, record_by_hand(network), replace(CORES, dynamic=exact)).dynamic
    assert dynamic.high[0] / dynamic.mean[0] == pytest.approx(1.117, abs=0.02)
    assert dynamic.mean[0] / dynamic.low[0] == pytest.approx(1.117, abs=0.02)


def test_what_whole_networks_took_widens_the_interval():
    network = by_hand()
    dynamic = estimate_cost(network, record_by_hand(network), CORES).dynamic
    assert dynamic.high[0] / dynamic.mean[0] > 1.5 and dynamic.mean[0] / dynamic.low[0] < 1.4


@pytest.mark.parametrize("energy, time", [(True, False), (False, True), (False, False)])
def test_a_device_without_prices_says_so_and_nothing_more(energy, time):
    network = by_hand()
    bare = replace(LOIHI1, energy=LOIHI1.energy if energy else {}, time=LOIHI1.time if time else {})
    cost = estimate_cost(network, record_by_hand(network), bare)
    assert (max(cost.dynamic.mean) > 0) == energy
    assert cost.latency.mean[0] >= 3 * 600e-9  # the barrier is left
    assert (f"energy of {ACCESS}" in cost.unpriced) == (not energy)
    assert (f"time of {ACCESS}" in cost.unpriced) == (not time)
    assert from_json(Cost, to_json(cost)) == cost and len(verdict(cost, 2)) == 2
