"""An estimate as tables."""

from __future__ import annotations

import sys

import pytest
from support.oracles.hand_costs import LOIHI1, by_hand, record_by_hand

from spikeport.analysis.cost.estimate import estimate_cost
from spikeport.analysis.cost.tables import cost_tables
from spikeport.export.common.errors import InputError


def test_tables_say_what_the_estimate_says():
    network = by_hand()
    cost = estimate_cost(network, record_by_hand(network), LOIHI1)
    made = cost_tables(cost, 1)
    assert {name: len(table) for name, table in made.items()} == {
        "timesteps": 2,
        "layers": 2,
        "layer_steps": 4,
        "cores": 0,  # no core was looked at
        "events": len(cost.terms),
        "times": 3,
        "baselines": 4,  # int8 and one bit, two layers each
        "sensitivity": len(cost.sensitivity),
    }
    assert made["timesteps"].columns["total_J_low"] == cost.total.low
    assert sum(made["layers"].columns["energy_J"]) < sum(cost_tables(cost)["layers"].columns["energy_J"])
    assert sum(made["layer_steps"].columns["energy_J"]) == pytest.approx(sum(layer.energy[-1] for layer in cost.layers))
    assert all(len(column) == len(table) for table in made.values() for column in table.columns.values())
    assert made["events"].rows[0][0] == cost.terms[0].name
    with pytest.raises(InputError, match="has 1 to 2"):
        cost_tables(cost, 3)


def test_frames(monkeypatch):
    network = by_hand()
    table = cost_tables(estimate_cost(network, record_by_hand(network), LOIHI1))["layers"]
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "pandas", None)
        with pytest.raises(InputError, match=r"pip install 'spikeport\[notebook\]'"):
            table.to_frame()
    pytest.importorskip("pandas")
    frame = table.to_frame()
    assert list(frame.columns) == list(table.columns) and frame["name"].tolist() == ["a", "b"]
