"""Where data enters: levels, offsets, drawn spikes, the same in NumPy, in PyTorch, in every backend
and in files.
"""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from support.networks.nir_files import write_of_format_3
from support.networks.random_networks import random_network

from spikeport.analysis.results.rasters import sample_rasters
from spikeport.analysis.results.report import semantics_of
from spikeport.export.common.errors import InputError
from spikeport.export.floating.input import InputLayer
from spikeport.export.floating.simulate import physical_input
from spikeport.export.model.input import Input
from spikeport.export.nir.file import read_nir, write_nir
from spikeport.export.onnx.graph import to_onnx
from spikeport.hw import engine
from spikeport.hw.backends.simulate import backend
from spikeport.hw.mapping.check import check_network
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference

COLOUR = Input("in", (3, 2, 2), scale=1 / 255, low=0, high=255, offset=(125, 0, 255))
RATE = Input("in", (2, 3), code="rate", seed=77)


def hashed(x: int) -> int:
    """The 32-bit mixer in Python's own integers."""
    for shift, factor in ((16, 0x21F0AAAD), (15, 0x735A2D97), (15, 1)):
        x = (x ^ x >> shift) * factor % (1 << 32)
    return x


def test_levels_and_offsets_by_hand():
    pixels = np.array([0, 1, 254, 255], np.float32).reshape(2, 2) / np.float32(255)
    image = np.stack([np.stack([pixels] * 3)])
    sent = encode(COLOUR, image, 4)
    assert sent.held and sent.values.dtype == np.int32
    assert sent.values[0].reshape(3, 4).tolist() == [[-125, -124, 129, 130], [0, 1, 254, 255], [-255, -254, -1, 0]]
    assert COLOUR.sent == (-255, 255) and not COLOUR.binary
    whole = np.rint(image * 255).astype(np.uint8)
    assert np.array_equal(encode(COLOUR, whole, 4).values, sent.values), "integers are levels"
    assert np.array_equal(encode(COLOUR, image * 1.5 - 0.2, 4).values.min((0, 2, 3)), [-125, 0, -255]), (
        "saturated as pixels, not as messages"
    )
    with pytest.raises(InputError, match=r"holds integers 0..255, the network takes 0..16"):
        encode(Input("in", (3, 2, 2), low=0, high=16, offset=(5, 5, 5)), whole, 4)


def test_drawn_spikes_by_hand():
    """One Python integer at a time: seed, sample, step and pixel, row by row."""
    x = np.random.default_rng(0).random((4, 2, 3)).astype(np.float32)
    found = encode(RATE, x, 5)
    assert not found.held and found.values.shape == (4, 5, 2, 3) and RATE.sent == (0, 1)
    for (sample, step, *place), spike in np.ndenumerate(found.values):
        bits = hashed(hashed(hashed(hashed(77) ^ sample) ^ step) ^ int(np.ravel_multi_index(tuple(place), (2, 3))))
        assert spike == (bits >> 16 < round(float(x[(sample, *place)]) * 65536)), (sample, step, place)


def test_spikes_come_as_often_as_the_intensity_says():
    x = np.array([0.0, 0.1, 0.5, 0.98, 1.0, 7.0, -1.0], np.float32)
    spikes = encode(Input("in", (7,), code="rate"), np.tile(x, (200, 1)), 50).values
    mean, p = spikes.mean((0, 1)), np.clip(x, 0, 1)
    assert (np.abs(mean - p) <= 4 * np.sqrt(p * (1 - p) / 10_000)).all()
    flat = spikes[..., 2].ravel().astype(float)
    assert abs(np.corrcoef(flat[1:], flat[:-1])[0, 1]) < 0.05, "steps are independent"


