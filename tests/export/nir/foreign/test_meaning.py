"""The physical numbers in a quantized file mean what its integers do: other readers get (nearly)
the same network.
"""

from __future__ import annotations

from dataclasses import replace

import nir
import numpy as np
import pytest
import torch
from support.networks.random_networks import random_network, random_stimulus

from spikeport.export.floating.run import FloatModule
from spikeport.export.model.network import QuantizedNetwork
from spikeport.export.model.registers import THRESHOLD_MAX
from spikeport.export.model.synapse import Conv, Dense
from spikeport.export.nir.file import write_nir
from spikeport.export.nir.foreign.importer import import_nir
from spikeport.export.quantization.dequantize import dequantize
from spikeport.hw.semantics import reference


def quiet(seed: int) -> QuantizedNetwork:
    """The first population of a random network, not firing, so that no rounding turns into a spike
    more or less.
    """
    network = random_network(seed, noise=False, loops=False)
    first = network.populations[0]
    silent = replace(first.neuron, threshold=np.int32(THRESHOLD_MAX), spiking=True, reset="zero")
    connections = tuple(replace(c, exponent=max(0, c.exponent)) for c in network.connections if c.target == first.name)
    scale = np.linspace(0.5, 2, first.shape[0]).reshape(-1, *(1,) * (len(first.shape) - 1))
    scale = (
        scale if all(isinstance(c.op, Dense) or len(c.output_shape(network.shape(c.source))) > 1 for c in connections) else np.array(0.5)
    )
    if any(isinstance(c.op, Conv) and len(first.shape) == 1 for c in connections):
        scale = np.array(0.5)
    population = replace(first, neuron=silent, scale=scale)
    return replace(network, populations=(population,), connections=connections, output=first.name, readout="spike_count", timesteps=12)


@pytest.mark.parametrize("seed", range(20))
def test_a_foreign_reader_sees_the_same_potentials(tmp_path, seed):
    network = quiet(seed)
    stimulus = random_stimulus(seed, network)
    while sum(reference.run(network, stimulus).overflows.values()):
        stimulus = replace(stimulus, values=stimulus.values // 2)
        assert stimulus.values.any(), "a network that overflows whatever it sees"
    write_nir(network, tmp_path / "net.nir")
    foreign = import_nir(tmp_path / "net.nir", dt=network.dt, integrator="euler", reset="zero")
    course = []
    x = torch.tensor(stimulus.over_time() * network.input.scale, dtype=torch.float64).transpose(0, 1)
    FloatModule(foreign, dtype=torch.float64)(x, observe=lambda name, step: course.append(step.potential))
    population = network.populations[0]
    states = reference.run(network, stimulus, "potentials").potentials[population.name]
    unit = np.broadcast_to(population.scale, population.shape) / 64
    found = course[-1].transpose(0, 1).detach().numpy() / unit
    # u and v each lose less than one state unit a step to rounding; float32 in the file another
    # 1e-5 of the value.
    bound = 1 + 12 * 13 + 1e-5 * np.abs(found).max() + 1e-5 * np.abs(states).max()
    assert np.abs(found - states).max() < bound
    assert np.abs(states).max() > 0 or not stimulus.values.any() or not network.connections[0].weight.any()


@pytest.mark.parametrize("seed", range(20))
def test_a_foreign_reader_gets_the_dequantized_network(tmp_path, seed):
    """Two ways from integers to float: through the file as any framework reads it, and directly."""
    network = random_network(seed, noise=False)
    silent = tuple(replace(p, neuron=replace(p.neuron, reset="zero", threshold=np.int32(THRESHOLD_MAX))) for p in network.populations)
    network = replace(network, populations=silent)
    if network.readout != "spike_count" and any(c.source == network.output for c in network.connections):
        pytest.skip("a readout that drives others has no meaning in NIR")
    write_nir(network, tmp_path / "net.nir")
    foreign = import_nir(tmp_path / "net.nir", dt=network.dt, integrator="euler", reset="zero")
    x = torch.tensor(random_stimulus(seed, network).over_time() * network.input.scale, dtype=torch.float64).transpose(0, 1)
    found, expected = (_potentials(n, x) for n in (foreign, dequantize(network)))
    for name, v in expected.items():
        np.testing.assert_allclose(found[name], v, rtol=1e-4, atol=1e-4 * max(1e-9, np.abs(v).max()))


def _potentials(network, x) -> dict[str, np.ndarray]:
    course = {}
    FloatModule(network, dtype=torch.float64)(x, observe=lambda name, step: course.update({name: step.potential.detach().numpy()}))
    return course


def test_the_nir_library_reads_and_checks_the_file(tmp_path):
    """nir 1.0.8 checks shapes while reading; only what it infers wrongly itself (grouped,
    non-square) or cannot say may fail.
    """
    checked = 0
    for seed in range(25):
        network = random_network(seed)
        write_nir(network, tmp_path / "net.nir")
        odd = [isinstance(c.op, Conv) and (c.op.groups > 1 or len(set(c.op.kernel)) > 1) for c in network.connections]
        unflattened = [
            len(c.output_shape(network.shape(c.source))) == 1 < len(network[c.target].shape) for c in network.connections
        ]  # NIR has no reshape but Flatten
        if any(odd) or any(unflattened):
            continue
        graph = nir.read(tmp_path / "net.nir")
        assert {p.name for p in network.populations} <= set(graph.nodes)
        checked += 1
    assert checked > 8
