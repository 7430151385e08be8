"""Placement on cores: against unrolled matrices, memory by hand, and what does not fit."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from support.networks.dense_form import unrolled
from support.networks.published import lenet, pilotnet, resnet18, vgg11
from support.networks.random_networks import random_network
from support.stated import INT8

from spikeport.cli import main
from spikeport.export.model.network import Connection, Conv, Dense, Input, IntegerNeuron, Pool, Population, QuantizedNetwork
from spikeport.export.nir.file import write_nir
from spikeport.hw.mapping.cores import map_network
from spikeport.hw.mapping.encoding import encodings, lists_bits, store
from spikeport.hw.mapping.lower_bound import fewest_cores
from spikeport.hw.records.fanout import fan_out
from spikeport.hw.semantics.limits import CHIPS, Core

LOIHI1, LOIHI2 = CHIPS["loihi1"], CHIPS["loihi2"]
NO_BORDERS = replace(LOIHI1.core, border_lists=False)


def with_core(neurons: int = 1024, bits: int = 1 << 20, axons: int | None = 4096):
    """Loihi 1 with a core of our own."""
    return replace(LOIHI1, core=Core(neurons, bits, axons, True))


def network_of(op, source=(4,), pool=None, target=None) -> QuantizedNetwork:
    """One connection from the input into neurons without bias."""
    connection = Connection("in", "input", "a", op, pool)
    zero = np.array(0)
    neurons = IntegerNeuron(np.array(4095), zero, np.array(5), zero)
    shape = target or connection.output_shape(source)
    return QuantizedNetwork(Input("input", source), (Population("a", shape, neurons),), (connection,), "a", "spike_count", 1, **INT8)


def matrix_of(connection: Connection, source, zeros: bool) -> np.ndarray:
    """Synapses `(inputs, outputs)` counted one by one, pooling windows expanded."""
    weight = np.asarray(np.ones_like(connection.weight) if zeros else connection.weight != 0, np.int8)
    return unrolled(Connection("x", "a", "b", replace(connection.op, weight=weight), connection.pool), source)


@pytest.mark.parametrize("seed", range(40))
def test_fan_out_into_a_part_equals_the_unrolled_matrix(seed):
    rng, made = np.random.default_rng(seed), random_network(seed)
    for c in made.connections:
        source = made.shape(c.source)
        out = c.output_shape(source)
        ends = [sorted(rng.choice(n + 1, 2, replace=False)) for n in out]
        part = tuple(slice(int(a), int(b)) for a, b in ends)
        inside = np.arange(np.prod(out)).reshape(out)[part].ravel()
        for zeros in (False, True):
            expected = matrix_of(c, source, zeros)[:, inside].sum(axis=1)
            np.testing.assert_array_equal(fan_out(c, source, part, zeros=zeros).ravel(), expected)


@pytest.mark.parametrize("seed", range(30))
def test_every_core_holds_what_the_unrolled_matrix_says(seed):
    """Sparse lists on cores of six neurons: axons and memory from the matrix, block by block."""
    made = random_network(seed, loops=False)
    placed = map_network(made, with_core(neurons=6, axons=None))
    for population in made.populations:
        cores = placed[population.name].cores
        assert sum(core.neurons for core in cores) == population.size and all(core.neurons <= 6 for core in cores)
        for c in made.incoming(population.name):
            source = made.shape(c.source)
            count = {zeros: int(matrix_of(c, source, zeros).sum()) for zeros in (False, True)}
            chosen = placed[population.name].encodings[c.name]
            assert placed[population.name].synapses[c.name] == count[chosen != "sparse"]
            stored = store(c, source, "sparse", (slice(0, 1),), 6, 8, LOIHI1.core)
            block = matrix_of(c, source, False).reshape(-1, *c.output_shape(source))[:, :1].reshape(np.prod(source), -1)
            lengths = block.sum(axis=1)
            assert stored.axons == np.count_nonzero(lengths)
            assert stored.bits == sum(-(-(min(64, n - start) * 14 + 10) // 64) * 64 for n in lengths for start in range(0, n, 64))


def test_memory_of_lists_by_hand():
    assert lists_bits(np.array([6]), 8) == 64  # 6 * 8 + 10 = 58 bits: one word
    assert lists_bits(np.array([7]), 8) == 128
    assert lists_bits(np.array([64]), 8) == 576  # 522 bits: nine words
    assert lists_bits(np.array([65, 0, 6]), 8) == 576 + 64 + 64


def test_a_shared_kernel_is_stored_once_for_each_way_to_see_it():
    """3 taps over 5 inputs, padded: inputs 1 .. 3 see all taps, 0 sees {0, 1}, 4 sees {1, 2}."""
    op = Conv(np.ones((4, 2, 3), np.int8), (1,), (1,), (1,))
    connection = Connection("in", "a", "b", op)
    lists = np.array([3, 2, 2]) * 2 * 4
    with_borders = store(connection, (2, 5), "convolution", (), 20, 8, LOIHI1.core)
    assert with_borders.bits == lists_bits(lists, 8 + 6)
    assert (with_borders.axons, with_borders.synapses) == (5, 2 * 4 * (3 * 3 + 2 + 2))
    once = store(connection, (2, 5), "convolution", (), 20, 8, NO_BORDERS)
    assert once.bits == lists_bits(lists[:1], 8 + 6)


def test_a_stride_sees_the_kernel_in_phases():
    op = Conv(np.ones((1, 1, 4), np.int8), (2,), (0,), (1,))
    once = store(Connection("in", "a", "b", op), (1, 8), "convolution", (), 3, 8, NO_BORDERS)
    assert once.bits == lists_bits(np.array([2, 2]), 14)


@pytest.mark.parametrize(
    ("inputs", "targets", "words"), [(256, 200, 16128), (200, 256, 16200), (784, 50, 12544), (128, 64, 2688), (64, 10, 256)]
)
def test_dense_lists_of_loihi_2_take_the_words_of_published_logs(inputs, targets, words):
    """lava-dl's tutorials on Oxford and MNIST; words of 64 bits."""
    op = Dense(np.ones((targets, inputs), np.int8))
    kept = store(Connection("in", "a", "b", op), (inputs,), "dense", (), targets, 8, LOIHI2.core)
    assert (kept.bits, kept.axons) == (64 * words, inputs)


