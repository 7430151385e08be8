"""The NumPy reference against Lava's process models, run without operating-system processes."""

from dataclasses import replace

import numpy as np
import pytest
from support.networks.random_networks import overdriven, random_network, random_stimulus
from support.oracles import lava_oracle as oracle
from support.oracles.lava_compare import differences
from support.places import SHARED
from support.stated import INT8

from spikeport.export.common.errors import InputError
from spikeport.export.model import fold
from spikeport.export.model.network import Connection, Dense, Elementwise, Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Conv, Pool
from spikeport.hw.lava import stream
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference

pytest.importorskip("lava.magma.core.process.process")
pytestmark = pytest.mark.lava
CASE = SHARED / "cases" / "lif_lava_cpu_fixed.csv"


def lava_models(network, stimulus):
    """The stock models where they can run the network, else with our convolution; and which it was."""
    try:
        return oracle.run(network, stimulus, "potentials", process_models="stock"), "stock"
    except InputError as error:
        assert "stock Conv" in str(error)
        return oracle.run(network, stimulus, "potentials"), "fast"


@pytest.mark.parametrize("kind", ["usual", "edge", "overdriven"])
@pytest.mark.parametrize("tens", range(10))
def test_reference_equals_lava_models_on_random_networks(tens, kind):
    """Spikes, potentials of every population, output and counts, 300 networks in all; both Conv
    models.
    """
    ran = {"stock": 0, "fast": 0}
    overflows = 0
    for seed in range(10 * tens, 10 * tens + 10):
        network = random_network(seed, edge=kind != "usual")
        network = overdriven(network) if kind == "overdriven" else network
        stimulus = random_stimulus(seed, network)
        expected = reference.run(network, stimulus, "potentials")
        actual, models = lava_models(network, stimulus)
        assert not differences(expected, actual), f"seed {seed}, {kind}, {models} models"
        ran[models] += 1
        overflows += sum(expected.overflows.values())
    assert ran["stock"]
    assert overflows or kind != "overdriven", "networks driven beyond the ranges must get there"


def single_neuron(vth: int, weight: int, **registers) -> QuantizedNetwork:
    values = {"du": 4095, "dv": 0, "threshold": vth, "bias_mantissa": 0, **registers}
    neuron = IntegerNeuron(**{k: np.int32(v) if k not in ("reset",) else v for k, v in values.items()})
    return QuantizedNetwork(
        input=Input("in", (1,)),
        populations=(Population("lif", (1,), neuron),),
        connections=(Connection("syn", "in", "lif", Dense(np.array([[weight]], np.int8))),),
        output="lif",
        readout="spike_count",
        timesteps=1000,
        **INT8,
    )


@pytest.mark.skipif(not CASE.exists(), reason="shared/cases is not here")
@pytest.mark.parametrize("run", [reference.run, oracle.run], ids=["reference", "oracle"])
def test_published_lava_trace_bit_for_bit(run):
    """Lava's trace shows its own step of delay: row k is our response to input k - 1."""
    rows = np.loadtxt(CASE, delimiter=",")
    network = single_neuron(vth=25, weight=10, dv=163)
    stimulus = encode(network.input, rows[:, 0].astype(np.int32).reshape(1, -1, 1), len(rows))
    record = run(network, stimulus, "potentials")
    assert np.array_equal(record.potentials["lif"][0, :-1, 0], rows[1:, 1])
    assert np.array_equal(record.spikes["lif"][0, :-1, 0], rows[1:, 2] != 0)
    assert record.spikes["lif"].sum() == 4


def test_a_changed_weight_is_seen():
    """The comparison can fail: one quantization step on one side only."""
    stimulus = encode(Input("in", (1,)), np.ones((1, 30, 1), np.int32), 30)
    expected = reference.run(single_neuron(25, 10), stimulus, "potentials")
    assert "potentials/lif" in differences(expected, oracle.run(single_neuron(25, 11), stimulus, "potentials"))


@pytest.mark.parametrize("seed", range(8))
def test_batches_do_not_change_the_result(seed, monkeypatch):
    """Rings of one or two samples and slices of three rows give what one pass gives, and report
    every sample once.
    """
    network = random_network(seed)
    stimulus = random_stimulus(seed, network, samples=7)
    expected = oracle.run(network, stimulus, "potentials")
    monkeypatch.setattr(stream, "SLICE_ROWS", 3)
    monkeypatch.setattr(stream, "TAPE_BYTES", 3 * stream.bytes_per_row(network, list(expected.potentials)) * network.timesteps)
    done = []
    assert not differences(expected, oracle.run(network, stimulus, "potentials", progress=done.append))
    assert sum(done) == 7


