"""Our files in the frameworks that read NIR: the same spikes in every bin, or the case named as the
framework's own.

Weights are even and thresholds odd, so that no potential equals its threshold, where float32
decides by its last bit.
"""

from __future__ import annotations

import importlib.metadata

import nir
import numpy as np
import pytest
import torch
from support.oracles import nir_clients
from support.stated import INT8

from spikeport.export.floating.simulate import simulate_float
from spikeport.export.model.network import Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Conv, Dense, Pool
from spikeport.export.nir.file import write_nir
from spikeport.export.quantization.dequantize import dequantize

T = 30


def weights(*shape: int) -> np.ndarray:
    """The same whatever was drawn before."""
    return 2 * np.random.default_rng(shape).integers(-50, 64, shape).astype(np.int8)


def population(name: str, shape: tuple[int, ...], dv: int, threshold: int, du: int = 4095, bias: int = 0) -> Population[IntegerNeuron]:
    neuron = IntegerNeuron(np.int32(du), np.int32(dv), np.int32(threshold), np.int32(bias))
    return Population(name, shape, neuron, scale=np.array(0.0137))


def chain(shape, populations, connections, dt) -> QuantizedNetwork:
    return QuantizedNetwork(
        input=Input("input", shape),
        populations=populations,
        connections=connections,
        output="b",
        readout="spike_count",
        timesteps=T,
        **{**INT8, "dt": dt},
    )


def dense(name, source, target, outputs, inputs, **options) -> Connection:
    return Connection(name, source, target, Dense(weights(outputs, inputs)), **options)


def mlp(dt, dv=(400, 700), du=4095, threshold=301, bias=40) -> QuantizedNetwork:
    pair = population("a", (30,), dv[0], threshold, du, bias), population("b", (6,), dv[1], threshold - 100, du)
    return chain((20,), pair, (dense("w1", "input", "a", 30, 20), dense("w2", "a", "b", 6, 30)), dt)


def conv(dt, dv=(500, 700)) -> QuantizedNetwork:
    pair = population("a", (4, 8, 8), dv[0], 201, bias=8), population("b", (6,), dv[1], 601)
    kernel = Connection("w1", "input", "a", Conv(weights(4, 2, 3, 3), (1, 1), (1, 1), (1, 1)))
    return chain((2, 8, 8), pair, (kernel, dense("w2", "a", "b", 6, 64, pool=Pool((2, 2), (2, 2), (0, 0)))), dt)


def recurrent(dt, du=4095, threshold=601) -> QuantizedNetwork:
    pair = population("a", (30,), 400, threshold, du), population("b", (6,), 700, 201)
    loop = dense("rec", "a", "a", 30, 30, delay=1)
    return chain((20,), pair, (dense("w1", "input", "a", 30, 20), loop, dense("w2", "a", "b", 6, 30)), dt)


def recurrent_twice(dt) -> QuantizedNetwork:
    pair = population("a", (30,), 400, 601), population("b", (6,), 700, 401)
    loops = dense("rec a", "a", "a", 30, 30, delay=1), dense("rec b", "b", "b", 6, 6, delay=1)
    return chain((20,), pair, (dense("w1", "input", "a", 30, 20), dense("w2", "a", "b", 6, 30), *loops), dt)


CASES = {
    "mlp": mlp,
    "mlp of CubaLIF": lambda dt: mlp(dt, du=1200, threshold=901, bias=0),
    "mlp of IF": lambda dt: mlp(dt, dv=(0, 0), threshold=501, bias=0),
    "convolution": conv,
    "convolution of IF": lambda dt: conv(dt, dv=(0, 0)),
    "recurrent": recurrent,
    "recurrent of CubaLIF": lambda dt: recurrent(dt, du=1500, threshold=1601),
}


def differing(tmp_path, network, client) -> tuple[int, int]:
    """Output bins in which a framework differs from the float meaning of the file, and spikes."""
    x = (np.random.default_rng(1).random((8, T, *network.input.shape)) < 0.3).astype(np.int32)
    write_nir(network, tmp_path / "net.nir")
    expected = simulate_float(dequantize(network), x, T, dtype=torch.float64)["output"] > 0
    return int((client(tmp_path / "net.nir", x) != expected).sum()), int(expected.sum())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_norse_gives_the_same_spikes(tmp_path, case):
    pytest.importorskip("norse", reason="Norse 1.1.0 is not installed")
    different, spikes = differing(tmp_path, CASES[case](1e-3), lambda path, x: nir_clients.norse(path, x, 1e-3))
    assert different == 0 and spikes > 40


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", [c for c in CASES if not c.endswith(" of IF")])
def test_snntorch_gives_the_same_spikes(tmp_path, case):
    pytest.importorskip("snntorch", reason="snnTorch 1.0.0 is not installed")
    pytest.importorskip("nirtorch", reason="nirtorch is not installed")
    different, spikes = differing(tmp_path, CASES[case](nir_clients.SNNTORCH_DT), nir_clients.snntorch)
    assert different == 0 and spikes > 40