@pytest.mark.parametrize(("inputs", "channels", "words"), [(3, 16, 54), (16, 32, 576)])
def test_kernels_of_loihi_2_take_the_words_of_published_logs(inputs, channels, words):
    """lava-dl's tutorial on YOLO-KP, 0.34 and 3.6 % of 16,000 words; positions cost nothing."""
    op = Conv(np.ones((channels, inputs, 3, 3), np.int8), (2, 2), (1, 1), (1, 1))
    kept = store(Connection("in", "a", "b", op), (inputs, 16, 16), "convolution", (), 8 * 8 * channels, 8, LOIHI2.core)
    assert kept.bits == 64 * words


def test_maps_are_cut_as_the_published_log_of_pilotnet_shows():
    """lava-dl: columns a core, and cores, of the picture and of every convolution."""
    placed = map_network(pilotnet(), LOIHI2)
    maps = [p for p in placed.placements if len(p.layout) == 3]
    assert [len(p.cores) for p in maps] == [13, 25, 13, 3, 3, 2]
    assert [max(part[2].stop - part[2].start for part in p.parts) for p in maps] == [16, 4, 4, 8, 8, 16]
    assert abs(placed.cores / 74 - 1) <= 0.1


def test_a_network_that_only_the_search_gets_onto_a_chip_is_searched():
    placed = map_network(vgg11(), LOIHI2)
    assert placed.cores <= LOIHI2.cores < map_network(vgg11(), replace(LOIHI2, tiles=(16, 4))).cores
    assert placed.chip is LOIHI2


def test_what_can_hold_a_connection():
    conv, dense = Conv(np.ones((2, 1, 2, 2), np.int8), (1, 1), (0, 0), (1, 1)), Dense(np.ones((3, 4), np.int8))
    overlap, tiles = Pool((2, 2), (1, 1), (0, 0)), Pool((2, 2), (2, 2), (0, 0))
    assert encodings(Connection("c", "a", "b", conv, tiles), (1, 6, 6)) == ("convolution", "sparse")
    assert encodings(Connection("c", "a", "b", conv, overlap), (1, 6, 6)) == ("sparse",)
    assert encodings(Connection("c", "a", "b", dense, tiles), (1, 4, 4)) == ("dense", "sparse")
    assert encodings(Connection("c", "a", "b", dense, tiles), (1, 5, 5)) == ("sparse",)  # the last row reaches nothing


def test_zeros_decide_the_encoding_and_pruning_saves_cores():
    rng = np.random.default_rng(0)
    full = rng.integers(1, 100, (64, 64)).astype(np.int8)
    tight = with_core(bits=8 * 1024)
    cores, before = [], np.inf
    for kept, encoding in ((1.0, "dense"), (0.5, "dense"), (0.25, "sparse"), (0.05, "sparse")):
        weight = full * (rng.permutation(full.size).reshape(full.shape) < kept * full.size)
        placed = map_network(network_of(Dense(weight), (64,)), tight)["a"]
        assert placed.encodings["in"] == encoding  # at one half, indices would take a core more
        assert placed.synapses["in"] == (full.size if encoding == "dense" else np.count_nonzero(weight)) <= before
        before = placed.synapses["in"]
        cores.append(len(placed.cores))
    assert cores == sorted(cores, reverse=True) and cores[0] > 2 * cores[-1]


