"""The engine against the reference: every bit of every track, over random networks and the ends of
the ranges.
"""

from __future__ import annotations

import resource
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.networks.random_networks import overdriven, random_network, random_stimulus
from support.oracles.lava_compare import differences
from support.stated import INT8

from spikeport.export.model import registers as reg
from spikeport.export.model.network import Connection, Conv, Dense, Input, IntegerNeuron, Noise, Pool, Population, QuantizedNetwork
from spikeport.hw import engine
from spikeport.hw.engine.events import EventSynapse
from spikeport.hw.engine.neurons import CompiledNeurons, TorchNeurons
from spikeport.hw.engine.plan import Plan, plan_for
from spikeport.hw.records.record import SpikeRecord
from spikeport.hw.records.stimulus import Stimulus, encode
from spikeport.hw.semantics import reference

STREAM = sys.modules["spikeport.hw.engine.stream"]


def assert_equal(expected: SpikeRecord, actual: SpikeRecord, what: str) -> None:
    assert not differences(expected, actual), what
    assert expected.overflows == actual.overflows, what
    assert actual.output.dtype == expected.output.dtype


@pytest.mark.parametrize("kind", ["usual", "edge", "overdriven"])
@pytest.mark.parametrize("tens", range(8))
def test_engine_equals_reference_on_random_networks(tens, kind, monkeypatch):
    """240 networks; each compiled, with sums by events wherever they can be, and on the path that
    other devices take.
    """
    for seed in range(10 * tens, 10 * tens + 10):
        network = random_network(seed, edge=kind != "usual")
        network = overdriven(network) if kind == "overdriven" else network
        stimulus = random_stimulus(seed, network)
        expected = reference.run(network, stimulus, "potentials")
        for way, device, sparse in (("dense", None, False), ("events", None, True), ("other device", "cpu", False)):
            monkeypatch.setattr(EventSynapse, "break_even", lambda self, dense: np.inf if sparse else -1.0)  # noqa: B023
            plan_for.cache_clear()
            assert_equal(expected, engine.run(network, stimulus, "potentials", device=device), f"seed {seed}, {kind}, {way}")


def test_random_networks_reach_every_path():
    """Compiled and general neurons, events and dense products, loops: none is left untested above."""
    plans = [Plan(random_network(s, edge=e), 4, None) for s in range(80) for e in (False, True)]
    plans += [Plan(overdriven(random_network(s, edge=True)), 4, None) for s in range(80)]
    neurons = {type(n) for p in plans for n in p.neurons.values()}
    assert neurons == {CompiledNeurons, TorchNeurons}
    switches = [n.switches for p in plans for n in p.neurons.values() if isinstance(n, CompiledNeurons)]
    for switch in ("memory", "checked", "spiking", "gaussian"):
        assert {getattr(s, switch) for s in switches} == {True, False}, switch
    synapses = [s for p in plans for s in p.synapses.values()]
    assert {s.events is None for s in synapses} == {True, False}
    assert {s.rearranged is None for s in synapses} == {True, False}
    assert {g.looped for p in plans for g in p.groups} == {True, False}


def lif(threshold: int, **changes) -> IntegerNeuron:
    values = {"du": 4095, "dv": 1024, "threshold": threshold, "bias_mantissa": 0} | changes
    return IntegerNeuron(**{k: np.int32(v) if isinstance(v, int) and not isinstance(v, bool) else v for k, v in values.items()})


def convolutional(timesteps: int = 8, noise: Noise | None = None) -> QuantizedNetwork:
    """8C3-P2-16C3-10 on 12 x 12 binary images, spiking at usual rates."""
    rng = np.random.default_rng(5)

    def weights(*size: int) -> np.ndarray:
        return np.clip(rng.normal(0, 40, size), -128, 127).astype(np.int8)

    one, none, two = (1, 1), (0, 0), (2, 2)
    connections = (
        Connection("c1", "input", "l1", Conv(weights(8, 1, 3, 3), one, one, one)),
        Connection("c2", "l1", "l2", Conv(weights(16, 8, 3, 3), one, one, one), Pool(two, two, none)),
        Connection("c3", "l2", "l3", Dense(weights(10, 576))),
    )
    populations = (
        Population("l1", (8, 12, 12), lif(90, noise=noise)),
        Population("l2", (16, 6, 6), lif(250, reset="subtract", reset_value=250, noise=noise)),
        Population("l3", (10,), lif(reg.THRESHOLD_MAX, dv=0, spiking=False)),
    )
    return QuantizedNetwork(Input("input", (1, 12, 12)), populations, connections, "l3", "accumulated_current", timesteps, **INT8)


