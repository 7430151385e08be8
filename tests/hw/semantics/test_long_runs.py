"""A thousand timesteps: engine against reference with every overflow counted, and floats against
integers, whose error must not grow with time.
"""

from __future__ import annotations

import numpy as np
import pytest
from support.networks.random_networks import overdriven, random_network
from support.oracles.lava_compare import differences
from support.stated import PER_STEP

import spikeport as sp
from spikeport.export.model import registers as reg
from spikeport.export.model.network import Connection, Dense, FloatNetwork, FloatNeuron, Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.hw import engine
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference

STEPS = 1000


@pytest.mark.parametrize("seed", [1, 4, 6, 9])
@pytest.mark.parametrize("kind", ["usual", "edge", "overdriven"])
def test_engine_equals_reference(kind, seed):
    network = random_network(seed, edge=kind != "usual")
    network = (overdriven(network) if kind == "overdriven" else network).with_timesteps(STEPS)
    source = network.input
    x = np.random.default_rng(seed).integers(source.low, source.high + 1, (2, STEPS, *source.shape), np.int32)
    stimulus = encode(source, x, STEPS)
    expected, found = reference.run(network, stimulus, "potentials"), engine.run(network, stimulus, "potentials")
    assert not differences(expected, found) and expected.overflows == found.overflows
    if kind == "overdriven":
        assert any(expected.overflows.values()), "networks driven beyond the ranges must get there"


@pytest.mark.parametrize("run", [reference.run, engine.run])
def test_an_integrator_at_the_end_of_its_range_is_counted_at_every_step_it_stays_there(run):
    """-127 * 2**7 weight units a step: v saturates at the first step that does not fit, and at all
    that follow.
    """
    drive = 127 << 7 << reg.STATE_SHIFT
    fits = (reg.STATE_LIMIT - 1) // drive
    neuron = IntegerNeuron(*(np.int32(n) for n in (4095, 0, reg.THRESHOLD_MAX, 0)), spiking=False)
    network = QuantizedNetwork(
        Input("in", (1,)),
        (Population("p", (1,), neuron),),
        (Connection("c", "in", "p", Dense(np.array([[-127]], np.int8)), exponent=7),),
        output="p",
        readout="membrane_potential",
        timesteps=STEPS,
        weight_bits=8,
        **PER_STEP,
    )
    record = run(network, encode(network.input, np.ones((3, STEPS, 1), np.uint8), STEPS), "potentials")
    fallen = -np.arange(1, STEPS + 1) * drive
    np.testing.assert_array_equal(record.potentials["p"][0, :, 0], np.maximum(fallen, 1 - reg.STATE_LIMIT))
    assert record.overflows["p"] == 3 * (STEPS - fits)


def test_integers_do_not_drift_from_floats():
    """Output spikes of 10 neurons over 1,000 timesteps, against the float network: what each tenth
    of the run is off by does not grow along it.
    """
    rng = np.random.default_rng(0)
    neuron = FloatNeuron(alpha=np.array(0.0), beta=np.array(0.9), threshold=np.array(1.0), bias=np.array(0.02))
    network = FloatNetwork(
        Input("in", (30,)),
        (Population("hidden", (40,), neuron), Population("out", (10,), neuron)),
        (
            Connection("a", "in", "hidden", Dense(rng.normal(0.05, 0.25, (40, 30)))),
            Connection("b", "hidden", "out", Dense(rng.normal(0.02, 0.25, (10, 40)))),
        ),
        output="out",
        readout="spike_count",
        timesteps=STEPS,
        dt=1e-3,
        integrator="euler",
    )
    x = (rng.random((16, STEPS, 30)) < 0.2).astype(np.uint8)
    quantized = sp.quantize(network, x)
    record = sp.simulate(quantized, x, timesteps=STEPS)
    assert not any(record.overflows.values())
    ours, theirs = (
        output.reshape(16, 10, STEPS // 10, 10).sum(2) for output in (record.output, sp.simulate_float(network, x, STEPS)["output"])
    )
    off = np.abs(ours - theirs).sum((0, 2)) / theirs.sum((0, 2))
    assert theirs.sum() > 5000 and off.max() < 0.25
    assert off[5:].mean() < 1.2 * off[:5].mean(), off
