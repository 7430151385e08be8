"""The lower bound holds for every placement, and is reached where nothing is stored twice."""

import pytest
from support.networks.random_networks import random_network

from spikeport.hw.mapping.cores import map_network
from spikeport.hw.mapping.lower_bound import fewest_cores
from spikeport.hw.semantics.limits import CHIPS


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("seed", range(20))
def test_no_placement_takes_fewer_cores(seed, chip):
    network = random_network(seed)
    assert len(network.populations) <= fewest_cores(network, CHIPS[chip]) <= map_network(network, CHIPS[chip]).cores
