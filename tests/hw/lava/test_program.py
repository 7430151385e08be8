"""The network inside a Lava program: what its ports carry is what the reference computes."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from support.networks.random_networks import random_network, random_stimulus
from support.places import ROOT

pytest.importorskip("lava", reason="lava-nc is not installed")
from spikeport.hw.lava.available import require_lava

require_lava()
from lava.magma.core.run_conditions import RunSteps  # noqa: E402
from lava.proc.io.sink import RingBuffer as Sink  # noqa: E402
from lava.proc.io.source import RingBuffer as Source  # noqa: E402

from spikeport.export.common.errors import InputError  # noqa: E402
from spikeport.hw.lava.program import lava_processes  # noqa: E402
from spikeport.hw.semantics import reference  # noqa: E402

pytestmark = pytest.mark.lava


def spiking(seed: int):
    """The first random network from this seed on whose output fires."""
    return next(made for k in range(seed, seed + 99) if (made := random_network(k, noise=False)).readout == "spike_count")


def ports(network, rows, potential=False, timesteps=None):
    """Spikes and potentials at every step of a program of ring buffers around the network."""
    made = lava_processes(network, timesteps=timesteps, potential=potential)
    steps = len(rows)
    source, sink = Source(data=np.moveaxis(rows, 0, -1)), Sink(shape=made.s_out.shape, buffer=steps)
    source.s_out.connect(made.s_in)
    made.s_out.connect(sink.a_in)
    voltage = Sink(shape=made.s_out.shape, buffer=steps)
    if made.v_out is not None:
        made.v_out.connect(voltage.a_in)
    try:
        source.run(condition=RunSteps(num_steps=steps), run_cfg=made.run_config())
        return made, np.moveaxis(sink.data.get(), -1, 0), np.moveaxis(voltage.data.get(), -1, 0) if made.v_out is not None else None
    finally:
        source.stop()


@pytest.mark.parametrize("seed", [3, 5])
def test_free_running_ports_carry_what_the_reference_computes(seed):
    network = spiking(seed)
    x = random_stimulus(seed, network)[:1]
    expected = reference.run(network, x, "potentials")
    steps, latency = x.timesteps, network.depths[network.output]
    rows = np.concatenate([x.over_time()[0], np.zeros((latency, *network.input.shape), int)])
    made, spikes, potential = ports(network, rows, potential=True)
    assert made.latency == latency and made.period is None
    assert np.array_equal(spikes[latency : latency + steps].astype(bool), expected.spikes[network.output][0])
    assert np.array_equal(potential[latency : latency + steps], expected.potentials[network.output][0])


def test_samples_start_from_rest_when_asked():
    network = spiking(11)
    x = random_stimulus(11, network)
    expected = reference.run(network, x, "spikes").spikes[network.output]
    steps, latency = x.timesteps, network.depths[network.output]
    gap = max((c.delay for c in network.connections), default=0)
    rows = np.concatenate([np.concatenate([s, np.zeros((gap, *network.input.shape), int)]) for s in x.over_time()])
    rows = np.concatenate([rows, np.zeros((latency, *network.input.shape), int)])
    made, spikes, _ = ports(network, rows, timesteps=steps)
    assert made.period == steps + gap
    for i, sample in enumerate(expected):
        assert np.array_equal(spikes[latency + i * made.period :][:steps].astype(bool), sample)


def test_the_example_follows_its_source():
    """The burst is right first (sine rises), left half a period later."""
    command = [sys.executable, str(ROOT / "examples" / "lava_program.py"), "--steps", "60"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    history = re.search(r"^[.01]{60}$", said, re.MULTILINE)
    assert history and history[0][12:25] == "1" * 13 and history[0][42:55] == "0" * 13


def test_a_sample_takes_a_step():
    with pytest.raises(InputError, match="timesteps is 0"):
        lava_processes(random_network(3), timesteps=0)
