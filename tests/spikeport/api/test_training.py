"""Building and training from Python: own data, own loop, what stays and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import spikeport as sp
from spikeport.cli import main

ARCH = "6C3-P4"


@pytest.fixture(scope="module")
def data() -> sp.Dataset:
    """Digits, few of them."""
    whole = sp.load_data("digits")
    return sp.dataset((whole.train.array[:200], whole.train.labels[:200]), test=(whole.test.array[:60], whole.test.labels[:60]))


def test_the_same_run_as_on_the_command_line(tmp_path):
    assert main(["train", "--data", "digits", "--arch", ARCH, "--timesteps", "2", "--epochs", "2", "--out", str(tmp_path / "a")]) == 0
    module = sp.build(ARCH, "digits", timesteps=2)
    trained = sp.train(module, "digits", epochs=2, out=str(tmp_path / "b"), progress=False)
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()
    assert trained.module is module
    assert main(["quantize", str(tmp_path / "b"), "--out", str(tmp_path / "b" / "network.nir")]) == 0
    report = sp.report(str(tmp_path / "b"))
    assert report.cost and sp.read_report(tmp_path / "b").chosen == 2


def test_a_training_begun_without_spikes_is_the_command_lines(tmp_path):
    words = ["--data", "digits", "--method", "dsr", "--arch", ARCH, "--timesteps", "2", "--epochs", "1", "--out", str(tmp_path / "a")]
    (tmp_path / "c.toml").write_text("[train]\nwithout_spikes_epochs = 1\n")
    assert main(["train", "--config", str(tmp_path / "c.toml"), *words]) == 0
    settings = {"method": "dsr", "timesteps": 2, "without_spikes_epochs": 1}
    sp.train(ARCH, "digits", epochs=1, settings=settings, out=tmp_path / "b", progress=False)
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()


def test_a_folder_whose_data_no_file_holds_says_so(data, tmp_path, capsys):
    sp.train("8", data, epochs=1, out=tmp_path / "run", progress=False)
    assert main(["quantize", str(tmp_path / "run"), "--out", str(tmp_path / "q.nir")]) == 2
    assert "np.savez('own.npz', x=x, y=y)" in capsys.readouterr().err


def test_arrays_datasets_and_loaders_are_the_same_data(data):
    x, y = data.train.array, data.train.labels
    pairs = TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    made = [sp.dataset(part) for part in ((x, y), pairs, DataLoader(pairs, batch_size=7))]
    for other in made[1:]:
        np.testing.assert_array_equal(other.train.array, made[0].train.array)
        np.testing.assert_array_equal(other.test.labels, made[0].test.labels)


def test_parts_that_are_given_stay(data):
    x, y = data.train.array, data.train.labels
    made = sp.dataset((x[:50], y[:50]), (x[50:70], y[50:70]), (x[70:90], y[70:90]))
    assert [len(part) for part in (made.train, made.validation, made.test)] == [50, 20, 20]
    np.testing.assert_array_equal(made.test.array, x[70:90])
    without = sp.dataset((x[:100], y[:100]), test=(x[100:], y[100:]))
    assert len(without.validation) == 15 and len(without.train) == 85


def test_training_goes_on_from_the_weights_and_pruned_ones_stay_zero(data):
    module = sp.build(ARCH, data, timesteps=2)
    sp.prune(module, 0.5)
    zeros = {name: weight == 0 for name, weight in module.named_parameters() if name.endswith("weights.weight")}
    assert zeros
    before = {name: weight.clone() for name, weight in module.named_parameters()}
    sp.train(module, data, epochs=1, learning_rate=1e-3, progress=False)
    after = dict(module.named_parameters())
    assert all((after[name][zero] == 0).all() for name, zero in zeros.items())
    assert any(not torch.equal(after[name], before[name]) for name in zeros)
    assert max((after[name] - before[name]).abs().max() for name in zeros) < 0.1


def test_a_loop_of_ones_own_ends_in_the_same_spikes(data):
    module = sp.build(ARCH, data, timesteps=3)
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    x, y = torch.from_numpy(data.train.array), torch.from_numpy(data.train.labels)
    for _ in range(5):
        optimizer.zero_grad()
        F.cross_entropy(module(x).sum(0), y).backward()
        optimizer.step()
    network = sp.lower(module)
    output = sp.simulate_float(network, data.test.array, 3)["output"]
    accuracy = sp.accuracy_over_time(output, data.test.labels, network.readout)
    np.testing.assert_allclose(accuracy, sp.evaluate(module, data.test.array, data.test.labels, 3), atol=0.02)


def test_noise_neurons_of_ones_own_loop_are_calibrated_on_request(data):
    module = sp.build("16", data, method="noise", timesteps=2)
    with pytest.raises(sp.InputError, match="calibrat"):
        sp.lower(module)
    assert sp.lower(module, calibration=data.train.array).timesteps == 2


def test_layers_in_python_are_the_notation(data):
    layers = sp.Architecture((sp.ConvLayer(6, 3, 1, 1), sp.AveragePool(4)))
    assert str(layers) == ARCH
    first, second = (sp.build(arch, data, timesteps=2).state_dict() for arch in (layers, ARCH))
    assert all(torch.equal(first[name], second[name]) for name in second)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda d: sp.build("8Q3", d), "8Q3"),
        (lambda d: sp.build(ARCH, d, method="spbt"), "did you mean stbp"),
        (lambda d: sp.build(ARCH, d, timesteps=0), "timesteps is 0"),
        (lambda d: sp.build(ARCH, d, settings={"nueron": {}}), "nueron"),
        (lambda d: sp.train(ARCH, d, epochs=0), "epochs is 0"),
        (lambda d: sp.train(sp.build(ARCH, d), d, settings={"dropout": 0.5}), "dropout is built into the network"),
        (lambda d: sp.train(sp.build(ARCH, d), d, settings={"initial": "he"}), "initial is built into the network"),
        (lambda d: sp.train(sp.build(ARCH, d), d, settings={"without_spikes_epochs": 1}), "give sp.train the notation"),
        (lambda d: sp.build(ARCH, d, settings={"without_spikes_epochs": 1}), "give sp.train the notation"),
        (lambda d: sp.train(sp.build(ARCH, "digits"), (np.zeros((30, 4)), np.arange(30) % 2)), "build it for these data"),
        (lambda d: sp.dataset((np.zeros((3, 4)), np.zeros(2, int))), "a class for each sample"),
        (lambda d: sp.dataset((np.full((30, 4), 7.5), np.zeros(30, int))), "scale it first"),
        (lambda d: sp.dataset(["a", "b"]), "no numbers"),
        (lambda d: sp.dataset(3), "give"),
        (lambda d: sp.load_data("mnsit"), "did you mean mnist"),
        (lambda d: sp.device("loihi3"), "did you mean loihi"),
        (lambda d: sp.read_report("nowhere"), "nowhere"),
        (lambda d: sp.report("nowhere"), "nowhere"),
    ],
)
def test_errors_are_the_command_lines(call, said, data):
    with pytest.raises(sp.InputError) as error:
        call(data)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_network_of_stages_by_hand(data):
    stages = (
        sp.Stage("hidden", "neuron", (sp.Projection("input", (1, 8, 8), sp.DenseLayer(12)),)),
        sp.Stage("readout", "readout", (sp.Projection("hidden", (12,), sp.DenseLayer(10)),)),
    )
    module = sp.SpikingNetwork(data.task, stages, sp.build("12", data).neuron_config, timesteps=2)
    assert [p.name for p in sp.lower(module).populations] == ["hidden", "readout"]
    with pytest.raises(sp.InputError, match="a loop of your own"):
        sp.train(module, data)
