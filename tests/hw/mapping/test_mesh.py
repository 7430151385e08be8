"""The placement on the mesh: ways and links against brute force, the search against every order,
and layer-by-layer order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from support.networks.published import lenet, vgg11
from support.networks.random_networks import random_network, random_stimulus

from spikeport.hw.mapping.cores import map_network
from spikeport.hw.mapping.loads import core_loads
from spikeport.hw.mapping.mesh import CROSSING, Mesh, arranged, in_order, load
from spikeport.hw.mapping.traffic import Traffic, traffic
from spikeport.hw.semantics import reference
from spikeport.hw.semantics.limits import CHIPS, Chip, Core


def small_chip(neurons: int, columns: int = 2, rows: int = 2, tile_cores: int = 1) -> Chip:
    core = Core(neurons, 1 << 20, None, True)
    return replace(CHIPS["loihi1"], core=core, tiles=(columns, rows), tile_cores=tile_cores)


def way(mesh: Mesh, a: int, b: int) -> list[tuple]:
    """Links from core a to core b, one after the other: along the row, then along the column."""
    x, y, links = int(mesh.columns[a]), int(mesh.rows[a]), []
    while x != mesh.columns[b]:
        nearer = x + (1 if mesh.columns[b] > x else -1)
        links.append(((x, y), (nearer, y)))
        x = nearer
    while y != mesh.rows[b]:
        nearer = y + (1 if mesh.rows[b] > y else -1)
        links.append(((x, y), (x, nearer)))
        y = nearer
    return links


@pytest.mark.parametrize("seed", range(12))
def test_hops_and_links_equal_brute_force(seed):
    """Every spike to every core that holds a synapse of it, link by link."""
    network = random_network(seed)
    stimulus = random_stimulus(seed, network)
    placed = map_network(network, small_chip(7))
    loads = core_loads(network, placed, stimulus, reference.run(network, stimulus, "potentials"))
    mesh, samples = loads.mesh, len(stimulus)
    links, total = Counter(), Counter()
    for name, (a, b) in loads.traffic.ends.items():
        for (t, i, j), messages in np.ndenumerate(loads.traffic.messages[name]):
            source, target = loads.traffic.numbers(a)[i], loads.traffic.numbers(b)[j]
            for link in way(mesh, source, target):
                links[t, link] += messages
                total["east_west" if link[0][1] == link[1][1] else "north_south"] += messages
            total["crossings"] += messages * abs(mesh.chips[source] - mesh.chips[target])
            total["messages"] += messages
    found = load(loads.traffic, mesh)
    for what in ("messages", "east_west", "north_south", "crossings"):
        assert getattr(found, what) == pytest.approx(total[what])
    for t, heaviest in enumerate(found.heaviest):
        assert heaviest == pytest.approx(max((n for (step, _), n in links.items() if step == t), default=0))
    sent = sum(own.axons_out.sum() for own in loads.populations.values())
    assert found.messages * samples == pytest.approx(sent)


@pytest.mark.parametrize("seed", range(6))
def test_no_order_of_four_cores_is_better(seed):
    """Two tiles of two chips side by side: all 24 orders, by the same measure as the search."""
    sent = np.random.default_rng(seed).integers(0, 100, (4, 4)) * (1 - np.eye(4))
    made = replace_traffic(sent, small_chip(1, columns=2, rows=1))
    mesh, everyone = arranged(made), np.arange(4)

    def length(chips, columns) -> float:
        return sum(sent[a, b] * (abs(columns[a] - columns[b]) + CROSSING * abs(chips[a] - chips[b])) for a in everyone for b in everyone)

    best = min(length(np.array(order) // 2, np.array(order)) for order in permutations(range(4)))
    assert length(mesh.chips, mesh.columns) == pytest.approx(best)
    assert sorted(zip(mesh.chips, mesh.columns, mesh.rows)) == [(0, 0, 0), (0, 1, 0), (1, 2, 0), (1, 3, 0)]


def replace_traffic(sent: np.ndarray, chip: Chip) -> Traffic:
    """Traffic between the cores of two populations, given as one matrix."""

    class Given(Traffic):
        @property
        def matrix(self):
            return sent

    network = random_network(0)
    return Given(replace(map_network(network, chip)), {}, {})


@pytest.mark.parametrize("make, chip, saved", [(lenet, "loihi1", 0.15), (vgg11, "loihi2", 0.15)])
def test_shorter_than_layer_by_layer_and_the_same_every_time(make, chip, saved):
    network = make()
    made = traffic(network, map_network(network, CHIPS[chip]))
    mesh, again = arranged(made), arranged(made)
    for name in ("chips", "columns", "rows"):
        np.testing.assert_array_equal(getattr(mesh, name), getattr(again, name))
    places = list(zip(mesh.chips, mesh.columns, mesh.rows))
    assert max(Counter(places).values()) <= CHIPS[chip].tile_cores and len(places) == made.placed.cores
    found, before = load(made, mesh), load(made, in_order(made))
    assert found.messages == before.messages
    assert found.hops + CROSSING * found.crossings < (1 - saved) * (before.hops + CROSSING * before.crossings)
