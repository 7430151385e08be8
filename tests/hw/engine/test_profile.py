"""Where the time went: every layer and kind of work once, and no time that did not pass."""

from __future__ import annotations

import json
from time import process_time

import numpy as np
from support.networks.random_networks import random_network, random_stimulus

from spikeport.cli import main
from spikeport.export.nir.file import write_nir
from spikeport.hw import engine


def test_a_profile_names_every_layer_and_adds_up():
    network = random_network(3)
    stimulus = random_stimulus(3, network)
    engine.run(network, stimulus)
    profile, start = engine.Profile(), process_time()
    record = engine.run(network, stimulus, profile=profile)
    assert np.array_equal(record.output, engine.run(network, stimulus).output)
    assert 0 < profile.seconds <= process_time() - start
    work = {(share.name, share.work) for share in profile.shares}
    assert {(p.name, "neurons") for p in network.populations} <= work
    assert {(c.name, "sums") for c in network.connections if c.delay < network.timesteps} <= work
    assert {(c.name, "pooling") for c in network.connections if c.pool} <= work
    assert all(share.how for share in profile.shares if share.work in ("sums", "neurons"))


def test_the_command_shows_it_and_only_the_engine_has_it(tmp_path, capsys):
    network = random_network(3)
    write_nir(network, tmp_path / "net.nir")
    values = random_stimulus(3, network).over_time()
    np.save(tmp_path / "x.npy", values)
    options = [str(tmp_path / "net.nir"), "--input", str(tmp_path / "x.npy"), "--out", str(tmp_path / "o.npz"), "--profile"]
    assert main(["simulate", *options]) == 0
    shown = capsys.readouterr().out
    assert all(p.name in shown for p in network.populations) and "us a sample and step" in shown
    assert main(["simulate", *options, "--json", "--force"]) == 0
    assert {"name", "work", "how", "seconds"} == set(json.loads(capsys.readouterr().out)["profile"][0])
    assert main(["simulate", *options, "--force", "--backend", "reference"]) == 2
    assert "--profile is of the engine" in capsys.readouterr().err
