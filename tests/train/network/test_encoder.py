"""Normalised images, rate codes and dropout: what they are in training, and that they reach every
backend exactly.
"""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from spikeport.cli import main
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import read_json
from spikeport.export.floating.run import FloatModule
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.nir.file import read_nir, write_nir
from spikeport.export.quantization.quantize import quantize
from spikeport.hw.backends.simulate import backend
from spikeport.hw.backends.verify import verify
from spikeport.hw.records.stimulus import encode
from spikeport.stages.tic import TicConfig, of_float_network, of_trained
from spikeport.train.data import registry as data
from spikeport.train.data.registry import Task
from spikeport.train.loop import trainer
from spikeport.train.loop.evaluation import evaluate, readout_currents
from spikeport.train.loop.masks import Retraining, prunable, prune
from spikeport.train.loop.qat import FinetuneConfig, finetune
from spikeport.train.network.build import build
from spikeport.train.network.dropout import HeldDropout
from spikeport.train.network.encoder import STATISTICS, encoder
from spikeport.train.network.lowering import lower
from spikeport.train.network.topology import INPUT
from spikeport.train.neurons.stbp import LIFConfig, wu_lif
from spikeport.train.settings.config import OptimizerConfig, TrainConfig, defaults_for, from_table
from spikeport.train.settings.recipes import published

COLOUR = Task("cifar-10", (3, 12, 12), 5, 255)
T = 4
FAST = OptimizerConfig(learning_rate=0.02)
RUNS = {
    "normalised": TrainConfig(arch="6C3-P2-24", normalise=True, shift=1, batch_size=20, optimizer=FAST),
    "rate": TrainConfig(
        arch="6C3-P2-24",
        input_code="rate",
        neuron=wu_lif(),
        loss="rate-mse",
        readout="spikes",
        batch_norm=False,
        batch_size=20,
        optimizer=FAST,
    ),
    "dropped": defaults_for(
        "digits",
        method="tssl-bp",
        arch="8C3-P2-48",
        shift=0,
        batch_size=10,
        normalise=True,
        dropout=0.2,
        optimizer=replace(FAST, clip_norm=1.0, clip_weights=4.0),
    ),
}


@pytest.fixture(scope="module")
def dataset():
    """A part of the digits."""
    digits = data.load("digits")
    return replace(digits, train=digits.train[:500], validation=digits.validation[:60], test=digits.test[:80])


@pytest.fixture(scope="module", params=RUNS)
def trained(request, dataset, tmp_path_factory):
    """A short run of each kind."""
    config = replace(RUNS[request.param], timesteps=T, epochs=6, threads=1)
    return trainer.train(config, dataset, tmp_path_factory.mktemp(request.param), progress=False)


def test_it_learns_and_the_lowered_network_answers_alike(trained, dataset):
    assert trained.metrics["test_accuracy"][-1] > 0.6
    images = dataset.test.images
    trained.module.double()
    (currents,) = readout_currents(trained.module, images.astype(np.float64), T)
    trained.module.float()
    found = simulate_float(lower(trained.module), images.astype(np.float64), T, dtype=torch.float64)["output"].transpose(1, 0, 2)
    if trained.config.method == "tssl-bp":  # spikes against the currents behind them
        assert np.array_equal(found > 0, np.diff(currents.numpy(), axis=0, prepend=0) > 0.1)
    else:
        np.testing.assert_allclose(found, currents.numpy(), rtol=1e-9, atol=1e-9)


def test_every_backend_agrees_on_the_quantized_network(trained, dataset, tmp_path):
    network = quantize(lower(trained.module), dataset.train.images[:100])
    write_nir(network, tmp_path / "net.nir")
    network = read_nir(tmp_path / "net.nir")
    assert network.input == trained.module.encoder.source
    names = ["engine", "onnx", *(["lava"] if find_spec("lava") else [])]
    result = verify(network, encode(network.input, dataset.test.images[:6], T), {name: backend(name) for name in names})
    assert result.equal and result.spikes > 100, result
    record = backend("engine")(network, encode(network.input, dataset.test.images, T))
    right = (record.output.sum(1).argmax(1) == dataset.test.labels).mean()
    assert right > trained.metrics["test_accuracy"][-1] - 0.1


def test_fine_tuning_goes_on_from_there(trained, dataset):
    floating = lower(trained.module)
    coarse = quantize(floating, dataset.train.images[:100], weight_bits=3)
    tuned = finetune(floating, coarse, dataset, FinetuneConfig(epochs=1, threads=1), progress=False)
    found = evaluate(FloatModule(tuned), dataset.test.images, dataset.test.labels, T)[-1]
    assert found > trained.metrics["test_accuracy"][-1] - 0.2


@pytest.mark.parametrize("run", ["rate", "dropped"])
def test_resumed_equals_unbroken(run, dataset, tmp_path, monkeypatch):
    config = replace(RUNS[run], timesteps=3, epochs=2, batch_size=50, threads=1)
    unbroken = trainer.train(config, dataset, tmp_path / "unbroken", progress=False).module.state_dict()
    saved = trainer.save_state

    def killed(*args):
        saved(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "save_state", killed)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(config, dataset, tmp_path / "broken", progress=False)
    monkeypatch.undo()
    resumed = trainer.train(config, dataset, tmp_path / "broken", resume=True, progress=False).module.state_dict()
    assert all(torch.equal(resumed[name], unbroken[name]) for name in unbroken)