def binary(network: QuantizedNetwork, samples: int, seed: int = 0) -> Stimulus:
    shape = (samples, network.timesteps, *network.input.shape)
    return encode(network.input, (np.random.default_rng(seed).random(shape) < 0.3).astype(np.uint8), network.timesteps)


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of a few samples on two threads."""
    monkeypatch.setattr(STREAM, "CHUNK_BYTES", 200_000)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def test_chunks_and_threads_change_nothing(small_chunks):
    network = convolutional(noise=Noise("gaussian", 3000, seed=7))
    stimulus = replace(binary(network, 41), first=1000)
    finished: list[int] = []
    record = engine.run(network, stimulus, "potentials", progress=finished.append)
    assert_equal(reference.run(network, stimulus, "potentials"), record, "41 samples")
    assert sum(finished) == 41 and len(finished) > 4
    assert torch.get_num_threads() == 2
    part = engine.run(network, stimulus[17:30], "potentials")
    assert np.array_equal(part.output, record.output[17:30])
    assert np.array_equal(part.spikes["l2"], record.spikes["l2"][17:30])


def test_a_shorter_run_is_a_prefix(small_chunks):
    network = convolutional()
    stimulus = binary(network, 9)
    full = engine.run(network, stimulus, "potentials")
    short = engine.run(network, replace(stimulus, values=stimulus.values[:, :3], timesteps=3), "potentials")
    assert np.array_equal(short.output, full.output[:, :3])
    for name in short.potentials:
        assert np.array_equal(short.potentials[name], full.potentials[name][:, :3])
    for name in short.synaptic_events:
        assert np.array_equal(short.synaptic_events[name], full.synaptic_events[name][:, :3])


def test_rasters_only_on_request():
    network = convolutional()
    counts, spikes = (engine.run(network, binary(network, 2), level) for level in ("counts", "spikes"))
    assert not counts.spikes and not counts.potentials and not spikes.potentials
    assert set(spikes.spikes) == {"l1", "l2"}
    assert np.array_equal(spikes.spikes["l1"].sum((2, 3, 4)), counts.spike_counts["l1"])


def test_synaptic_events_equal_counting_by_hand():
    """Each source neuron's fan-out by sending one spike through the unrolled nonzero pattern of the
    weights.
    """
    for seed in range(20):
        network = random_network(seed)
        stimulus = random_stimulus(seed, network)
        record = engine.run(network, stimulus, "spikes")
        for c in network.connections:
            size = int(np.prod(network.shape(c.source)))
            impulses = np.eye(size, dtype=np.int64).reshape(size, *network.shape(c.source))
            ones = replace(c, op=replace(c.op, weight=np.asarray(c.weight != 0, np.int8)))
            reached = reference.synaptic_current(ones, impulses).reshape(size, -1).sum(1)
            sent = stimulus.over_time() != 0 if c.source == "input" else record.spikes.get(c.source)
            if sent is not None:
                by_hand = sent.reshape(*sent.shape[:2], -1).astype(np.int64) @ reached
                assert np.array_equal(by_hand, record.synaptic_events[c.name]), (seed, c.name)


def test_an_error_in_a_chunk_reaches_the_caller_and_threads_are_restored(small_chunks, monkeypatch):
    def broken(*_):
        raise MemoryError("no more")

    monkeypatch.setattr(CompiledNeurons, "advance", broken)
    network = convolutional()
    with pytest.raises(MemoryError, match="no more"):
        engine.run(network, binary(network, 20))
    assert torch.get_num_threads() == 2


def test_memory_does_not_grow_with_the_number_of_samples():
    """What 600 samples add beyond 60, peak of the process: their counts and outputs, not their
    currents (96 MB).
    """
    network = convolutional(timesteps=32)
    few, many = binary(network, 60), binary(network, 600)
    engine.run(network, few)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    engine.run(network, many)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 3 * STREAM.CHUNK_BYTES


@pytest.mark.slow
def test_ten_thousand_samples_of_32_steps_stay_within_2_gb():
    """15C5-P2-40C5-P2-300-10 on MNIST-sized images."""
    rng = np.random.default_rng(0)
    shapes = [(15, 1, 5, 5), (40, 15, 5, 5)]
    convs = [Conv(rng.integers(-40, 41, s).astype(np.int8), (1, 1), (0, 0), (1, 1)) for s in shapes]
    denses = [Dense(rng.integers(-40, 41, s).astype(np.int8)) for s in ((300, 640), (10, 300))]
    pool = Pool((2, 2), (2, 2), (0, 0))
    names, pools = ["input", "a", "b", "c", "d"], [None, pool, pool, None]
    connections = tuple(Connection(f"to_{n}", s, n, op, p) for s, n, op, p in zip(names, names[1:], [*convs, *denses], pools))
    sizes = [(15, 24, 24), (40, 8, 8), (300,)]
    populations = tuple(Population(n, s, lif(t)) for n, s, t in zip(names[1:], sizes, (60, 400, 400)))
    readout = Population("d", (10,), lif(reg.THRESHOLD_MAX, dv=0, spiking=False))
    network = QuantizedNetwork(Input("input", (1, 28, 28)), (*populations, readout), connections, "d", "accumulated_current", 32, **INT8)
    stimulus = encode(network.input, (rng.random((10_000, 1, 28, 28)) < 0.2).astype(np.uint8), 32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    record = engine.run(network, stimulus)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 2 << 30
    assert 0.01 < record.spike_counts["a"].mean() / network["a"].size < 0.5
