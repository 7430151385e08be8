"""A set of samples through real Lava: as many as time allows, in both kinds of process models, and
a difference is a difference.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.stated import INT8

from spikeport.export.common.errors import InputError, OutOfTime
from spikeport.export.model.network import Connection, Dense, Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.hw.backends import through_lava as module
from spikeport.hw.backends.through_lava import through_lava
from spikeport.hw.engine import run as engine_run
from spikeport.hw.lava import backend as stock_backend
from spikeport.hw.records.stimulus import Stimulus, encode
from spikeport.stages.config import LavaSettings

pytest.importorskip("lava.magma.core.process.process")
pytestmark = pytest.mark.lava
LANE_STREAM = pytest.importorskip("spikeport.hw.lava.batch.stream")


def network() -> QuantizedNetwork:
    weight = np.random.default_rng(0).integers(-60, 61, (6, 5)).astype(np.int8)
    neuron = IntegerNeuron(np.int32(3000), np.int32(300), np.int32(90), np.int32(2))
    return QuantizedNetwork(
        Input("in", (5,), high=3),
        (Population("a", (6,), neuron),),
        (Connection("w", "in", "a", Dense(weight)),),
        "a",
        "spike_count",
        4,
        **INT8,
    )


def stimulus(samples: int) -> Stimulus:
    return encode(network().input, np.random.default_rng(1).integers(0, 4, (samples, 4, 5)), 4)


def test_every_sample_in_both_kinds_of_process_models():
    x, done = stimulus(9), []
    proof, output = through_lava(network(), [x], 9, 60.0, done.append)
    assert proof.equal and proof.samples == proof.of == sum(done) == 9
    assert proof.batch.against == "engine" and proof.batch.spikes
    assert proof.stock is not None and proof.stock.samples == module.STOCK_SAMPLES and proof.stock.against == "reference"
    assert np.array_equal(output, engine_run(network(), x).output)
    assert "9 of 9 samples" in proof.sentences[0] and "'batch'" in proof.sentences[0] and "'stock'" in proof.sentences[1]


def test_when_the_time_is_over_the_rest_is_left(monkeypatch):
    """At least one piece runs, so that something is known."""
    monkeypatch.setattr(LANE_STREAM, "MAX_LANES", 2)
    monkeypatch.setattr(LANE_STREAM, "TAPE_BYTES", 1)
    proof, output = through_lava(network(), [stimulus(9)], 9, 1e-9, lambda count: None)
    assert proof.equal and proof.samples == len(output) == 1
    assert proof.stock is None and "take more than" in proof.stock_absent
    assert "1 of 9 samples" in proof.sentences[0] and "not run" in proof.sentences[1]


def test_a_difference_is_told(monkeypatch):
    def wrong(network, stimulus, record, **options):
        made = engine_run(network, stimulus, record, **options)
        spikes = {"a": made.spikes["a"].copy()}
        spikes["a"][1, 2, 3] ^= True
        return replace(made, spikes=spikes)

    real = module.backend
    monkeypatch.setattr(module, "backend", lambda name: wrong if name == "engine" else real(name))
    monkeypatch.setattr(module.Tally, "_first_difference", lambda *_: None)  # its one sample has no sample 1
    proof, _ = through_lava(network(), [stimulus(3)], 3, 60.0, lambda count: None)
    assert proof.differences == 1 and not proof.equal and "DIFFERENT" in proof.sentences[0]


def test_stock_models_stop_when_their_time_is_over():
    with pytest.raises(OutOfTime, match="needs more than 1e-09 s"):
        stock_backend.run(network(), stimulus(2), process_models="stock", seconds=1e-9)


@pytest.mark.parametrize(("samples", "count"), [("all", 9), ("4", 4), ("40", 9), ("0", 0)])
def test_how_many_are_asked_for(samples, count):
    assert LavaSettings(samples, 1.0).of(9) == count


@pytest.mark.parametrize(("samples", "seconds"), [("-1", 1.0), ("many", 1.0), ("all", 0.0), ("all", float("nan"))])
def test_settings_out_of_range(samples, seconds):
    with pytest.raises(InputError, match="lava_s"):
        LavaSettings(samples, seconds)