def test_order_batch_and_number_of_steps_do_not_matter():
    x = np.random.default_rng(1).random((6, 2, 3)).astype(np.float32)
    whole = encode(RATE, x, 8)
    assert np.array_equal(encode(RATE, x[:2], 3).values, whole.values[:2, :3])
    later = encode(RATE, x[4:], 8, first=4)
    assert np.array_equal(later.values, whole.values[4:]) and later.samples.tolist() == [4, 5]
    assert encode(COLOUR, np.zeros((2, 3, 2, 2)), 1, first=7).samples.tolist() == [7, 8]
    over_time = np.repeat(x[:, None], 8, axis=1)
    assert np.array_equal(encode(RATE, over_time, 8).values, whole.values), "intensities may change over time"
    assert np.array_equal(encode(RATE, whole.values, 8).values, whole.values), "spikes drawn before are sent as they are"
    assert not np.array_equal(encode(replace(RATE, seed=78), x, 8).values, whole.values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pytorch_draws_the_same_spikes(dtype):
    x = np.random.default_rng(2).random((5, 2, 3)).astype(np.float32)
    layer, sent = InputLayer(RATE), encode(RATE, x, 4).values
    held = torch.from_numpy(x).to(dtype)[None]
    assert np.array_equal(layer(held, 4, 0).transpose(0, 1).numpy(), sent)
    assert np.array_equal(layer(held[:, 3:], 4, 3).transpose(0, 1).numpy(), sent[3:])
    many = np.random.default_rng(3).random((300, 2, 3)).astype(np.float32)
    late = layer(torch.from_numpy(many[250:]).to(dtype)[None], 2, 250).transpose(0, 1)
    assert np.array_equal(late.numpy(), encode(RATE, many, 2).values[250:])
    spikes = torch.from_numpy(sent).to(dtype).transpose(0, 1)
    assert torch.equal(layer(spikes, 4, 9), spikes), "drawing from spikes gives them back"
    values, _ = physical_input(RATE, x.astype(np.float64) + 3e-9, 4)
    assert np.array_equal(layer(torch.from_numpy(values)[None].to(dtype), 4, 0).transpose(0, 1).numpy(), sent)


def test_the_gradient_is_that_of_the_mean():
    x = torch.full((1, 5, 2, 3), 0.4, requires_grad=True)
    weight = torch.randn(3, 5, 2, 3)
    (InputLayer(RATE)(x, 3, 0) * weight).sum().backward()
    torch.testing.assert_close(x.grad, weight.sum(0, keepdim=True))


def test_pytorch_takes_the_offset_off():
    x = torch.rand(1, 4, 3, 2, 2, dtype=torch.float64)
    expected = x - torch.tensor([125, 0, 255], dtype=torch.float64)[:, None, None] / 255
    torch.testing.assert_close(InputLayer(COLOUR)(x, 2, 0), expected)


def centred(seed: int):
    """A random network whose graded input is centred, or None where the input is plain spikes."""
    network = random_network(seed)
    source, rng = network.input, np.random.default_rng([seed, 5])
    if source.binary:
        return None
    return replace(network, input=replace(source, offset=tuple(map(int, rng.integers(source.low, source.high + 1, source.shape[0])))))


NETWORKS = {seed: network for seed in range(24) if (network := centred(seed)) is not None}


@pytest.mark.parametrize("seed", NETWORKS)
def test_centred_inputs_run_alike_everywhere(seed, tmp_path):
    network = NETWORKS[seed]
    write_nir(network, tmp_path / "net.nir")
    network = read_nir(tmp_path / "net.nir")
    assert network.input == NETWORKS[seed].input
    rng = np.random.default_rng(seed)
    levels = rng.integers(network.input.low, network.input.high + 1, (3, network.timesteps, *network.input.shape))
    stimulus = encode(network.input, levels, network.timesteps)
    assert stimulus.values.min() >= network.input.sent[0] and stimulus.values.max() <= network.input.sent[1]
    expected = reference.run(network, stimulus, "potentials")
    for found in (engine.run(network, stimulus, "potentials"), backend("onnx")(network, stimulus, "potentials")):
        assert np.array_equal(found.output, expected.output)
        for name, potentials in expected.potentials.items():
            assert np.array_equal(found.potentials[name], potentials), name


def test_some_networks_send_negative_values():
    assert sum(n.input.sent[0] < 0 <= n.input.low for n in NETWORKS.values()) > 5


def old_format(path, change=lambda plan: None):
    """Turn a file into one of format 1, as written before inputs had an offset and a seed."""
    with h5py.File(path, "a") as file:
        plan = json.loads(file["node/metadata/spikeport"][()])
        plan["format"] = 1
        del plan["input"]["offset"], plan["input"]["seed"]
        change(plan)
        del file["node/metadata/spikeport"]
        file["node/metadata/spikeport"] = json.dumps(plan)


def test_old_files_still_load(tmp_path):
    network = random_network(3)
    write_of_format_3(network, tmp_path / "net.nir")
    old_format(tmp_path / "net.nir")
    assert read_nir(tmp_path / "net.nir").input == network.input


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plan: plan.update(format=2), "cannot be read as a quantized network"),
        (lambda plan: plan["input"].update(code="rate"), "its range is 0..1"),
    ],
)
def test_files_that_mean_something_else_are_refused(tmp_path, change, said):
    network = next(n for n in NETWORKS.values() if n.input.high > 1)
    write_of_format_3(network, tmp_path / "net.nir")
    old_format(tmp_path / "net.nir", change)
    with pytest.raises(InputError, match=said) as caught:
        read_nir(tmp_path / "net.nir")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"offset": (1, 2)}, "2 values for 3 channels"),
        ({"offset": (1, 2, 300)}, "offset of every channel"),
        ({"code": "rate"}, "sends spikes; its range is 0..1"),
        ({"high": (1 << 23) - 1, "low": -(1 << 23), "offset": (0, 0, -1)}, "must fit 24 bits"),
        ({"code": "morse"}, "choose one of direct, rate"),
    ],
)
def test_impossible_inputs_are_refused(changes, said):
    with pytest.raises(InputError, match=said):
        replace(Input("in", (3, 2, 2), low=0, high=255), **changes)


def test_the_meaning_is_told():
    network = next(n for n in NETWORKS.values() if n.input.low == 0 and n.input.sent[0] < 0)
    low, high = network.input.sent
    assert f"graded spikes {low}..{high}" in check_network(network)[0].reason
    said = semantics_of(network)["input"]
    assert f"graded spikes {low}..{high}" in said and "taken off" in said and str(network.input.offset[0]) in said
    (metadata,) = (p.value for p in to_onnx(network).metadata_props if p.key == "spikeport.input")
    assert json.loads(metadata)["offset"] == list(network.input.offset)
    spiking = random_network(0)
    rate = replace(spiking, input=Input("input", spiking.input.shape, code="rate", seed=5))
    assert "probability" in semantics_of(rate)["input"] and check_network(rate)[0].reason == "binary spikes"


def test_the_picture_in_the_report_shows_levels():
    network = next(n for n in NETWORKS.values() if n.input.low == 0 and len(n.input.shape) == 3)
    plain = replace(network, input=replace(network.input, offset=()))
    levels = np.random.default_rng(0).integers(0, network.input.high + 1, (1, *network.input.shape))
    images = []
    for each in (network, plain):
        stimulus = encode(each.input, levels, each.timesteps)
        images.append(sample_rasters(each, stimulus, reference.run(each, stimulus, "spikes"))[0].image)
    assert images[0] == images[1]
