"""Float against integers: against counts made by hand from both simulators, and zero where nothing
is rounded.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.networks.float_networks import conv_network, digits, heavy_tailed, neuron
from support.stated import PER_STEP

from spikeport.analysis.results import paired_runs
from spikeport.analysis.results.layer_agreement import layer_agreement
from spikeport.analysis.results.loss_split import loss_split
from spikeport.analysis.results.paired_runs import SpikeOverlap
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.model.network import FloatNetwork, Input, Population
from spikeport.export.model.synapse import Connection, Dense
from spikeport.export.quantization.quantize import quantize
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference


def whole_network(weight: np.ndarray, **changes) -> FloatNetwork:
    """Weights and threshold that integers hold exactly, no leak that rounds."""
    population = Population("out", (len(weight),), neuron(threshold=64.0, **{"beta": 1.0} | changes))
    connections = (Connection("w", "in", "out", Dense(weight)),)
    return FloatNetwork(Input("in", (weight.shape[1],)), (population,), connections, "out", "spike_count", 12, **PER_STEP)


def spikes_in(inputs: int) -> np.ndarray:
    return (np.random.default_rng(3).random((10, 12, inputs)) < 0.4).astype(float)


@pytest.mark.parametrize("chunk", [1, 1 << 23])
def test_counts_are_those_of_both_simulators(monkeypatch, chunk):
    monkeypatch.setattr(paired_runs, "CHUNK_STATES", chunk)
    network, x = conv_network(1), digits()[0][:7]
    quantized = quantize(network, x, weight_bits=3)
    real = simulate_float(network, x, 8, record=True)
    record = reference.run(quantized, encode(quantized.input, x, 8), "spikes")
    found = layer_agreement(network, quantized, x)
    for layer in found.layers[:2]:
        a, b = real[f"spikes/{layer.name}"], record.spikes[layer.name]
        assert layer.spikes is not None and layer.neuron_steps == a.size
        assert layer.spikes.second == b.sum()
        assert layer.spikes.first == pytest.approx(a.sum(), abs=3)  # that simulator counts in float32
        assert layer.spikes.shared == pytest.approx((a & b).sum(), abs=3)
        assert layer.agreement == pytest.approx((a & b).sum() / (a | b).sum(), abs=0.01)
    answers = real["output"].sum(1).argmax(1), record.output.sum(1).argmax(1)
    assert found.answers_changed == (answers[0] != answers[1]).mean()
    assert found.layers[2].spikes is None and 0 < found.layers[2].potential_error < 1


def test_nothing_is_lost_where_nothing_is_rounded():
    weight = np.random.default_rng(0).integers(-63, 64, (6, 9)).astype(float)
    weight[0, 0] = 127
    network, x = whole_network(weight), spikes_in(9)
    quantized = quantize(network, x)
    assert (quantized.connections[0].weight * 2.0 ** quantized.connections[0].exponent * quantized.populations[0].scale == weight).all()
    layer = layer_agreement(network, quantized, x).layers[0]
    assert layer.agreement == 1 and layer.potential_error == 0 and layer.spikes and layer.spikes.first > 50
    assert all(row.spikes.agreement == 1 and row.answers_changed == 0 for row in loss_split(network, quantized, x).rows)


def test_each_kind_of_rounding_shows_in_its_own_row():
    """One kind after another is put wrong in otherwise exact integers; only the rows with that kind
    in them notice.
    """
    weight = np.random.default_rng(0).integers(-63, 64, (6, 9)).astype(float)
    weight[0, 0] = 127
    network, x = whole_network(weight, beta=0.5, bias=1.0), spikes_in(9)
    quantized = quantize(network, x)
    population, connection = quantized.populations[0], quantized.connections[0]
    n = population.neuron
    wrong = {
        "weights": replace(quantized, connections=(replace(connection, op=replace(connection.op, weight=connection.weight // 2)),)),
        "thresholds and reset values": _with(quantized, replace(n, threshold=n.threshold // 2)),
        "decays": _with(quantized, replace(n, dv=n.dv + 1500)),
    }
    singles = {"input", "biases", *wrong}
    for kind, broken in wrong.items():
        rows = {row.rounded: row.spikes.agreement for row in loss_split(network, broken, x).rows}
        assert rows[kind] < 0.9, kind
        assert all(rows[other] == 1 for other in singles - {kind}), (kind, rows)
        assert rows["everything: the integers"] < 0.95


def _with(quantized, neuron):
    return replace(quantized, populations=(replace(quantized.populations[0], neuron=neuron),))


def test_accuracy_of_the_split_is_that_of_both_simulators():
    x, y = digits()
    network, x, y = conv_network(0), x[:30], y[:30]
    quantized = quantize(network, x, weight_bits=2)
    split = loss_split(network, quantized, x, y)
    record = reference.run(quantized, encode(quantized.input, x, 8))
    assert split.rows[-1].accuracy == (record.output.sum(1).argmax(1) == y).mean()
    assert split.accuracy == pytest.approx((simulate_float(network, x, 8)["output"].sum(1).argmax(1) == y).mean(), abs=1 / 30)
    assert loss_split(network, quantized, x).accuracy is None


def test_a_neuron_that_stands_for_a_bias_of_the_current_counts_as_weights_and_not_as_spikes():
    weight = np.random.default_rng(0).integers(-63, 64, (6, 9)).astype(float)
    network, x = whole_network(weight, alpha=0.5, beta=0.5, current_bias=9.0), spikes_in(9)
    quantized = quantize(network, x)
    assert [p.name for p in quantized.populations] == ["out.bias", "out"]
    split, layers = loss_split(network, quantized, x), layer_agreement(network, quantized, x).layers
    real = simulate_float(network, x, 12, dtype=torch.float64)["output"].sum()
    assert [layer.name for layer in layers] == ["out"]
    assert real > 100 and all(row.spikes.first == real for row in split.rows)
    silent = replace(quantized, connections=tuple(_silenced(c) if c.source == "out.bias" else c for c in quantized.connections))
    rows = {row.rounded: row.spikes.agreement for row in loss_split(network, silent, x).rows}
    assert rows["weights"] < 0.95 and rows["decays"] > 0.95


def _silenced(connection: Connection) -> Connection:
    return replace(connection, op=replace(connection.op, weight=connection.weight * 0))


def test_silence_agrees_and_counts_add():
    assert SpikeOverlap(0, 0, 0).agreement == 1
    assert SpikeOverlap(4, 2, 1) + SpikeOverlap(1, 1, 1) == SpikeOverlap(5, 3, 2)
    assert SpikeOverlap(5, 3, 2).agreement == 2 / 6


def test_a_heavier_quantization_agrees_less():
    network, x = whole_network(heavy_tailed(np.random.default_rng(1), 12, 20) * 64, beta=0.9), spikes_in(20)
    found = [layer_agreement(network, quantize(network, x, weight_bits=b), x).layers[0] for b in (2, 4, 8)]
    assert found[0].agreement < found[1].agreement < found[2].agreement
    assert found[0].potential_error > found[1].potential_error > found[2].potential_error
