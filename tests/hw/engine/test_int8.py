"""Sums on integer units: exact on every kind of processor that this one can play, refused where
they would saturate.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks.int8_shapes import RANGES, SHAPES, check_sums
from support.stated import INT8

from spikeport.export.model.network import Connection, Conv, Dense, Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.hw import engine
from spikeport.hw.engine import int8
from spikeport.hw.engine.geometry import Geometry, engine_weight
from spikeport.hw.engine.int8 import Int8Product, fits, trustworthy
from spikeport.hw.engine.layout import to_engine
from spikeport.hw.engine.plan import Plan
from spikeport.hw.records.record_file import load_record, save_record
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference

IN_ANOTHER_PROCESSOR = """
from support.networks.int8_shapes import RANGES, SHAPES, check_sums
from support.stated import INT8
exact = [all([check_sums(k, *messages) for k in range(len(SHAPES))]) for messages in RANGES]
print("".join("01"[e] for e in exact))
"""
TESTS = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("low", "high"), RANGES)
@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_what_runs_is_exact_at_the_ends_of_the_ranges(shape, low, high):
    check_sums(shape, low, high)


@pytest.mark.parametrize("isa", ["AVX512_CORE_VNNI", "AVX512_CORE", "AVX2_VNNI", "AVX2", "SSE41"])
def test_older_processors_are_exact_and_leave_int8_where_they_would_saturate(isa):
    """oneDNN told to be an older processor: with VNNI every range runs in int8, without it ranges
    of 7 bits do.
    """
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": isa, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(TESTS)}
    done = subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESSOR], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if not trustworthy(int8.COMMON, 0, 1):
        pytest.skip("this processor or PyTorch has no int8 products at all")
    in_int8 = done.stdout.strip()
    assert in_int8.startswith("1111")
    if "VNNI" not in isa:
        assert in_int8 == "1111000"  # an AVX2_VNNI processor is only one here if this one has the instructions


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_proof_of_a_sum_is_the_sum_of_what_is_sent(data):
    """`fits` against the largest sum that messages shifted to 0 can make, found by sending them."""
    weight = np.array(data.draw(st.lists(st.lists(st.integers(-128, 127), min_size=3, max_size=3), min_size=1, max_size=4)), np.int8)
    low, high = data.draw(st.integers(-300, 0)), data.draw(st.integers(0, 300))
    copies = data.draw(st.sampled_from([1, 40, 200, 1000]))
    op = Dense(np.tile(weight, copies))
    shifted = max(int((np.abs(row.astype(np.int64)) * (high - low)).sum()) for row in op.weight)
    assert fits(op, low, high) == (high - low <= 255 and shifted < 1 << 24)


def test_a_saturating_operator_is_found_out_and_named(monkeypatch, tmp_path):
    """oneDNN's operators replaced by what adders of 16 bits would do: the plan falls back, the sums
    stay, the record says so.
    """
    honest = Int8Product.__call__

    def saturating(self, x):
        return honest(self, x).clamp(-32768, 32767)

    monkeypatch.setattr(Int8Product, "__call__", saturating)
    int8._tried.cache_clear()
    try:
        neuron = IntegerNeuron(*(np.int32(v) for v in (4095, 1024, 9000, 0)))
        weight = np.random.default_rng(0).integers(100, 128, (4, 50)).astype(np.int8)
        connection, population = Connection("w", "input", "out", Dense(weight)), Population("out", (4,), neuron)
        network = QuantizedNetwork(Input("input", (50,), low=0, high=200), (population,), (connection,), "out", "spike_count", 3, **INT8)
        stimulus = encode(network.input, np.full((2, 50), 200, np.int64), 3)
        record = engine.run(network, stimulus, "potentials")
        assert record.notes == {"w": "int8 sums of messages 0..200 are not exact with this processor and PyTorch; float32 instead"}
        assert np.array_equal(record.potentials["out"], reference.run(network, stimulus, "potentials").potentials["out"])
        save_record(tmp_path / "record.npz", record, {})
        assert load_record(tmp_path / "record.npz").notes == record.notes
        weak = QuantizedNetwork(Input("input", (50,)), (population,), (connection,), "out", "spike_count", 3, **INT8)
        assert Plan(weak, 3, None).synapses["w"].dense.kind == "int8"  # 50 * 127 fits 16 bits
    finally:
        int8._tried.cache_clear()


def test_absent_operators_are_no_error(monkeypatch):
    """A PyTorch without oneDNN's operators."""

    def absent(*_):
        raise AttributeError("'_OpNamespace' 'onednn' object has no attribute 'qlinear_prepack'")

    monkeypatch.setattr(int8, "_matrix", absent)
    int8._tried.cache_clear()
    try:
        assert not trustworthy(Geometry((4, 30), (1, 1, 30)), 0, 1)
    finally:
        int8._tried.cache_clear()


def test_any_number_of_images_may_be_sent():
    """oneDNN arranges weights for a number of images; others give the same sums."""
    source, op = SHAPES[4]
    weight = np.random.default_rng(1).integers(-128, 128, op.weight.shape).astype(np.int8)
    conv = Conv(weight, op.stride, op.padding, op.dilation)
    product = Int8Product(Geometry.of(conv, source), engine_weight(conv, source), 0)
    x = np.random.default_rng(2).integers(0, 2, (200, 1, *source))
    whole = product(torch.from_numpy(to_engine(x, source)))
    for images in (1, 3, 63, 65):
        assert torch.equal(product(torch.from_numpy(to_engine(x[:images], source))), whole[:images])