def test_rows_are_split_before_channels_and_flat_targets_follow_the_map():
    conv = Conv(np.ones((4, 1, 3, 3), np.int8), (1, 1), (1, 1), (1, 1))
    for target in (None, (4 * 8 * 8,)):
        placed = map_network(network_of(conv, (1, 8, 8), target=target), with_core(neurons=64))["a"]
        assert [core.neurons for core in placed.cores] == [64] * 4  # two rows of eight in all four channels
        assert [core.axons_in for core in placed.cores] == [24, 32, 32, 24]  # their two rows and one on either side


def test_a_row_wider_than_a_core_is_told():
    conv = Conv(np.ones((1, 1, 1, 1), np.int8), (1, 1), (0, 0), (1, 1))
    placed = map_network(network_of(conv, (1, 2, 9)), with_core(neurons=8))
    assert placed.obstacles == ("a: one of 2 cores, 112% of the neurons that a core has",)


def test_axons_out_count_every_core_that_they_lead_to():
    first, second = (
        Connection("in", "input", "a", Dense(np.ones((6, 2), np.int8))),
        Connection("ab", "a", "b", Dense(np.ones((8, 6), np.int8))),
    )
    zero = np.array(0)
    neuron = IntegerNeuron(zero, zero, zero, zero)
    network = QuantizedNetwork(
        Input("input", (2,)), (Population("a", (6,), neuron), Population("b", (8,), neuron)), (first, second), "b", "spike_count", 1, **INT8
    )
    placed = map_network(network, with_core(neurons=4))
    assert [core.axons_out for core in placed["a"].cores] == [6, 6]  # three neurons each, to two cores each
    assert [core.neurons for core in map_network(network, with_core(neurons=6, axons=6))["a"].cores] == [3, 3]  # 6 neurons would need 12


def test_axons_that_channels_share_are_counted_by_position():
    """Four channels, two rows of eight a core.

    Rows 0 and 7 lead to their own core; 1, 3 and 5 also to the next, 2, 4 and 6 to the one before.

    Each position takes two entries, whatever its channels: 2 * (8 + 16) at the borders, 2 * (16 +
    16) within.
    """
    first, second = (Conv(np.ones((4, channels, 3, 3), np.int8), (1, 1), (1, 1), (1, 1)) for channels in (1, 4))
    made = network_of(first, (1, 8, 8))
    after = Connection("ab", "a", "b", second)
    network = replace(made, populations=(made["a"], replace(made["a"], name="b")), connections=(*made.connections, after), output="b")
    placed = map_network(network, with_core(neurons=64))
    assert placed["b"].encodings["ab"] == "convolution"
    assert [core.axons_out for core in placed["a"].cores] == [48, 64, 64, 48]


@pytest.mark.parametrize("shape,cores", [((1024, 1), 1), ((1025, 1), 2), ((1024, 100), 1), ((1024, 120), 2)])
def test_cores_of_loihi_1(shape, cores):
    """A list of 1024 weights takes 16 blocks of nine words: 113 of them fill a core."""
    weight = np.ones(shape, np.int8)
    placed = map_network(network_of(Dense(weight), (shape[1],)), LOIHI1)
    assert len(placed["a"].cores) == placed.cores == cores and placed.obstacles == ()


def test_what_does_not_fit_is_named(tmp_path, capsys):
    network = network_of(Dense(np.ones((3, 5000), np.int8)), (5000,))
    assert "a: 1 core, 122% of the axons in that a core has" in " ".join(map_network(network, LOIHI1).obstacles)
    write_nir(network, tmp_path / "wide.nir")
    assert main(["map", str(tmp_path / "wide.nir"), "--device", "loihi1", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["fits"] and found["populations"][0]["limit"] == "axons in"
    assert main(["map", str(tmp_path / "wide.nir")]) == 0  # no limit on Loihi 2's axons is public
    assert "fits: 1 of 128 cores of Loihi 2" in capsys.readouterr().out
    many = map_network(network, with_core(neurons=1, axons=None))
    assert replace(many, chip=replace(many.chip, tiles=(2, 1), tile_cores=1)).obstacles == (
        "3 cores needed, Loihi 1 has 2; a takes 3, limited by neurons",
    )


def test_a_file_that_is_not_quantized_is_refused(tmp_path, capsys):
    (tmp_path / "x.nir").write_text("no")
    assert main(["map", str(tmp_path / "x.nir")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(("made", "chip", "most"), [(lenet, "loihi1", 24), (vgg11, "loihi2", 116), (resnet18, "loihi2", 309)])
def test_large_networks_take_few_cores(made, chip, most):
    """Blocks of rows alone took 36, 517 and 1,089 cores: each band of rows holds the whole kernel
    again.
    """
    network = made()
    assert fewest_cores(network, CHIPS[chip]) <= map_network(network, CHIPS[chip]).cores <= most