def test_pruned_weights_stay_zero_under_dropout(dataset, tmp_path):
    config = replace(RUNS["dropped"], timesteps=3, epochs=1, threads=1)
    module = build(config, dataset.task)
    prune(module, 0.6)
    weights = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    after = prunable(trainer.train(config, dataset, tmp_path, progress=False, retraining=Retraining(weights, 2)).module)
    for name, weight in after.items():
        assert torch.equal(weight == 0, weights[name] == 0) and not torch.equal(weight, weights[name])


@pytest.mark.parametrize("arch", ["4C3-P2-12", "P2-4C3p0-12", "P3-12", "12", "preact-resnet-20"])
@pytest.mark.parametrize("code", ["normalise", "rate"])
def test_any_first_layer_lowers_exactly(arch, code):
    config = TrainConfig(arch=arch, timesteps=T, normalise=code == "normalise", input_code="direct" if code == "normalise" else "rate")
    module = build(replace(config, neuron=LIFConfig(threshold=0.4)), COLOUR).double().eval()
    x = torch.randint(0, 256, (6, 3, 12, 12), generator=torch.Generator().manual_seed(1)).double() / 255
    lowered = FloatModule(lower(module), dtype=torch.float64)
    with torch.no_grad():
        out = module(x, T, first=3)
        torch.testing.assert_close(lowered(x, T, first=3), out, rtol=1e-9, atol=1e-9)
        assert out.std() > 0
        assert torch.equal(module(x, T), out) == (code == "normalise"), "spikes depend on the samples' numbers"
        torch.testing.assert_close(module(x[2:], T, first=5), out[:, 2:])
        torch.testing.assert_close(module(x, 2, first=3), out[:2])


def test_normalised_as_the_papers_do_but_for_the_mean_in_whole_levels():
    layer, (mean, deviation) = encoder(COLOUR, normalise=True, code="direct"), STATISTICS["cifar-10"]
    x = torch.rand(1, 2, 3, 12, 12)
    expected = (x - torch.tensor(mean)[:, None, None]) / torch.tensor(deviation)[:, None, None]
    assert (layer(x, T, 0) - expected).abs().max() < 0.5 / 255 / min(deviation)
    assert layer.source.offset == (125, 123, 114) and layer.source.sent == (-125, 141)
    assert not dict(encoder(COLOUR, normalise=True, code="direct").state_dict()), "nothing to keep beside the weights"


def test_statistics_are_those_of_the_data():
    """Of the digits, which are here; the others are their publications'."""
    (mean,), (deviation,) = STATISTICS["digits"]
    splits = data.load("digits")
    pixels = np.concatenate([split.images.ravel() for split in (splits.train, splits.validation, splits.test)])
    assert (pixels.mean(), pixels.std()) == pytest.approx((mean, deviation), abs=1e-4)
    assert all(len(mean) == len(deviation) and min(deviation) > 0 for mean, deviation in STATISTICS.values())


def test_fisher_information_of_a_rate_code_does_not_depend_on_the_passes(monkeypatch, dataset):
    module = build(replace(RUNS["rate"], timesteps=T), dataset.task)
    found = []
    for size in (64, 7):
        monkeypatch.setattr("spikeport.stages.tic.PASS_SAMPLES", size)
        found.append([of_trained(module, dataset.validation, TicConfig(samples=40)).per_step])
        network = lower(module)
        found[-1].append(of_float_network(network, dataset.validation.images[:40], dataset.validation.labels[:40], TicConfig()).per_step)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4)
    assert np.max(found[0]) > 0


def test_training_draws_anew_from_torchs_generator():
    layer = encoder(COLOUR, normalise=False, code="rate").train()
    x = torch.rand(1, 50, 3, 12, 12)
    torch.manual_seed(3)
    first, second = layer(x, T, 0), layer(x, T, 0)
    torch.manual_seed(3)
    assert torch.equal(layer(x, T, 0), first) and not torch.equal(first, second)
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert abs(float(first.mean() - x.mean())) < 0.01
    assert torch.equal(layer(torch.ones_like(x), T, 0), torch.ones(T, *x.shape[1:])) and not layer(0 * x, T, 0).any()
    assert torch.equal(layer.eval()(x, T, 0), layer(x, T, 0))


