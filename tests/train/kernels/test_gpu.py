"""Training on a GPU against the same on the CPU: the fused kernels, networks, and the command.

Run with -m gpu.
"""

import json

import pytest
import torch
from support.oracles.kernel_cases import DSR_CONFIGS, LIF_CONFIGS, losses, name, normal

from spikeport.cli import main
from spikeport.train.data import registry as data
from spikeport.train.loop.checkpoint import load
from spikeport.train.loop.evaluation import evaluate
from spikeport.train.neurons.dispatch import triton_kernels
from spikeport.train.neurons.noise import NoiseConfig
from spikeport.train.neurons.stbp import LIFConfig, parametric_lif
from spikeport.train.neurons.surrogates import SURROGATES, Surrogate
from spikeport.train.neurons.tsslbp import TSSLConfig

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]
SURROGATE_CONFIGS = [LIFConfig(detach_reset=False, surrogate=Surrogate(kind=kind, width=0.7)) for kind in SURROGATES]
TSSL_CONFIGS = [TSSLConfig(threshold=0.8, rule=rule, warm_up=warm) for rule in ("released", "paper") for warm in ("inactive", "off", "all")]
CONFIGS = [*LIF_CONFIGS, *SURROGATE_CONFIGS, LIFConfig(decay=0.7, learned="decay"), parametric_lif(3.0), *DSR_CONFIGS, *TSSL_CONFIGS]


@pytest.fixture(autouse=True)
def full_precision():
    """Convolutions in float32 as on the CPU."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def passed(neuron, currents, timesteps, grad, device):
    """Output, the currents' gradient and the parameters', on the CPU again."""
    neuron = neuron.to(device)
    neuron.zero_grad()
    x = currents.detach().to(device).requires_grad_()
    out = neuron(x, timesteps)
    out.backward(grad.to(device))
    return out.detach().cpu(), x.grad.cpu(), [p.grad.cpu() for p in neuron.parameters()]


@pytest.mark.parametrize("config", CONFIGS, ids=name)
@pytest.mark.parametrize(("timesteps", "held"), [(1, False), (20, False), (20, True)])
@pytest.mark.parametrize("neurons", [5001, 4096])
def test_kernels_equal_the_cpu(config, timesteps, held, neurons):
    currents, grad = normal(1 if held else timesteps, neurons, scale=2, shift=0.3), normal(timesteps, neurons, seed=1)
    assert triton_kernels("lif", currents.cuda()) is not None
    out, gradient, others = passed(config.build(), currents, timesteps, grad, "cuda")
    expected, expected_gradient, expected_others = passed(config.build(), currents, timesteps, grad, "cpu")
    assert torch.equal(out != 0, expected != 0) and out.any()
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(others, expected_others, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("config", [*LIF_CONFIGS, *DSR_CONFIGS, *TSSL_CONFIGS[:3]], ids=name)
@pytest.mark.parametrize("neurons", [5001, 4096])
def test_kernels_in_bfloat16(config, neurons):
    """The state is float32 and only what is saved is rounded, so few spikes differ from those of
    float32, and gradients little.
    """
    currents, grad = normal(8, neurons, scale=2).bfloat16(), normal(8, neurons, seed=1).bfloat16()
    out, gradient, _ = passed(config.build(), currents, 8, grad, "cuda")
    expected, expected_gradient, _ = passed(config.build(), currents.float(), 8, grad.float(), "cpu")
    assert out.dtype == gradient.dtype == torch.bfloat16
    assert ((out != 0) != (expected != 0)).float().mean() < 0.02
    near = torch.isclose(gradient.float(), expected_gradient, rtol=0.05, atol=0.02)
    assert near.float().mean() > 0.9


def test_more_numbers_than_32_bits_count():
    """2^31 + 2^20 potentials in bfloat16: the last timestep is where it belongs."""
    if torch.cuda.mem_get_info()[0] < 16 << 30:
        pytest.skip("needs 16 GiB of free GPU memory")
    timesteps, neurons = 2049, 1 << 20
    with torch.no_grad():
        out = LIFConfig().build()(torch.full((1, neurons), 0.6, device="cuda", dtype=torch.bfloat16), timesteps)
        expected = LIFConfig().build()(torch.full((1, 1), 0.6, dtype=torch.bfloat16).float(), timesteps)
    assert torch.equal(out[-3:, -2:].cpu().float(), expected[-3:].expand(3, 2))


@pytest.mark.parametrize("noise", ["gaussian", "uniform"])
def test_noise_neurons_fire_as_often(noise):
    """Devices draw different numbers."""
    neuron, currents = NoiseConfig(noise=noise).build(), torch.full((1, 100_000), 0.5)
    torch.manual_seed(0)
    rates = [passed(neuron, currents, 1, torch.ones_like(currents), device)[0].mean().item() for device in ("cuda", "cpu")]
    assert 0.2 < rates[0] < 0.8 and rates[0] == pytest.approx(rates[1], abs=0.08)


@pytest.mark.parametrize("method", ["stbp", "dsr", "tssl-bp"])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 0.02), ("bfloat16", 0.1)])
def test_a_network_trains_as_on_the_cpu(method, precision, tolerance):
    assert losses(method, precision, "cuda") == pytest.approx(losses(method), rel=tolerance)


@pytest.mark.parametrize("method", ["stbp", "dsr", "tssl-bp", "noise"])
def test_the_command_trains_on_a_gpu_and_the_cpu_reads_what_it_left(method, tmp_path, capsys):
    words = ["train", "--method", method, "--arch", "8C3-P2-32", "--epochs", "3", "--json", "--out", str(tmp_path)]
    assert main([*words, "--accelerator", "cuda"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["test_accuracy"][-1] > 0.3
    trained, digits = load(tmp_path), data.load("digits")
    found = evaluate(trained.module, digits.test.images, digits.test.labels, trained.config.timesteps)
    assert found[-1] == pytest.approx(result["test_accuracy"][-1], abs=0.08)
