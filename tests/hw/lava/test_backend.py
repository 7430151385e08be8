"""The full Lava runtime: operating-system processes, streaming, realignment, progress, a choice of
run configuration.
"""

import subprocess
import sys

import numpy as np
import pytest
from support.networks.random_networks import random_network, random_stimulus
from support.oracles.lava_compare import differences
from support.places import SHARED
from support.stated import INT8

from spikeport.export.model.network import Connection, Conv, Dense, Input, IntegerNeuron, Noise, Population, QuantizedNetwork
from spikeport.export.model.synapse import Elementwise, Pool
from spikeport.hw.lava import stream
from spikeport.hw.lava.batch import backend
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference

pytest.importorskip("lava.magma.core.process.process")
pytestmark = pytest.mark.lava
CASE = SHARED / "cases" / "lif_lava_cpu_fixed.csv"


def neuron(threshold: int, *, du: int = 4095, dv: int = 300, bias: int = 0, **options) -> IntegerNeuron:
    registers = {"du": du, "dv": dv, "threshold": threshold, "bias_mantissa": bias}
    return IntegerNeuron(**{k: np.int32(v) for k, v in registers.items()}, **options)


def everything(seed: int = 0) -> QuantizedNetwork:
    """Graded input, grouped and pooled convolutions, a negative exponent, soft reset, reset to a
    value, noise, a skip with a delay, recurrence, one-to-one synapses, and a readout that
    accumulates.
    """
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.integers(-60, 61, shape).astype(np.int8)  # noqa: E731
    populations = (
        Population("first", (4, 6, 6), neuron(1500, bias=40, reset="subtract", reset_value=np.int32(1500))),
        Population("second", (6, 3, 3), neuron(60, du=2000, noise=Noise("gaussian", 3000, seed=5))),
        Population("third", (54,), neuron(50, reset="value", reset_value=np.int32(-20))),
        Population("readout", (5,), neuron((1 << 17) - 1, dv=0, spiking=False)),
    )
    connections = (
        Connection("conv", "in", "first", Conv(draw(4, 1, 3, 3), (1, 1), (1, 1), (1, 1), groups=2), exponent=-2),
        Connection("pooled", "first", "second", Conv(draw(6, 4, 3, 3), (1, 1), (1, 1), (1, 1)), pool=Pool((2, 2), (2, 2), (0, 0))),
        Connection("one", "second", "third", Elementwise(draw(6, 3, 3)), exponent=1),
        Connection("self", "third", "third", Dense(draw(54, 54)), delay=2, exponent=-3),
        Connection("skip", "first", "third", Dense(draw(54, 144)), delay=1, exponent=-4),
        Connection("out", "third", "readout", Dense(draw(5, 54))),
    )
    return QuantizedNetwork(
        Input("in", (2, 6, 6), high=255), populations, connections, "readout", "accumulated_current", timesteps=6, **INT8
    )


def one_axis() -> QuantizedNetwork:
    """Conv1d with dilation and stride, behind overlapping pooling, delayed; T = 1 sample after
    sample.
    """
    rng = np.random.default_rng(3)
    conv = Conv(rng.integers(-90, 90, (3, 2, 3)).astype(np.int8), (2,), (2,), (2,))
    return QuantizedNetwork(
        input=Input("in", (2, 12)),
        populations=(Population("lif", (3, 6), neuron(100)),),
        connections=(Connection("conv", "in", "lif", conv, pool=Pool((3,), (1,), (1,)), delay=2),),
        output="lif",
        readout="spike_count",
        timesteps=4,
        **INT8,
    )


@pytest.mark.parametrize("models", ["batch", "fast"])
@pytest.mark.parametrize("make", [everything, one_axis])
def test_every_layer_through_the_runtime(make, models):
    network = make()
    rng = np.random.default_rng(1)
    values = rng.integers(0, network.input.high + 1, (4, network.timesteps, *network.input.shape))
    stimulus = encode(network.input, values, network.timesteps)[1:]  # noise counts from sample 1
    expected = reference.run(network, stimulus, "potentials")
    assert all(expected.spike_counts[p.name].sum() for p in network.populations if p.neuron.spiking), "silence proves nothing"
    done = []
    assert not differences(expected, backend.run(network, stimulus, "potentials", progress=done.append, process_models=models))
    assert sum(done) == 3


@pytest.mark.parametrize("models", ["batch", "fast"])
@pytest.mark.parametrize("seed", range(6))
def test_random_networks_through_the_runtime(seed, models):
    network = random_network(seed, edge=seed % 2 == 1)
    stimulus = random_stimulus(seed, network)
    assert not differences(reference.run(network, stimulus, "spikes"), backend.run(network, stimulus, "spikes", process_models=models))


def test_many_samples_in_bounded_memory(monkeypatch):
    """A tape of two samples, slices of five rows: the runtime continues where it paused."""
    network = everything()
    stimulus = encode(network.input, np.random.default_rng(2).integers(0, 256, (7, *network.input.shape)), 6)
    monkeypatch.setattr(stream, "SLICE_ROWS", 5)
    monkeypatch.setattr(stream, "TAPE_BYTES", 16 * stream.bytes_per_row(network, ["readout"]))
    done = []
    record = backend.run(network, stimulus, progress=done.append, process_models="fast")
    assert not differences(reference.run(network, stimulus), record)
    assert sum(done) == 7 and len(done) > 7


@pytest.mark.skipif(not CASE.exists(), reason="shared/cases is not here")
def test_published_lava_trace_bit_for_bit():
    rows = np.loadtxt(CASE, delimiter=",")
    weight = Connection("syn", "in", "lif", Dense(np.array([[10]], np.int8)))
    population = Population("lif", (1,), neuron(25, dv=163))
    network = QuantizedNetwork(Input("in", (1,)), (population,), (weight,), "lif", "spike_count", len(rows), **INT8)
    stimulus = encode(network.input, rows[:, 0].astype(np.int32).reshape(1, -1, 1), len(rows))
    record = backend.run(network, stimulus, "potentials", process_models="stock")
    assert np.array_equal(record.potentials["lif"][0, :-1, 0], rows[1:, 1])
    assert np.array_equal(record.spikes["lif"][0, :-1, 0], rows[1:, 2] != 0)


def test_prefix_property():
    network = everything()
    values = np.random.default_rng(4).integers(0, 256, (2, 6, *network.input.shape))
    whole = backend.run(network, encode(network.input, values, 6), "spikes")
    part = backend.run(network, encode(network.input, values, 4), "spikes")
    assert np.array_equal(whole.output[:, :4], part.output)
    assert all(np.array_equal(whole.spikes[k][:, :4], part.spikes[k]) for k in part.spikes)


def test_run_configuration_is_a_choice():
    """The factory is asked once, and told of exactly the processes that need our process models."""
    from spikeport.hw.lava.runtime import simulation  # noqa: PLC0415

    asked = []
    network = one_axis()
    stimulus = encode(network.input, np.ones((1, *network.input.shape), np.int32), 4)
    backend.run(network, stimulus, process_models="fast", run_config=lambda models: asked.append(models) or simulation(models))
    assert sorted(type(p).__name__ for p in asked[0]) == ["Axon", "Conv", "Host"]


def test_importing_the_package_does_not_import_lava():
    code = "import sys, spikeport.hw.lava.backend; sys.exit('lava' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