@pytest.mark.parametrize("seed", range(8))
def test_prefix_property(seed):
    """A run of T' steps equals the first T' steps of a run of T."""
    network = random_network(seed)
    stimulus = random_stimulus(seed, network)
    shorter = (network.timesteps + 1) // 2
    cut = encode(network.input, stimulus.over_time()[:, :shorter], shorter)
    whole, part = oracle.run(network, stimulus, "spikes"), oracle.run(network, cut, "spikes")
    assert np.array_equal(whole.output[:, :shorter], part.output)
    assert all(np.array_equal(whole.spikes[k][:, :shorter], part.spikes[k]) for k in part.spikes)


def test_delayed_spikes_stay_within_their_sample():
    """A neuron that fires until the end, fed back late, must not reach the next sample."""
    network = single_neuron(vth=5, weight=10)
    network = QuantizedNetwork(
        input=network.input,
        populations=network.populations,
        connections=(*network.connections, Connection("loop", "lif", "lif", Dense(np.array([[100]], np.int8)), delay=3)),
        output="lif",
        readout="spike_count",
        timesteps=4,
        **INT8,
    )
    stimulus = encode(network.input, np.array([[1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]])[..., None], 4)
    record = oracle.run(network, stimulus, "potentials")
    assert not differences(reference.run(network, stimulus, "potentials"), record)
    assert record.spikes["lif"][0].all() and not record.spikes["lif"][1].any()


@pytest.mark.parametrize("seed", range(60))
def test_folded_pooling_is_the_same_map(seed):
    """Against the reference's own pooling and weights, for every geometry; a fold that is refused
    is checked to be needed.
    """
    rng = np.random.default_rng(seed)
    axes = int(rng.integers(1, 3))
    shape = (int(rng.integers(1, 4)), *(int(n) for n in rng.integers(4, 10, axes)))
    kernel = tuple(int(k) for k in rng.integers(1, 4, axes))
    pool = Pool(kernel, tuple(int(s) for s in rng.integers(1, 4, axes)), tuple(int(rng.integers(0, k)) for k in kernel))
    inner = pool.output_shape(shape)
    conv = Conv(rng.integers(-9, 9, (4, shape[0], *(1,) * axes)).astype(np.int8), (1,) * axes, (int(rng.integers(2)),) * axes, (1,) * axes)
    x = rng.integers(0, 2, (2, *shape))
    for op in (
        conv,
        Dense(rng.integers(-9, 9, (3, int(np.prod(inner)))).astype(np.int8)),
        Elementwise(np.int8(rng.integers(-9, 9, inner))),
    ):
        expected = reference.synaptic_current(Connection("c", "a", "b", op, pool), x).reshape(2, -1)
        folded = fold.folded_synapses(op, pool, shape)
        if folded is None:
            assert isinstance(op, Conv) and max(op.padding) > 0
        elif isinstance(folded, Conv):
            assert np.array_equal(reference.convolve(x, folded).reshape(2, -1), expected)
        else:
            assert np.array_equal(x.reshape(2, -1) @ folded.T, expected)


def test_sums_beyond_32_bits_are_refused():
    """In one line that names the connection."""
    source = Input("in", (300,), high=(1 << 23) - 1)
    network = QuantizedNetwork(
        input=source,
        populations=single_neuron(1, 1).populations,
        connections=(Connection("wide", "in", "lif", Dense(np.full((1, 300), 100, np.int8)), exponent=-9),),
        output="lif",
        readout="spike_count",
        timesteps=1,
        **INT8,
    )
    with pytest.raises(InputError, match="connection wide may sum to"):
        oracle.run(network, encode(source, np.ones((1, 300), np.int32), 1))


def test_delays_beyond_the_chip_are_refused():
    network = single_neuron(vth=5, weight=10)
    late = replace(network.connections[0], delay=63)
    stimulus = encode(network.input, np.ones((1, 1), np.int32), 2)
    with pytest.raises(InputError, match="connection syn takes 63 timesteps"):
        oracle.run(replace(network, connections=(late,)), stimulus)
    slow = replace(network, connections=(replace(late, delay=62),))
    assert not differences(reference.run(slow, stimulus, "potentials"), oracle.run(slow, stimulus, "potentials"))
