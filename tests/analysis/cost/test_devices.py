"""Profiles: every number with its origin, and profiles of one's own."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

import pytest
from support.oracles.hand_costs import LOIHI1, LOIHI2

from spikeport.analysis.cost.devices import (
    ACCESS,
    DEVICES,
    MANAGEMENT,
    UPDATE,
    Device,
    device_named,
    read_profile,
)
from spikeport.export.common.errors import InputError

ALONE = device_named("loihi1-alone")


def test_a_profile_changes_a_part_of_the_one_it_is_based_on(tmp_path):
    assert (ALONE.energy[MANAGEMENT].value, ALONE.time[MANAGEMENT].value) == (0, 0)
    assert ALONE.energy[ACCESS] == LOIHI1.energy[ACCESS] and ALONE.chip == LOIHI1.chip and ALONE.host == LOIHI1.host
    mine = tmp_path / "mine.toml"
    mine.write_text('base = "loihi1-alone"\nname = "mine"\n[energy."neuron access"]\nvalue = 1.0\n')
    device = device_named(str(mine))
    assert device.energy[ACCESS] == replace(LOIHI1.energy[ACCESS], value=1.0) and device.time == ALONE.time
    mine.write_text('base = "tpu"')
    with pytest.raises(InputError, match="base 'tpu' does not ship; choose one of loihi2"):
        read_profile(Device, mine)


def test_every_price_says_where_it_comes_from():
    for device in map(device_named, DEVICES):
        prices = [*device.energy.values(), *device.time.values(), device.static]
        assert all(
            p.value > 0 and p.source and p.scope and 0 < p.spread <= (3 if p.evidence in ("assumed", "fitted") else 1)
            for p in prices
            if p not in (ALONE.energy[MANAGEMENT], ALONE.time[MANAGEMENT])
        )
    assert "inherited from Loihi 1, uncalibrated" in LOIHI2.note
    assert all("inherited from Loihi 1, uncalibrated" in p.source for p in LOIHI2.energy.values())
    for limits in (LOIHI1.chip.core, LOIHI2.chip.core):
        assert set(limits.origins) == {"neurons", "synapse_bits", "axons", "border_lists", "lists"} and all(
            o.source for o in limits.origins.values()
        )
    assert device_named("loihi2") is LOIHI2
    with pytest.raises(InputError, match="choose one of loihi2, loihi1, loihi1-alone, or give a profile of your own"):
        device_named("tpu")


def test_a_profile_of_ones_own(tmp_path):
    shipped = (resources.files("spikeport.analysis.cost") / "loihi1.toml").read_text()
    mine = tmp_path / "mine.toml"
    mine.write_text(shipped.replace('name = "loihi1"', 'name = "mine"').replace("value = 51.2", "value = 1.0"))
    device = device_named(str(mine))
    assert (device.name, device.energy[ACCESS].value, device.energy[UPDATE]) == ("mine", 1.0, LOIHI1.energy[UPDATE])
    for wrong, told in (
        (shipped.replace("neuron access", "neuron axes"), "prices 'neuron axes'; events are called"),
        (shipped.replace("value = 51.2", "value = -1"), "a price of -1"),
        (shipped.replace('chip = "loihi1"', 'chip = "tpu"'), "chip 'tpu' is unknown"),
        (shipped.replace("low = 0.8", "low = 1.8"), "does not hold 1"),
        ("name = [", "cannot be read as TOML"),
        ('name = "x"', "missing"),
    ):
        bad = tmp_path / f"{len(told)}.toml"
        bad.write_text(wrong)
        with pytest.raises(InputError, match=told):
            device_named(str(bad))
