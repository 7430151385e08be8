"""`check`, `map` and `cost` say the same of what fits, whatever the network; and `cost` goes on
where it does not.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.networks.published import Builder, lenet, vgg11
from support.networks.random_networks import random_network

from spikeport.cli import main
from spikeport.export.nir.file import write_nir


def wide_axons():
    """More inputs than a core of Loihi 1 has axons."""
    made = Builder((5000,))
    made.dense("output", "input", 3)
    return made.network()


def long_row():
    """A row that no core holds, 5000 neurons wide; Loihi 2 takes columns."""
    made = Builder((1, 2, 5000))
    made.skip("output", "input")
    return made.network()


NETWORKS = {"random": lambda: random_network(3), "lenet": lenet, "vgg11": vgg11, "axons": wide_axons, "row": long_row}
FITS = {
    ("random", "loihi1"), ("random", "loihi2"), ("lenet", "loihi1"), ("lenet", "loihi2"), ("axons", "loihi2"),
    ("vgg11", "loihi2"), ("row", "loihi2"),
}  # fmt: skip


@pytest.mark.parametrize("device", ["loihi1", "loihi2"])
@pytest.mark.parametrize("name", NETWORKS)
def test_commands_agree_on_what_fits(name, device, tmp_path, capsys):
    network = NETWORKS[name]()
    file, sent = tmp_path / "net.nir", tmp_path / "x.npy"
    write_nir(network.with_timesteps(1), file)
    np.save(sent, np.zeros((1, *network.input.shape), np.int32))
    status, said = {}, {}
    for command, options in (("map", []), ("check", []), ("cost", ["--input", str(sent)])):
        status[command] = main([command, str(file), *options, "--device", device, "--json"])
        captured = capsys.readouterr()
        said[command] = json.loads(captured.out)
    obstacles = said["map"]["obstacles"]
    refused = [row for row in said["check"] if row["status"] == "refused" and "core" in row["reason"]]  # not for its neurons' programs
    assert (status["map"], bool(obstacles), bool(refused)) == ((0, False, False) if (name, device) in FITS else (1, True, True))
    assert status["cost"] == 0 and [w for w in said["cost"]["warnings"] if w in obstacles] == obstacles
    for line in obstacles:
        assert any(line.removeprefix(f"{row['node']}: ") in row["reason"] for row in refused)
    assert said["cost"]["cores"] == said["map"]["cores"]
