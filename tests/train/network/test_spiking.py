"""The trained network: layer by layer equals step by step, held input equals repeated, lowered
equals module.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.networks.unrolled import lif

from spikeport.export.common.errors import InputError
from spikeport.export.floating.run import FloatModule
from spikeport.train.data.registry import Task
from spikeport.train.loop import evaluation
from spikeport.train.network.build import build
from spikeport.train.network.lowering import lower
from spikeport.train.neurons.dsr import DSRConfig
from spikeport.train.neurons.stbp import LIFConfig, parametric_lif, tic_lif, wu_lif
from spikeport.train.neurons.tsslbp import TSSLConfig
from spikeport.train.settings.config import TrainConfig
from spikeport.train.settings.methods import METHODS

TASK = Task("toy", (2, 12, 12), 5, 15)
T = 5


def network(arch="6C3-P2-8C5p2-MP2-P2-12", neuron=None, seed=0, **changes):
    """A small, lively float64 network whose BatchNorms have seen other data."""
    neuron = neuron or LIFConfig(threshold=0.5)
    (method,) = (name for name, m in METHODS.items() if type(m.neuron) is type(neuron))
    config = TrainConfig(arch=arch, timesteps=T, seed=seed, method=method, neuron=neuron, **changes)
    module = build(config, TASK).double()
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
            for tensor, low, high in (
                (layer.running_mean, -0.3, 0.3),
                (layer.running_var, 0.2, 2),
                (layer.weight, 1, 3),
                (layer.bias, -0.2, 0.9),
            ):
                tensor.data.uniform_(low, high, generator=generator)
        elif isinstance(layer, torch.nn.Conv2d | torch.nn.Linear) and not config.batch_norm:
            layer.weight.data.mul_(6)
    return module.eval()


def images(samples=6, seed=1):
    levels = torch.randint(0, TASK.levels + 1, (samples, *TASK.shape), generator=torch.Generator().manual_seed(seed))
    return levels.double() / TASK.levels


def observed(module, x):
    """Output, and the output of every stage with neurons."""
    seen = {}
    hooks = [n.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out})) for name, n in module.neurons.items()]
    with torch.no_grad():
        out = module(x, T)
    for hook in hooks:
        hook.remove()
    return out, seen


NEURONS = {
    "default": LIFConfig(),
    "wu": wu_lif(),
    "tic": tic_lif(2.0),
    "subtract": LIFConfig(decay=0.9, threshold=0.7, reset="subtract"),
    "if": LIFConfig(decay=1.0, threshold=0.8),
    "learned": LIFConfig(decay=0.9, threshold=0.8, learned="decay"),
    "parametric": parametric_lif(3.0),
    "dsr-if": DSRConfig(kind="if", threshold=1.5),
    "dsr-lif": DSRConfig(kind="lif", threshold=0.1, alpha=0.3, tau=0.7, dt=0.1),
}


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("norm", [True, False])
def test_lowered_network_gives_the_same_spikes(neuron, norm):
    module = network(neuron=NEURONS[neuron], batch_norm=norm, seed=4)
    float_module = FloatModule(lower(module), dtype=torch.float64)
    x, lowered = images(), {}
    with torch.no_grad():
        lowered_out = float_module(x, T, observe=lambda name, step: lowered.update({name: step.spikes}))
    out, spikes = observed(module, x)
    assert spikes.keys() == {"conv1", "conv2", "dense1"}
    for name in spikes:
        assert torch.equal(lowered[name], (spikes[name] > 0).double()), name
    assert 0.01 < spikes["conv2"].mean() < 0.99
    torch.testing.assert_close(lowered_out, out, rtol=1e-9, atol=1e-9)


def test_post_synaptic_currents_become_synaptic_current_decay():
    """TSSL-BP: input filter, gained pooling, filter behind every spike, spiking readout."""
    neuron = TSSLConfig(threshold=0.6)
    module = network("6C3-P2-8C5p2-P2-12", neuron=neuron, batch_norm=False, bias=False)
    lowered, spikes = {}, {}
    with torch.no_grad():
        counts = FloatModule(lower(module), dtype=torch.float64)(
            images(), T, observe=lambda name, step: lowered.update({name: step.spikes})
        )
    for name, q in observed(module, images())[1].items():
        before = torch.cat([torch.zeros_like(q[:1]), q[:-1]])
        spikes[name] = (neuron.tau_s * (q - (1 - 1 / neuron.tau_s) * before)).round()
    assert spikes.keys() == {"conv1", "conv2", "dense1", "readout"}
    for name, expected in spikes.items():
        assert torch.equal(lowered[name], expected), name
    assert torch.equal(counts, spikes["readout"])
    assert 0.02 < spikes["dense1"].mean() < 0.98


def test_threshold_dependent_batch_norm_by_hand_and_lowered():
    """Statistics over time, batch and space; alpha V_th inside gamma's bracket (Zheng et al. 2020);
    folds like any BatchNorm.
    """
    module = network("6C3-P2-12", neuron=LIFConfig(threshold=0.5), tdbn_alpha=1.5)
    synapses = module.synapses["conv1"][0].train()
    x = images(8)
    with torch.no_grad():
        currents = synapses.weights(x)
        mean, variance = currents.mean((0, 2, 3), keepdim=True), currents.var((0, 2, 3), keepdim=True, unbiased=False)
        gamma, beta = (p[:, None, None] for p in (synapses.norm.weight, synapses.norm.bias))
        expected = gamma * (1.5 * 0.5 * (currents - mean) / torch.sqrt(variance + 1e-5)) + beta
        torch.testing.assert_close(synapses(x), expected)
    module.eval()
    with torch.no_grad():
        out = FloatModule(lower(module), dtype=torch.float64)(x, T)
        torch.testing.assert_close(out, module(x, T), rtol=1e-9, atol=1e-9)


def test_max_pooling_of_post_synaptic_currents_cannot_be_lowered():
    module = network("6C3-MP2-12", neuron=TSSLConfig(), batch_norm=False, bias=False)
    with pytest.raises(InputError, match="no logical or; use average pooling"):
        lower(module)


def test_spiking_readout_counts_spikes():
    module = network("6C3-P2-12", readout="spikes")
    with torch.no_grad():
        assert torch.equal(FloatModule(lower(module), dtype=torch.float64)(images(), T), module(images(), T))
    assert lower(module).readout == "spike_count"


def test_lowered_network_says_what_it_is():
    lowered = lower(network(), timesteps=3)
    assert (lowered.input.scale, lowered.input.low, lowered.input.high, lowered.input.code) == (1 / 15, 0, 15, "direct")
    assert (lowered.readout, lowered.output, lowered.timesteps) == ("accumulated_current", "readout", 3)
    assert lowered.provenance["trained_timesteps"] == T
    assert [p.name for p in lowered.populations] == ["conv1", "conv2", "pool1", "dense1", "readout"]


def test_layer_by_layer_equals_step_by_step():
    """The whole network, in evaluation mode, written out one timestep at a time with torch's own
    modules.
    """
    module = network("6C3-P2-12", batch_norm=True)
    x = images()
    conv, dense, readout = (module.synapses[name][0] for name in ("conv1", "dense1", "readout"))
    config = LIFConfig(threshold=0.5)
    first = torch.stack([conv.norm(conv.weights(x))] * T)
    spikes = lif(first, config, None)[0]
    second = torch.stack([dense.norm(dense.weights(torch.nn.functional.avg_pool2d(s, 2).flatten(1))) for s in spikes])
    expected = torch.stack([readout.weights(s) for s in lif(second, config, None)[0]])
    torch.testing.assert_close(module(x), expected)


def test_held_input_equals_repeated_input_and_longer_input_is_cut():
    module, x = network(), images()
    with torch.no_grad():
        held = module(x, T)
        torch.testing.assert_close(module(x.expand(T + 2, *x.shape), T), held)


def test_prefix_property():
    module, x = network(), images()
    with torch.no_grad():
        torch.testing.assert_close(module(x, T)[:3], module(x, 3))


def test_two_paths_into_a_stage_are_summed():
    """A residual join: the same path twice gives twice the current."""
    module = network("6C3-P2-8C3-12", batch_norm=False)
    joined = network("6C3-P2-8C3-12", batch_norm=False)
    stage = joined.stages[1]
    joined.stages = (joined.stages[0], replace(stage, incoming=stage.incoming * 2), *joined.stages[2:])
    joined.synapses["conv2"].append(joined.synapses["conv2"][0])
    with torch.no_grad():
        module.synapses["conv2"][0].weights.weight *= 2
        module.synapses["conv2"][0].weights.bias *= 2
    x = images()
    assert torch.equal(observed(module, x)[1]["conv2"], observed(joined, x)[1]["conv2"])


@pytest.mark.parametrize("shape", [(3, 2, 12, 11), (3, 12, 12), (2, 3, 2, 12, 12)])
def test_wrong_input_shapes_are_refused(shape):
    with pytest.raises(InputError, match="input has shape"):
        network()(torch.zeros(shape, dtype=torch.float64), T)


def test_same_seed_same_weights_and_torchs_generator_untouched():
    before = torch.get_rng_state()
    first, again, other = (build(TrainConfig(seed=s), Task("digits", (1, 8, 8), 10, 16)).state_dict() for s in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not np.array_equal(first["synapses.conv1.0.weights.weight"], other["synapses.conv1.0.weights.weight"])


def test_evaluation_takes_as_many_samples_as_fit(monkeypatch):
    """Wide networks run in smaller batches, with the same result."""
    module, x = network(), images().numpy()
    whole = torch.cat([*evaluation.readout_currents(module, x, T)], dim=1)
    monkeypatch.setattr(evaluation, "STATES", 2 * 3 * module.widest * T)
    parts = [*evaluation.readout_currents(module, x, T)]
    assert {part.shape[1] for part in parts[:-1]} == {2}
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)


@pytest.mark.parametrize("method", ["stbp", "noise"])
def test_mixed_precision_keeps_channels_last_between_layers(method):
    """On a CPU, whose convolutions are several times faster so: one layer in another order would
    cost the gain.
    """
    config = TrainConfig(arch="6C3-P2-8C3-8C3-P2-12", timesteps=2, method=method, neuron=METHODS[method].neuron, precision="bfloat16")
    module = build(config, TASK).train()
    with torch.random.fork_rng(), torch.autocast("cpu", torch.bfloat16):
        seen = {}
        for name, layer in [*module.neurons.items(), *module.synapses.named_modules()]:
            layer.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
        module(images().float(), METHODS[method].training_timesteps).float().sum().backward()
    maps = {name: out.flatten(0, -4) for name, out in seen.items() if out.ndim >= 4}
    assert len(maps) > 6 and all(x.is_contiguous(memory_format=torch.channels_last) for x in maps.values())
