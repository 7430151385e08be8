"""lava-dl's own trained files against the spikes recorded beside them, in every bin.

Their files are not ours to copy: `LAVA_DL` names a checkout of github.com/lava-nc/lava-dl (commit
d825ac5 was used).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from spikeport.export.netx.file import read_netx
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference

LAVA_DL = Path(os.environ.get("LAVA_DL", "/nowhere"))
TESTS, OXFORD = LAVA_DL / "tests/lava/lib/dl/netx", LAVA_DL / "tutorials/lava/lib/dl/netx/oxford"
pytestmark = pytest.mark.skipif(not TESTS.is_dir(), reason="LAVA_DL names no checkout of lava-dl")
PILOTNET = ["input", *(f"conv-{i}" for i in range(5)), *(f"fc-{i}" for i in range(3))]
SPIKED = 128
"""What a chip's potential holds in the step of a spike: two steps of refractory delay."""


def spikes(net, x: np.ndarray) -> list[np.ndarray]:
    """Spikes of each layer of one sample, `(T, *shape)`."""
    record = reference.run(net, encode(net.input, x[None], net.timesteps), "spikes")
    return [record.spikes[p.name][0] for p in net.populations if p.neuron.spiking]


def test_pilotnet_in_every_bin():
    """Recorded are 24 timesteps, reset after 17, each layer a step after the one before it."""
    net = read_netx(TESTS / "gts/pilotnet_lif/network.net", timesteps=17)
    image = np.load(TESTS / "gts/pilotnet_lif/image.npy")
    record = reference.run(net, encode(net.input, image.transpose(2, 1, 0)[None], 17), "potentials")
    compared = 0
    for depth, (p, name) in enumerate(zip(net.populations, PILOTNET)):
        made = np.moveaxis(record.spikes[p.name][0], 0, -1)
        for start in (depth, depth + 17):
            theirs = _laid_out(np.load(TESTS / f"gts/pilotnet_lif/{name}.npy"))[..., start:][..., :17]
            assert np.array_equal(made[..., : theirs.shape[-1]], theirs), name
            compared += theirs.size
        if depth >= 2:
            potential = np.moveaxis(record.potentials[p.name][0], 0, -1)
            theirs = _laid_out(np.load(TESTS / f"gts/pilotnet_lif/{name}-v.npy"))[..., depth:][..., :17]
            mine = np.where(made, SPIKED, potential)[..., : theirs.shape[-1]]
            assert np.array_equal(mine, theirs), name
    assert compared > 3_000_000


def test_tiny_net_in_every_bin():
    """Every block of lava-dl's training shifts by a step, so the first recorded one is empty."""
    net = read_netx(TESTS / "tiny.net", timesteps=15)
    bias = np.load(TESTS / "gts/tinynet/input_bias.npy").astype(int)
    for made, name in zip(spikes(net, bias.transpose(2, 1, 0)), ("input", "layer1", "output")):
        assert np.array_equal(np.moveaxis(made, 0, -1), np.load(TESTS / f"gts/tinynet/{name}.npy")[0, ..., 1:]), name


def test_oxfords_first_layer_in_every_bin():
    """Against the layer that lava-dl's test of dense blocks holds; the tutorial's ground truth is
    of training, which fires on v >= threshold where netx fires on v > threshold.
    """
    net = read_netx(OXFORD / "Trained/network.net", timesteps=1999)
    x = np.load(TESTS / "gts/dense/in.npy").T.astype(int)
    assert np.array_equal(spikes(net, x)[0], np.load(TESTS / "gts/dense/out.npy").T[1:])


def _laid_out(theirs: np.ndarray) -> np.ndarray:
    """`(width, height, channels, T)` as `(channels, height, width, T)`."""
    return theirs.transpose(2, 1, 0, 3) if theirs.ndim == 4 else theirs
