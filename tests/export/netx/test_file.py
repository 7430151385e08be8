"""`.net` out and in: the same spikes, the loss where there is one told, lava-dl's rules held
against a second reading.
"""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
from support.oracles.naive_netx import spikes_of
from support.stated import INT8

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import Input, IntegerNeuron, Noise, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Conv, Dense, Elementwise, Pool
from spikeport.export.netx.file import read_netx, write_netx
from spikeport.export.netx.fit import Change
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference

T = 25


def neuron(threshold, *, du=4095, dv=300, bias=0, **options) -> IntegerNeuron:
    return IntegerNeuron(*(np.asarray(n, np.int32) for n in (du, dv, threshold, bias)), **options)


def network(shape, populations, connections, **options) -> QuantizedNetwork:
    names = {"output": populations[-1].name, "readout": "spike_count", "timesteps": T}
    return QuantizedNetwork(input=Input("in", shape), populations=populations, connections=connections, **{**names, **INT8, **options})


def weights(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-100, 128, shape).astype(np.int8)


def mlp(exponent: int = 1, **second) -> QuantizedNetwork:
    pair = Population("a", (30,), neuron(400, du=1500, bias=3)), Population("b", (6,), neuron(500, **second))
    joined = (
        Connection("w1", "in", "a", Dense(weights(0, 30, 20)), exponent=exponent),
        Connection("w2", "a", "b", Dense(weights(1, 6, 30)), delay=2),
    )
    return network((20,), pair, joined)


