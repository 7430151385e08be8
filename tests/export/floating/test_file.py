"""A float network comes back from its file as it was, and nothing else passes for it."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from support.networks.float_networks import conv_network
from support.networks.random_networks import random_network

from spikeport.export.common.errors import InputError
from spikeport.export.floating.file import is_float_file, read_float, write_float
from spikeport.export.model.digest import network_digest
from spikeport.export.quantization.dequantize import dequantize

NETWORKS = [
    conv_network(0),
    conv_network(1, firing="deferred", reset="subtract"),
    *(dequantize(random_network(seed)) for seed in range(10)),
]


@pytest.mark.parametrize("number", range(len(NETWORKS)))
def test_it_comes_back_with_the_same_digest(tmp_path, number):
    network = replace(NETWORKS[number], provenance={"is": "a name", "notes": ["array"]})
    write_float(network, tmp_path / "float.npz")
    back = read_float(tmp_path / "float.npz")
    assert network_digest(back) == network_digest(network)
    assert back.provenance["is"] == "a name"


def test_a_changed_weight_is_refused(tmp_path):
    write_float(conv_network(0), tmp_path / "float.npz")
    with np.load(tmp_path / "float.npz") as file:
        arrays = dict(file)
    name = max((key for key in arrays if key != "plan"), key=lambda key: arrays[key].size)
    arrays[name] = arrays[name] + 1
    np.savez(tmp_path / "float.npz", **arrays)
    with pytest.raises(InputError, match="not the network that was written"):
        read_float(tmp_path / "float.npz")


@pytest.mark.parametrize("plan", ['{"network": {"is": "Path", "with": {}}, "digest": ""}', '{"network": [], "digest": ""}', "[]", "{"])
def test_what_is_no_float_network_is_one_line(tmp_path, plan):
    held = io.BytesIO()
    np.savez(held, plan=np.array(plan))
    (tmp_path / "float.npz").write_bytes(held.getvalue())
    with pytest.raises(InputError, match=r"float\.npz"):
        read_float(tmp_path / "float.npz")
    assert not is_float_file(tmp_path / "float.npz")
