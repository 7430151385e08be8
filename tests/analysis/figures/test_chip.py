"""The chip's picture is the mapping's: every core once, as full as it is; and the energies of
timesteps and layers add up.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.networks.random_networks import random_network
from support.pages.reports import LOIHI2, full_report

from spikeport.analysis.cost.result import CorePlace
from spikeport.analysis.figures.charts import BOTTOM, HEIGHT
from spikeport.analysis.figures.chip import Grid, chip_figure, steps_figure
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
    figure, side = chip_figure(use, LOIHI2.chip), Grid(LOIHI2.chip).side
    assert len(squares(figure, "used")) == placed.cores and len(squares(figure, "core")) == LOIHI2.chip.cores
    full = [float(level.get("height")) / side for level in squares(figure, "bar")]
    bits = [core.synapse_bits / LOIHI2.chip.core.synapse_bits for p in placed.placements for core in p.cores]
    assert full == pytest.approx(bits, abs=0.005 / side)


def test_a_network_of_several_chips_has_a_picture_of_each():
    use = ChipUse("Chip", 20, tuple(LayerCores(f"l{i}", {MEMORY: (0.5,) * 3}) for i in range(11)))
    chip = replace(LOIHI2.chip, tiles=(5, 1), tile_cores=4)
    figure = chip_figure(use, chip)
    words = "".join(figure.itertext())
    assert "Chip, chip 1 of 2: 20 of 20 cores" in words and "Chip, chip 2 of 2: 13 of 20 cores" in words
    assert "Colours begin anew" in words and len(squares(figure, "core")) == 40
    heights = [float(square.get("y")) + Grid(chip).side for square in squares(figure, "core")]
    assert max(heights) <= float(figure.find("svg").get("viewBox").split()[3])


def test_cores_are_drawn_at_their_places_on_the_mesh():
    """A tile's cores lie together, and no two on one place; of two chips, the second below."""
    chip = replace(LOIHI2.chip, tiles=(3, 2), tile_cores=4)
    use = ChipUse("Chip", 24, (LayerCores("a", {MEMORY: (0.5,) * 3}), LayerCores("b", {MEMORY: (0.25,)})))
    tiles = [(0, 1, 0), (0, 1, 0), (0, 2, 1), (1, 3, 0)]
    places = [CorePlace(n, column, row, MEMORY, 0.5, 1e-6) for n, column, row in tiles]
    figure, grid = chip_figure(use, chip, places), Grid(chip)
    drawn = [(float(s.get("x")), float(s.get("y"))) for s in squares(figure, "used")]
    spots = [(0, 1, 0, 0), (0, 1, 0, 1), (0, 2, 1, 0), (1, 0, 0, 0)]
    assert np.array(drawn) == pytest.approx(np.array([grid.at(spot) for spot in spots]), abs=0.01)
    every = {(s.get("x"), s.get("y")) for s in squares(figure, "core")}
    assert len(every) == len(squares(figure, "core")) == 48
    words = "".join(figure.itertext())
    assert "chip 1 of 2: 3 of 24" in words and "chip 2 of 2: 1 of 24" in words and "busy 1.00 µs a timestep" in words


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