def test_dropout_drops_rows_of_maps_and_features_at_all_timesteps_alike():
    layer = HeldDropout(0.25).train()
    torch.manual_seed(0)
    maps = layer(torch.ones(3 * 40, 8, 6, 5), 3).unflatten(0, (3, 40))
    assert maps.unique().tolist() == pytest.approx([0, 4 / 3])
    assert torch.equal(maps[0], maps[1]) and torch.equal(maps[0], maps[2]), "held over time"
    assert torch.equal(maps, maps[..., :1].expand_as(maps)), "rows as a whole"
    kept = maps[0, ..., 0] > 0
    assert abs(float(kept.float().mean()) - 0.75) < 0.04
    assert len(kept.float().mean(2).unique()) > 2, "not whole channels"
    features = layer(torch.ones(3 * 400, 20), 3).unflatten(0, (3, 400))
    assert torch.equal(features[0], features[2]) and abs(float((features > 0).float().mean()) - 0.75) < 0.02
    x = torch.rand(6, 4)
    assert layer.eval()(x, 2) is x


def test_what_neurons_send_themselves_is_not_dropped():
    """It arrives timestep by timestep, and would be dropped anew at each."""
    module = build(TrainConfig(arch="20-20R", dropout=0.5), Task("toy", (2, 6, 6), 4, 3, "events"))
    found = {s.path.lag: isinstance(s.dropout, HeldDropout) for s in module.synapses_of("dense2")}
    assert found == {0: True, 1: False}


def test_dropout_stands_ahead_of_all_weights_but_the_first():
    module = build(TrainConfig(arch="preact-resnet-20", dropout=0.3), COLOUR)
    for stage in module.stages:
        for synapses in module.synapses_of(stage.name) if stage.kind != "max_pool" else ():
            expected = synapses.weights is not None and synapses.path.source != INPUT
            assert isinstance(synapses.dropout, HeldDropout) == expected, stage.name
    plain = build(TrainConfig(arch="preact-resnet-20"), COLOUR)
    assert plain.state_dict().keys() == module.state_dict().keys()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"input_code": "events"}, "choose direct or rate"),
        ({"input_code": "rate", "normalise": True}, "exclude each other"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"dropout": -0.1}, "dropout is -0.1"),
        ({"normalise": 1}, "must be bool"),
    ],
)
def test_wrong_configurations_are_refused(table, said):
    with pytest.raises(InputError, match=said):
        from_table(table, "c.toml")


@pytest.mark.parametrize("changes", [{"normalise": True}, {"input_code": "rate"}])
def test_recordings_are_neither_normalised_nor_drawn(changes):
    with pytest.raises(InputError, match="holds recordings of events"):
        build(TrainConfig(**changes), Task("n-mnist", (2, 12, 12), 10, 255, "events"))


def test_unknown_statistics_are_refused():
    with pytest.raises(InputError, match="toy has no mean and deviation"):
        build(TrainConfig(normalise=True), Task("toy", (3, 12, 12), 10, 255))


def test_recipes_have_what_their_papers_have():
    assert all(published(f"{name}").normalise for name in ("dsr-cifar100-if-t5", "tic-cifar10-t10", "tssl-mnist-t5"))
    cnn = published("tssl-cifar10-cnn2-t5")
    assert (cnn.normalise, cnn.dropout, cnn.shift, cnn.flip) == (True, 0.2, 4, True)
    wu = published("stbp-mnist-wu")
    assert (wu.input_code, wu.neuron, wu.readout, wu.loss, wu.batch_norm) == ("rate", wu_lif(), "spikes", "rate-mse", False)


@pytest.mark.parametrize("run", ["normalised", "rate"])
def test_whole_path_from_the_command_line(run, tmp_path):
    """Train, quantize, Fisher information, robustness, report; the meaning is in the report, and
    the engine's accuracy is fixed point's.
    """
    said = "normalise = true" if run == "normalised" else 'input_code = "rate"'
    (tmp_path / "c.toml").write_text(f"[train]\nbatch_size = 40\n{said}\n[train.optimizer]\nlearning_rate = 0.02\n")
    out = tmp_path / "run"
    size = ["--config", str(tmp_path / "c.toml"), "--arch", "6C3-P2-24", "--epochs", "4", "--timesteps", "4"]
    assert main(["train", *size, "--tic-every", "2", "--out", str(out)]) == 0
    assert main(["quantize", str(out), "--out", str(out / "network.nir")]) == 0
    assert main(["tic", str(out), "--samples", "80", "--out", str(out / "tic.json")]) == 0
    assert main(["robustness", str(out), "--window", "2", "--iterations", "3"]) == 0
    assert main(["report", str(out)]) == 0
    report = read_json(out / "report.json")
    meaning = report["semantics"]["input"]
    assert ("graded spikes -5..11" if run == "normalised" else "rate code, binary spikes") in meaning
    accuracy = {(c["stage"], c["split"]): c["accuracy"] for c in report["accuracy"]}
    clean, *perturbed = report["robustness"]["conditions"]
    assert clean["outcomes"]["fixed point"]["accuracy"] == pytest.approx(accuracy["quantized", "test"])
    assert clean["outcomes"]["float"]["accuracy"] == pytest.approx(accuracy["float", "test"])
    assert accuracy["float", "test"][-1] > 0.7
    attacked = {c["name"]: c["outcomes"]["float"]["accuracy"][-1] for c in perturbed}
    assert attacked["pgd"] < accuracy["float", "test"][-1]
    assert report["robustness"]["level"] == (1 / 16 if run == "normalised" else 2**-16)