@pytest.mark.filterwarnings("ignore")
def test_snntorch_reads_two_recurrent_layers(tmp_path):
    pytest.importorskip("snntorch", reason="snnTorch 1.0.0 is not installed")
    pytest.importorskip("nirtorch", reason="nirtorch is not installed")
    different, spikes = differing(tmp_path, recurrent_twice(nir_clients.SNNTORCH_DT), nir_clients.snntorch)
    assert different == 0 and spikes > 40


def leaking(dt) -> QuantizedNetwork:
    """CubaLIF with a bias of the potential, for which NIR has v_leak only."""
    return mlp(dt, du=1200, threshold=901, bias=40)


@pytest.mark.filterwarnings("ignore")
def test_norse_reads_v_leak_in_two_ways_of_its_own(tmp_path, monkeypatch):
    """Its faults: 1.1.0 gives a CubaLIF's v_leak to its synapse too, and every potential begins at
    v_leak. Without the two no bin differs.
    """
    pytest.importorskip("norse", reason="Norse 1.1.0 is not installed")
    if importlib.metadata.version("norse") != "1.1.0":
        pytest.skip("the faults were seen in Norse 1.1.0")
    import norse.torch.module.leaky_integrator_box as synapse  # noqa: PLC0415
    import norse.torch.module.lif_box as membrane  # noqa: PLC0415

    def client(path, x):
        return nir_clients.norse(path, x, 1e-3)

    assert differing(tmp_path, leaking(1e-3), client)[0] > 0
    made = synapse.LIBoxParameters
    monkeypatch.setattr(synapse, "LIBoxParameters", lambda tau_mem_inv, v_leak: made(tau_mem_inv, torch.zeros_like(v_leak)))
    from_rest = membrane.LIFBoxCell.initial_state
    monkeypatch.setattr(membrane.LIFBoxCell, "initial_state", lambda cell, x: from_rest(cell, x)._replace(v=torch.zeros(())))
    different, spikes = differing(tmp_path, leaking(1e-3), client)
    assert different == 0 and spikes > 40


@pytest.mark.filterwarnings("ignore")
def test_snntorch_refuses_every_v_leak(tmp_path):
    """Its limit, in 1.0.0."""
    pytest.importorskip("snntorch", reason="snnTorch 1.0.0 is not installed")
    pytest.importorskip("nirtorch", reason="nirtorch is not installed")
    if importlib.metadata.version("snntorch") != "1.0.0":
        pytest.skip("the limit was seen in snnTorch 1.0.0")
    with pytest.raises(AssertionError, match="v_leak not supported"):
        differing(tmp_path, leaking(nir_clients.SNNTORCH_DT), nir_clients.snntorch)


@pytest.mark.filterwarnings("ignore")
def test_snntorch_reads_no_if_of_anyone(tmp_path):
    """Its fault: 1.0.0 reads an IF as a Leaky with beta 0.9, whatever the file; ours it refuses for
    r.
    """
    pytest.importorskip("snntorch", reason="snnTorch 1.0.0 is not installed")
    from snntorch.import_nir import _nir_to_snntorch_module  # noqa: PLC0415

    if importlib.metadata.version("snntorch") != "1.0.0":
        pytest.skip("the fault was seen in snnTorch 1.0.0")
    made = _nir_to_snntorch_module(nir.IF(r=np.ones(3), v_threshold=np.ones(3)))
    assert made.beta.item() == pytest.approx(0.9)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", ["mlp of IF", "convolution of IF"])
def test_sinabs_gives_the_same_spikes(tmp_path, case):
    """IF only: its LIF decays by exp(-1/tau) and takes inputs undivided by tau, and it has no
    CubaLIF (Sinabs 3.1.3).
    """
    pytest.importorskip("sinabs", reason="Sinabs 3.1.3 is not installed")
    different, spikes = differing(tmp_path, CASES[case](1.0), nir_clients.sinabs)
    assert different == 0 and spikes > 40
