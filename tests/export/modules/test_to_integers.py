"""A live module goes the whole way: float network, 8-bit integers, `.nir` file, engine, and Intel's
own process models.
"""

import numpy as np
import pytest
import torch
from support.networks.snntorch_modules import IN, OUT, T, louder, snn, spikes_in
from support.oracles import lava_oracle
from torch import nn

import spikeport as sp
from spikeport.hw.semantics import reference


def convolutional() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), snn.Leaky(beta=0.7, init_hidden=True), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, bias=False),
        nn.BatchNorm2d(6), snn.Leaky(beta=0.8, init_hidden=True), nn.Flatten(), nn.Linear(24, OUT), snn.Leaky(beta=0.8, init_hidden=True),
    )  # fmt: skip


def recurrent() -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Linear(IN, 16),
        snn.RSynaptic(0.5, 0.7, linear_features=16, init_hidden=True),
        nn.Linear(16, OUT),
        snn.Leaky(0.8, init_hidden=True),
    )


@pytest.mark.lava
@pytest.mark.parametrize(("make", "shape"), [(convolutional, (1, 8, 8)), (recurrent, (IN,))])
def test_engine_reference_and_lava_agree_on_an_imported_network(make, shape, tmp_path):
    module, x = louder(make()), spikes_in(1, *shape)
    network = sp.from_snntorch(module, x, time_axis=0)
    data = x.transpose(0, 1).numpy().astype(np.int32)
    sp.write_nir(sp.quantize(network, data.astype(np.float32)), tmp_path / "network.nir")
    integers = sp.read_nir(tmp_path / "network.nir")
    stimulus = sp.encode(integers.input, data, T)
    assert reference.run(integers, stimulus, "counts").output.sum() > 0
    proof = sp.verify(integers, stimulus, {"engine": sp.backend("engine"), "lava": lava_oracle.run})
    assert proof.equal, str(proof.first)
    assert proof.spikes > 0
    ours, theirs = reference.run(integers, stimulus, "counts").output, sp.simulate_float(network, data, T)["output"]
    assert (ours != theirs).mean() < 0.2  # random weights, half of all bins a spike: most stay in 8 bits


def test_what_no_register_can_do_is_refused_by_the_quantizer_with_the_reason():
    module = louder(nn.Sequential(nn.Linear(IN, OUT), snn.Synaptic(0.5, 0.7, reset_mechanism="zero", init_hidden=True)))
    x = spikes_in(1, IN)
    with pytest.raises(sp.InputError, match="held at 0 in the step after a spike"):
        sp.quantize(sp.from_snntorch(module, x, time_axis=0), x.transpose(0, 1).numpy())
