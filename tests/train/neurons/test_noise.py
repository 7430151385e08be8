"""The noise neuron: each step of the paper by hand, calibration, and what is deployed."""

import numpy as np
import pytest
import torch
from scipy import stats

from spikeport.export.common.errors import InputError
from spikeport.export.floating.run import FloatModule
from spikeport.export.model.neuron import Noise
from spikeport.export.model.noise import sample_noise
from spikeport.train.data.registry import Task, load
from spikeport.train.loop.deployment import prepare_for_deployment
from spikeport.train.loop.masks import Retraining
from spikeport.train.loop.trainer import train
from spikeport.train.network.build import build
from spikeport.train.network.lowering import lower
from spikeport.train.neurons.noise import NoiseConfig, calibrating, convert, noise_layers
from spikeport.train.neurons.noise_draws import noise_like
from spikeport.train.settings.config import TrainConfig, defaults_for

T = 4


def currents(shape=(T, 50, 6), seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 1.2


def seeded(neuron, x, timesteps=T):
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return neuron(x, timesteps)


def draws(config, shape, count):
    """The same noise as `seeded` draws, one timestep after another."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        for _ in range(count):
            yield noise_like(torch.empty(shape, dtype=torch.float64), config.noise)


def by_hand(x, config, conversion):
    """Equations 5 and 6 to 9, with sigma in full."""
    v, spikes = torch.zeros_like(x[0]), []
    for step, z in zip(x, draws(config, x.shape[1:], len(x))):
        a = config.decay * v
        past = config.beta + z / 2
        if conversion == "temporal" and a.std() > 0:
            normal = (a - a.mean()) / a.std()
            past = normal / (config.alpha * normal.abs().max()) + config.beta + (0.5 - 1 / config.alpha) * z
        h = past + step
        s = (h > config.threshold).to(h.dtype)
        v = h * (1 - s)
        spikes.append(s)
    return torch.stack(spikes)


@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
@pytest.mark.parametrize("shape", [(3, 70001), (128, 64, 5, 5)])
def test_training_draws_from_the_chips_distribution(kind, shape):
    """Two samples of one distribution: Kolmogorov and Smirnov's distance, in any layer and batch."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        trained = noise_like(torch.empty(shape), kind).double().numpy().ravel()
        halved = noise_like(torch.empty(shape, dtype=torch.bfloat16), kind).double().numpy().ravel()
    chip = sample_noise(Noise(kind, 1.0, 11), np.arange(40), 2, 5000).ravel() / 2**15
    assert stats.ks_2samp(trained, chip).pvalue > 0.01
    assert chip.min() >= -1 and np.abs([trained, halved]).max() <= 1
    assert np.std(trained) == pytest.approx(np.std(chip), rel=0.01) and np.std(halved) == pytest.approx(np.std(chip), rel=0.01)
    if kind == "gaussian":
        exact = np.array([1.0])
        for _ in range(4):
            exact = np.convolve(exact, np.full(256, 1 / 256))
        counts = np.bincount((trained * 512 + 510).astype(int), minlength=1021)
        likely = exact * len(trained) > 5
        distance = ((counts - exact * len(trained))[likely] ** 2 / (exact * len(trained))[likely]).sum()
        assert stats.chi2.sf(distance, likely.sum()) > 0.01


@pytest.mark.parametrize("noise", ["gaussian", "uniform"])
@pytest.mark.parametrize("conversion", ["ensemble", "temporal"])
def test_steps_of_the_paper(noise, conversion):
    config = NoiseConfig(noise=noise, alpha=3.0, beta=0.4)
    neuron = config.build().eval()
    convert(neuron, conversion)
    spikes = seeded(neuron, currents())
    assert 0.2 < spikes.mean() < 0.8
    assert torch.equal(spikes, by_hand(currents(), config, conversion))


def test_training_is_step_one_whatever_the_conversion():
    neuron = NoiseConfig().build()
    convert(neuron, "temporal")
    assert torch.equal(seeded(neuron.train(), currents()), by_hand(currents(), neuron.config, "ensemble"))


def test_no_noise_is_left_at_alpha_two():
    neuron = NoiseConfig(alpha=2.0).build()
    neuron.eval()
    with calibrating(neuron):
        neuron(currents(), T)
    assert torch.equal(neuron(currents(), T), neuron(currents(), T))
    assert neuron.lowered().neuron.noise is None


def test_gradient_of_a_single_step_is_the_surrogate():
    config = NoiseConfig()
    x = currents((1, 30, 5)).requires_grad_()
    spikes = seeded(config.build(), x, 1)
    spikes.sum().backward()
    h = x.detach()[0] + config.beta + next(draws(config, (30, 5), 1)) / 2
    torch.testing.assert_close(x.grad[0], 1 / (1 + (torch.pi * (h - 1)) ** 2))


def test_gradient_over_time_follows_the_slope():
    """Calibrated: an affine membrane with a detached reset, unrolled; the surrogate multiplies what
    flows into each spike.
    """
    neuron = NoiseConfig(alpha=2.0, decay=0.9).build().eval().double()
    with calibrating(neuron):
        neuron(currents(), T)
    x, y = currents().requires_grad_(), currents().requires_grad_()
    grad = torch.randn(T, 50, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    neuron(x, T).backward(grad)
    lowered = neuron.lowered().neuron
    v, total = torch.zeros_like(y[0]), 0.0
    for t in range(T):
        h = float(lowered.beta) * v + float(lowered.bias) + y[t]
        linear = h.detach() - 1
        total = total + (grad[t] / (1 + (torch.pi * linear) ** 2) * h).sum()
        v = h * (h.detach() <= 1)
    total.backward()
    torch.testing.assert_close(x.grad, y.grad)


def test_calibration_is_the_mean_of_what_was_seen():
    neuron = NoiseConfig().build().eval()
    with calibrating(neuron):
        seeded(neuron, currents())
    config, v, seen = neuron.config, torch.zeros(50, 6, dtype=torch.float64), []
    for step, z in zip(currents(), draws(config, (50, 6), T)):
        a = config.decay * v
        peak = (a - a.mean()).abs().max()
        past = config.beta + z / 2
        if peak > 0:
            seen.append((a.mean().item(), peak.item()))
            past = (a - a.mean()) / (config.alpha * peak) + config.beta + (0.5 - 1 / config.alpha) * z
        h = past + step
        v = h * (h <= 1)
    assert (neuron.mean.item(), neuron.peak.item()) == pytest.approx(np.mean(seen, axis=0), rel=1e-5)


def network():
    task = Task("toy", (1, 8, 8), 4, 15)
    return build(TrainConfig(method="noise", arch="4C3-P2-16", timesteps=T), task)


def images(samples=64):
    levels = torch.randint(0, 16, (samples, 1, 8, 8), generator=torch.Generator().manual_seed(3))
    return (levels / 15).numpy()


def test_lowered_network_is_the_calibrated_one_up_to_the_noise():
    """alpha = 2 leaves no noise: then equal spikes, hence equal readout currents."""
    module = network()
    for layer in noise_layers(module):
        object.__setattr__(layer, "config", NoiseConfig(alpha=2.0))
    prepare_for_deployment(module, images())
    module = module.double().eval()
    x = torch.from_numpy(images()).double()
    with torch.no_grad():
        torch.testing.assert_close(FloatModule(lower(module), dtype=torch.float64)(x, T), module(x, T))
        assert module(x, T).std() > 0


def test_lowered_layers_have_noise_of_their_own():
    module = network()
    prepare_for_deployment(module, images())
    noises = [p.neuron.noise for p in lower(module).populations if p.neuron.spiking]
    assert [n.amplitude for n in noises] == [0.25, 0.25]
    assert len({n.seed for n in noises}) == 2


def test_lowering_and_freezing_need_calibration():
    with pytest.raises(InputError, match="must be calibrated"):
        lower(network())
    with pytest.raises(InputError, match="must be calibrated"):
        convert(network(), "calibrated")
    with pytest.raises(InputError, match="at least 2 timesteps"), calibrating(network()):
        pass


@pytest.mark.parametrize("wrong", [{"noise": "pink"}, {"alpha": 1.0}, {"decay": 0.0}])
def test_impossible_neurons_are_refused(wrong):
    with pytest.raises(InputError, match="noise"):
        NoiseConfig(**wrong)


def test_weights_that_are_trained_again_are_judged_uncalibrated(tmp_path):
    config = defaults_for("digits", method="noise", arch="8", epochs=1, timesteps=2)
    data = load("digits")
    trained = train(config, data, tmp_path / "once", progress=False)
    seen = []

    def look(epoch, module):
        seen.append([layer._ready for layer in noise_layers(module)])

    assert [layer._ready for layer in noise_layers(trained.module)] == ["calibrated"]
    again = Retraining(trained.module.state_dict(), 1)
    retrained = train(config, data, tmp_path / "again", progress=False, retraining=again, on_epoch=look)
    assert seen == [["ensemble"]] and [layer._ready for layer in noise_layers(retrained.module)] == ["calibrated"]


def test_a_deployed_layer_is_as_noisy_as_a_trained_one():
    """Alpha without bound leaves the noise of step 1, in training, calibrated and lowered:
    potentials have one spread.
    """
    config = NoiseConfig(alpha=1e9, threshold=100.0)
    neuron = config.build().eval()
    neuron.mean.fill_(0.0)
    neuron.peak.fill_(1.0)
    noise = neuron.lowered().neuron.noise
    deployed = noise.amplitude * sample_noise(noise, np.arange(64), 0, 1000) / 2**15
    assert config.build().train()._with_noise(torch.zeros(1, 64, 1000), 1, neuron._pure_noise).std().item() == pytest.approx(
        deployed.std(), rel=0.02
    )