def convolutional() -> QuantizedNetwork:
    channels = np.array([150, 300, 200, 250], np.int32).reshape(4, 1, 1)
    each = np.arange(64, dtype=np.int32).reshape(4, 4, 4) * 3 + 100
    layers = (
        Population("a", (4, 8, 7), neuron(channels, bias=channels // 50)),
        Population("b", (4, 4, 4), neuron(each, du=3000)),
        Population("gain", (4, 4, 4), neuron(40)),
        Population("c", (5,), neuron(301)),
    )
    joined = (
        Connection("w1", "in", "a", Conv(weights(2, 4, 2, 3, 2), (1, 1), (1, 0), (1, 1))),
        Connection("w2", "a", "b", Conv(weights(3, 4, 2, 2, 3), (2, 2), (0, 1), (1, 1), 2)),
        Connection("w3", "b", "gain", Elementwise(np.array([50, 60, 70, -8], np.int8).reshape(4, 1, 1))),
        Connection("w4", "gain", "c", Dense(weights(4, 5, 16)), Pool((2, 2), (2, 2), (0, 0)), exponent=1),
    )
    return network((2, 8, 8), layers, joined)


def over_one_axis() -> QuantizedNetwork:
    pair = Population("a", (3, 9), neuron(90)), Population("b", (4,), neuron(150))
    joined = Connection("w1", "in", "a", Conv(weights(5, 3, 2, 3), (1,), (0,), (1,))), Connection("w2", "a", "b", Dense(weights(6, 4, 27)))
    return network((2, 11), pair, joined)


def recurrent() -> QuantizedNetwork:
    pair = Population("a", (30,), neuron(700, du=2500)), Population("b", (6,), neuron(500))
    loop = Connection("rec", "a", "a", Dense(weights(7, 30, 30)), delay=1)
    return network(
        (20,), pair, (Connection("w1", "in", "a", Dense(weights(0, 30, 20))), loop, Connection("w2", "a", "b", Dense(weights(1, 6, 30))))
    )


def delays() -> QuantizedNetwork:
    """Two connections side by side, of unlike delay and without a common synapse."""
    weight = weights(8, 6, 20)
    left, right = weight.copy(), weight.copy()
    left[:, ::3], right[:, 1::3], right[:, 2::3] = 0, 0, 0
    joined = Connection("l", "in", "a", Dense(left), delay=1), Connection("r", "in", "a", Dense(right), delay=4)
    return network((20,), (Population("a", (6,), neuron(350)),), joined)


EXACT = {"mlp": mlp, "convolutional": convolutional, "over one axis": over_one_axis, "recurrent": recurrent, "delays": delays}


def run(net: QuantizedNetwork, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x = (np.random.default_rng(seed).random((3, T, *net.input.shape)) < 0.3).astype(np.int32)
    return x, reference.run(net, encode(net.input, x, T), "spikes").output


@pytest.mark.parametrize("case", EXACT)
def test_the_file_is_the_same_network_spike_for_spike(tmp_path, case):
    net = EXACT[case]()
    changes = write_netx(net, tmp_path / "a.net")
    back = read_netx(tmp_path / "a.net")
    assert all(c.exact for c in changes.values())
    x, expected = run(net)
    assert (run(back)[1] == expected).all() and expected.sum() > 20
    assert (back.timesteps, back.readout, back.input) == (net.timesteps, net.readout, net.input)
    assert [(p.name, p.shape) for p in back.populations] == [(p.name, p.shape) for p in net.populations]
    naive = np.stack([spikes_of(tmp_path / "a.net", sample) for sample in x])
    assert (naive.reshape(expected.shape) == expected).all()


def test_without_our_description_it_reads_as_lava_dl_means_it(tmp_path):
    net = convolutional()
    write_netx(net, tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net", "a") as file:
        del file["spikeport"]
    back = read_netx(tmp_path / "a.net")
    assert (run(back)[1] == run(net)[1]).all() and back.timesteps == T


def lava_dl_writes(path, layers: list[dict]) -> None:
    """A file as lava-dl's blocks write it, without anything of ours."""
    with h5py.File(path, "w") as file:
        for number, layer in enumerate(layers):
            for key, value in layer.items():
                file[f"layer/{number}/{key}"] = np.bytes_(value) if isinstance(value, str) else value
        file["simulation/Ts"], file["simulation/tSample"] = 1, T


LOIHI = {"neuron/type": "LOIHI", "neuron/iDecay": 4096, "neuron/refDelay": 1, "neuron/vDecay": 1024, "neuron/vThMant": 25}
IMAGE = {"type": "input", "shape": np.array([3, 9, 8]), "weight": np.float32(40), "bias": np.float32(36), **LOIHI}
KERNELS = {"stride": np.array([2, 1]), "padding": np.array([0, 1]), "dilation": np.array([1, 1]), "groups": 1, **LOIHI}


def test_an_input_layer_with_neurons_takes_its_bias(tmp_path):
    """As PilotNet's: netx leaves the layer's weight and bias to the data set, and what it runs is
    the bias itself.
    """
    rng = np.random.default_rng(11)
    kernels = rng.integers(-20, 19, (4, 3, 3, 3)).astype(np.float32)
    maps = {"type": "conv", "shape": np.array([4, 4, 8]), "weight": kernels, "bias": np.float32([5, -9, 30, 0]), **KERNELS}
    ends = {"type": "dense", "shape": np.array([5, 1, 1]), "weight": rng.integers(-40, 50, (5, 128)).astype(np.float32), **LOIHI}
    lava_dl_writes(tmp_path / "a.net", [IMAGE, maps, {"type": "flatten", "shape": np.array([1, 1, 128])}, ends])
    net = read_netx(tmp_path / "a.net")
    assert (net.input.low, net.input.high) == (-4, 76) and "80 * pixel + -4" in net.provenance["input"]
    bias = (80 * rng.random((3, 3, 9, 8)) - 4).astype(np.int32)
    expected = np.stack([spikes_of(tmp_path / "a.net", np.repeat(sample[None], T, 0)) for sample in bias])
    assert (reference.run(net, encode(net.input, bias, T), "spikes").output == expected).all() and expected.sum() > 20
    with pytest.raises(InputError, match=r"the network takes -4\.\.76"):
        encode(net.input, bias + 100, T)


def test_a_convolution_keeps_the_lowest_bit_that_a_dense_synapse_drops(tmp_path):
    """Lava truncates dense weights of both signs beyond 8 bits to even ones, and leaves kernels as
    they are.
    """
    row = np.array([201, -131, 5], np.float32)
    pixel = {"type": "conv", "shape": np.array([1, 1, 1]), **KERNELS, "padding": np.array([0, 0])}
    for told, layer in (
        (201, {**pixel, "weight": row.reshape(1, 3, 1, 1)}),
        (200, {"type": "dense", "shape": np.array([1]), "weight": row[None], **LOIHI}),
    ):
        lava_dl_writes(tmp_path / "a.net", [{"type": "input", "shape": np.array([3, 1, 1])}, layer])
        net = read_netx(tmp_path / "a.net")
        whole = sum(c.weight.ravel().astype(int) << c.exponent for c in net.connections)
        assert whole[0] == told


def test_what_does_not_fit_is_rounded_and_told(tmp_path):
    """Weights of exponent 5 in a file without exponents: units of 16, and a threshold of 9 units
    and a half becomes 10 (half to even).
    """
    net = replace(mlp(5), populations=tuple(replace(p, neuron=neuron(152, bias=4096 // 64 * 8)) for p in mlp().populations))
    changes = write_netx(net, tmp_path / "a.net")
    assert changes["a"].shift == 4 and not changes["a"].exact and changes["a"].threshold == 0.5
    back = read_netx(tmp_path / "a.net")
    assert back["a"].neuron.threshold == 10 and back["a"].scale == net["a"].scale * 16
    assert changes["b"].exact


def test_a_bias_beyond_13_bits_takes_coarser_units(tmp_path):
    """Weights of exponent -3 need units of 1/16, in which a bias of 1,000 would be 16,000: units of
    1/4 hold it as 4,000, and the weights, multiples of 1/8, lose their lowest bit.
    """
    for bias, lost, shift in ((0, 0.0, -4), (1000, 0.5, -2)):
        net = mlp(-3, bias=bias)
        net = replace(net, connections=tuple(replace(c, exponent=-3) for c in net.connections))
        changes = write_netx(net, tmp_path / "a.net")
        assert changes["b"] == Change(shift, lost, 0.0, 0.0)
        back = read_netx(tmp_path / "a.net")
        assert (back["b"].neuron.bias * back["b"].scale == bias << 6).all()


def test_a_network_of_few_bits_is_written_in_8(tmp_path):
    net = mlp(3)
    few = tuple(replace(c, op=replace(c.op, weight=np.clip(c.weight, -2, 1)), exponent=3) for c in net.connections)
    net = replace(net, connections=few, populations=tuple(replace(p, neuron=neuron(30)) for p in net.populations), weight_bits=2)
    changes = write_netx(net, tmp_path / "a.net")
    assert all(c.exact for c in changes.values())
    expected = run(net)[1]
    assert (run(read_netx(tmp_path / "a.net"))[1] == expected).all() and expected.any()


def test_a_readout_never_fires(tmp_path):
    net = mlp()
    readout = replace(net["b"], neuron=neuron(131071, dv=0, spiking=False))
    net = replace(net, populations=(net["a"], readout), readout="accumulated_current")
    write_netx(net, tmp_path / "a.net")
    back = read_netx(tmp_path / "a.net")
    assert back.readout == "accumulated_current" and (run(back)[1] == run(net)[1]).all()
    assert not spikes_of(tmp_path / "a.net", run(net)[0][0]).any()


REFUSED = {
    "resets by subtract": lambda: mlp(reset="subtract", reset_value=np.int32(500)),
    "has noise": lambda: mlp(noise=Noise("uniform", 10, 1)),
    "layers in a row": lambda: replace(mlp(), connections=(*mlp().connections, Connection("skip", "in", "b", Dense(weights(9, 6, 20))))),
    "pooling does not go into 8-bit weights": lambda: network(
        (1, 6, 6),
        (Population("a", (1, 5, 5), neuron(100)),),
        (Connection("w", "in", "a", Conv(weights(1, 1, 1, 1, 1), (1, 1), (1, 1), (1, 1)), Pool((4, 4), (1, 1), (0, 0))),),
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_lava_dl_has_not_is_refused_by_name(tmp_path, reason):
    with pytest.raises(InputError, match=reason):
        write_netx(REFUSED[reason](), tmp_path / "a.net")
    assert not list(tmp_path.iterdir())


def _set(way: str, value):
    def change(file: h5py.File) -> None:
        if way in file:
            del file[way]
        if value is not None:
            file[way] = value

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_set("layer/1/neuron/gradedSpike", 1), "sends graded spikes"),
        (_set("layer/1/neuron/refDelay", 2), "refractory delay"),
        (_set("layer/1/neuron/refDelay", np.nan), "refractory delay"),
        (_set("layer/1/neuron/type", np.bytes_("SDNN")), "has SDNN neurons"),
        (_set("layer/1/neuron/vThMant", np.float32(1.5)), "vThMant"),
        (_set("layer/1/neuron/vThMant", None), "cannot be read|vThMant"),
        (_set("layer/1/weight", np.full((30, 20), 999.0, np.float32)), "999"),
        (_set("layer/1/weight", np.full((30, 20), np.nan, np.float32)), "weight|cannot be read"),
        (_set("layer/7/weight", np.zeros(3)), "layers are"),
        (_set("spikeport", "{"), "spikeport|JSON"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, change, told):
    write_netx(mlp(), tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net", "a") as file:
        change(file)
    with pytest.raises(InputError, match=told) as caught:
        read_netx(tmp_path / "a.net")
    assert "\n" not in str(caught.value) and "a.net" in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_file_is_one_line(tmp_path, share):
    write_netx(mlp(), tmp_path / "a.net")
    whole = (tmp_path / "a.net").read_bytes()
    (tmp_path / "a.net").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"a\.net"):
        read_netx(tmp_path / "a.net")
