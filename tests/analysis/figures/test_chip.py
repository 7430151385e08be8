"""The chip's picture is the mapping's: every core once, as full as it is; and the energies of
timesteps and layers add up.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.networks.random_networks import random_network
from support.pages.reports import LOIHI2, full_report

from spikeport.analysis.figures.charts import BOTTOM, HEIGHT
from spikeport.analysis.figures.chip import SIDE, chip_figure, steps_figure
from spikeport.analysis.results.chip_use import MEMORY, ChipUse, LayerCores, chip_use
from spikeport.hw.mapping.cores import map_network


def squares(figure, kind: str):
    return [rect for rect in figure.iter("rect") if kind in rect.get("class").split()]


@pytest.mark.parametrize("seed", range(5))
def test_every_core_of_the_mapping_is_there_as_full_as_it_is(seed):
    network = random_network(seed)
    placed = map_network(network, LOIHI2.chip)
    use = chip_use(placed)
    assert use.used == placed.cores and [layer.name for layer in use.layers] == [p.name for p in network.populations]
    figure = chip_figure(use)
    assert len(squares(figure, "used")) == placed.cores and len(squares(figure, "core")) == LOIHI2.chip.cores
    full = [float(level.get("height")) / SIDE for level in squares(figure, "bar")]
    bits = [core.synapse_bits / LOIHI2.chip.core.synapse_bits for p in placed.placements for core in p.cores]
    assert full == pytest.approx(bits, abs=0.005 / SIDE)


def test_a_network_of_several_chips_has_a_picture_of_each():
    use = ChipUse("Chip", 20, tuple(LayerCores(f"l{i}", {MEMORY: (0.5,) * 3}) for i in range(11)))
    figure = chip_figure(use)
    words = "".join(figure.itertext())
    assert "Chip, chip 1 of 2: 20 of 20 cores" in words and "Chip, chip 2 of 2: 13 of 20 cores" in words
    assert "Colours begin anew" in words and len(squares(figure, "core")) == 40
    heights = [float(square.get("y")) + SIDE for square in squares(figure, "core")]
    assert max(heights) <= float(figure.find("svg").get("viewBox").split()[3])


def test_columns_are_as_high_as_the_energy_of_their_timestep():
    cost = full_report().cost
    parts = squares(steps_figure(cost), "bar")
    assert len(parts) == len(cost.layers) * cost.timesteps
    tops = [min(float(p.get("y")) for p in parts[t :: cost.timesteps]) for t in range(cost.timesteps)]
    totals = [sum(layer.energy[t] - (layer.energy[t - 1] if t else 0) for layer in cost.layers) for t in range(cost.timesteps)]
    highest = [(HEIGHT - BOTTOM - top) / max(HEIGHT - BOTTOM - other for other in tops) for top in tops]
    assert highest == pytest.approx([total / max(totals) for total in totals], abs=1e-3)
    assert sum(totals) == pytest.approx(cost.dynamic.mean[-1])


def test_a_network_that_costs_nothing_is_drawn():
    cost = full_report().cost
    silent = replace(cost, layers=tuple(replace(layer, energy=(0.0,) * cost.timesteps) for layer in cost.layers))
    assert steps_figure(silent) is not None
