"""Sums on a GPU's matrix units: the same code on the processor always, on a GPU where there is one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.networks.int8_shapes import RANGES, SHAPES, check_sums
from support.networks.random_networks import random_network, random_stimulus
from support.oracles.lava_compare import differences

from spikeport.hw import engine
from spikeport.hw.engine import matrix_unit
from spikeport.hw.engine.plan import plan_for
from spikeport.hw.semantics import reference

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
SIGNED_BYTES = [(low, high) for low, high in RANGES if low >= -128 and high <= 127]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("low", "high"), RANGES)
@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_sums_are_exact_and_signed_bytes_run_in_int8(shape, low, high, device):
    one_group = getattr(SHAPES[shape][1], "groups", 1) == 1
    assert check_sums(shape, low, high, device) == ((low, high) in SIGNED_BYTES and one_group)


def test_an_operator_that_is_not_exact_is_found_out_and_named(monkeypatch):
    """In the place of PyTorch's, one that adds in 16 bits and saturates."""
    honest = torch._int_mm
    monkeypatch.setattr(torch, "_int_mm", lambda x, w: honest(x, w).clamp(-(1 << 15), (1 << 15) - 1))
    matrix_unit.trustworthy.cache_clear()
    plan_for.cache_clear()
    seed = next(s for s in range(40) if "int8" in _kinds(s, monkeypatch))
    network = random_network(seed)
    stimulus = random_stimulus(seed, network)
    record = engine.run(network, stimulus, "spikes", device="cpu")
    assert not differences(reference.run(network, stimulus, "spikes"), record)
    assert any("are not exact with this processor and PyTorch; float" in note for note in record.notes.values())
    matrix_unit.trustworthy.cache_clear()
    plan_for.cache_clear()


def _kinds(seed: int, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What a network's sums would run in, were the operator exact."""
    network = random_network(seed)
    with monkeypatch.context() as honest:
        honest.setattr(matrix_unit, "trustworthy", lambda geometry, device: True)
        return {synapse.dense.kind for synapse in engine.plan.Plan(network, 4, "cpu").synapses.values()}


@pytest.mark.gpu
def test_random_networks_are_equal_to_the_reference_on_a_gpu():
    for seed in range(20):
        network = random_network(seed)
        stimulus = random_stimulus(seed, network)
        assert not differences(reference.run(network, stimulus, "potentials"), engine.run(network, stimulus, "potentials", device="cuda"))


def test_few_rows_and_odd_sizes_are_filled_up():
    """One row, 5 inputs, 3 outputs: cuBLAS wants more of each."""
    geometry = matrix_unit.Geometry((3, 5), (1, 1, 5))
    weight = np.arange(15, dtype=np.int8).reshape(3, 5)
    made = matrix_unit.MatrixUnitProduct(geometry, weight, torch.device("cpu"))(torch.arange(5).reshape(1, 1, 5))
    assert made.tolist() == [[(weight.astype(int) @ np.arange(5)).tolist()]]
