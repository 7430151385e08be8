"""The same network without spikes: by hand, at the break-even rate, and in words."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from support.networks.random_networks import random_network, random_stimulus
from support.oracles.hand_costs import LOIHI1, LOIHI2, by_hand, record_by_hand

from spikeport.analysis.cost.accelerator import accelerator_named
from spikeport.analysis.cost.baselines import baselines, level_bits
from spikeport.analysis.cost.estimate import estimate_cost
from spikeport.analysis.cost.verdict import verdict
from spikeport.export.common.errors import InputError
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference

MACHINE = accelerator_named("int8")
SMALL = 10 / 64
"""Picojoules a bit of the smallest memory."""


def test_timesteps_as_bits():
    assert [level_bits(t) for t in (1, 2, 3, 4, 5, 7, 8, 15, 16)] == [1, 2, 2, 3, 3, 3, 4, 4, 5]


def test_energy_by_hand():
    """3 inputs -> 2 -> 2 dense, all memories of the smallest size; 6 + 4 products.

    Reuse 1: each reads a weight and an input.
    """
    network = by_hand()
    int8, two, one = baselines(network, record_by_hand(network), MACHINE)
    assert (int8.bits, two.bits, one.bits) == (8, 2, 1) and int8.multiplications == 10
    a = int8.layers[0]
    assert a.arithmetic == pytest.approx(6 * 0.23e-12)
    assert a.movement == pytest.approx(1e-12 * SMALL * 8 * (6 + 3 + 2))  # reuse 16: every weight, input and output once
    assert a.unshared == pytest.approx(1e-12 * (6 * 0.23 + SMALL * 8 * (6 + 6 + 2)))
    assert two.layers[0].arithmetic == pytest.approx(6 * (0.2 * 2 / 8 + 0.03) * 1e-12)
    assert int8.low < int8.energy < int8.high
    event, visit = 0.03 + SMALL * (8 + 2 * 24), SMALL * 2 * 24 * 2  # of a: 3 events at step 0; its states at every step
    assert a.spiking == pytest.approx((1e-12 * (3 * event + visit), 1e-12 * (3 * event + 2 * visit)))
    assert a.rate == pytest.approx((3 / 5, 3 / 10))  # 5 weights are not 0


@pytest.mark.parametrize("seed", range(8))
def test_at_the_break_even_rate_both_take_the_same(seed):
    """Events in proportion to that rate: the layer with spikes takes what it takes without."""
    network = random_network(seed)
    record = reference.run(network, random_stimulus(seed, network))
    for baseline in baselines(network, record, MACHINE):
        silent = replace(record, synaptic_events={name: 0 * n for name, n in record.synaptic_events.items()})
        idle = next(b for b in baselines(network, silent, MACHINE) if b.bits == baseline.bits)
        for layer, rest in zip(baseline.layers, idle.layers):
            (p,) = (p for p in network.populations if p.name == layer.name)
            if len(network.incoming(p.name)) > 1:  # rates of several sources have no single scale
                continue
            for at, (spiking, rate, even) in enumerate(zip(layer.spiking, layer.rate, layer.break_even)):
                if even and rate:
                    assert rest.spiking[at] + (spiking - rest.spiking[at]) * even / rate == pytest.approx(layer.unshared)
                if not even:
                    assert rest.spiking[at] >= layer.unshared * (1 - 1e-9)


def test_weights_beyond_the_chip_are_fetched():
    network = by_hand()
    small = replace(MACHINE, on_chip=replace(MACHINE.on_chip, value=1e-6, low=1e-6))
    here, outside = (baselines(network, record_by_hand(network), m)[0].layers[0] for m in (MACHINE, small))
    assert outside.movement - here.movement == pytest.approx(6 * 8 * 1300e-12 / 64)
    assert (outside.unshared, outside.spiking) == (here.unshared, here.spiking)  # equal hardware holds them all


def test_the_verdict_is_plain():
    network = by_hand()
    record = reference.run(network, encode(network.input, np.ones((2, 2, 3), int), 2))
    cost = estimate_cost(network, record, LOIHI1, measured={8: 0.975})
    int8, two = verdict(cost, 2)
    assert int8.startswith("against 8-bit activations") and two.startswith("against 2-bit activations")
    assert "accuracy 97.50 % on test data" in int8 and "accuracy not measured" in two
    ratio = cost.dynamic.mean[1] / cost.baseline(8).energy
    assert ratio > 1 and "the spiking network on Loihi 1 does not win: it takes" in int8 and f"{ratio:,.0f} times" in int8
    cheap = replace(cost, dynamic=replace(cost.dynamic, mean=(0.0, 1e-15), low=(0.0, 1e-15), high=(0.0, 1e-15)))
    assert "the spiking network on Loihi 1 wins" in verdict(cheap, 2)[0]
    unsure = replace(cost, dynamic=replace(cost.dynamic, low=(0.0, 1e-15)))
    assert "cannot be told" in verdict(unsure, 2)[0]
    assert len(verdict(estimate_cost(network, record, LOIHI2), 1)) == 2


def test_an_accelerator_of_ones_own(tmp_path):
    shipped = (resources.files("spikeport.analysis.cost") / "int8.toml").read_text()
    mine = tmp_path / "mine.toml"
    mine.write_text(shipped.replace("value = 16.0", "value = 32.0"))
    assert accelerator_named(str(mine)).reuse.value == 32
    for wrong, told in (
        (shipped.replace("value = 16.0", "value = 512.0"), "does not hold 512.0"),
        (shipped.replace("kib = [8.0, 32.0", "kib = [32.0, 8.0"), "rising order"),
        (shipped.replace("value = 0.2\n", "value = -0.2\n"), "neither can be negative"),
        (shipped.replace("[bank]", "[bang]"), "bank"),
    ):
        bad = tmp_path / f"{len(told)}.toml"
        bad.write_text(wrong)
        with pytest.raises(InputError, match=told):
            accelerator_named(str(bad))
    with pytest.raises(InputError, match="choose int8"):
        accelerator_named("tpu")
    machine = accelerator_named("int8")
    numbers = (
        machine.multiply,
        machine.accumulate,
        machine.sram,
        machine.dram,
        machine.on_chip,
        machine.reuse,
        machine.bank,
        machine.accumulator,
    )
    assert all(n.source and n.scope and n.evidence for n in numbers)
