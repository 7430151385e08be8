"""Configurations as TOML."""

from dataclasses import replace

import pytest

from spikeport.export.common.errors import InputError
from spikeport.stages.config import run_config
from spikeport.train.neurons.stbp import LIFConfig, tic_lif, wu_lif
from spikeport.train.neurons.surrogates import Surrogate
from spikeport.train.neurons.tsslbp import TSSLConfig
from spikeport.train.settings.config import DATA_DEFAULTS, OptimizerConfig, TrainConfig, defaults_for, read_config, write_config
from spikeport.train.settings.methods import METHODS

ODD = TrainConfig(
    data='a "quoted" \\ name',
    seed=7,
    batch_norm=False,
    optimizer=OptimizerConfig(kind="sgd", learning_rate=1e-7, clip_norm=1.0),
    neuron=LIFConfig(decay=1 / 3, strict=False, reset="subtract", surrogate=Surrogate(kind="triangle", width=0.1)),
)


@pytest.mark.parametrize(
    "config",
    [
        *DATA_DEFAULTS.values(),
        *(defaults_for("digits", method=m) for m in METHODS),
        ODD,
        replace(ODD, neuron=wu_lif()),
        replace(ODD, neuron=tic_lif(0.75)),
    ],
)
def test_toml_round_trip(tmp_path, config):
    write_config(tmp_path / "config.toml", config)
    assert read_config(tmp_path / "config.toml") == config


def test_left_out_fields_take_their_defaults(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("epochs = 3\n[optimizer]\nlearning_rate = 1\n")
    assert read_config(path) == TrainConfig(epochs=3, optimizer=OptimizerConfig(learning_rate=1.0))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch = 3", "unknown fields epoch; did you mean epochs.*known are"),
        ("epochs = 'three'", "epochs must be int"),
        ("epochs = true", "epochs must be int"),
        ("epochs = 0", "epochs is 0; it must be at least 1"),
        ("timesteps = 0", "timesteps is 0"),
        ("method = 'magic'", "'magic' is unknown; choose one of stbp"),
        ("neuron = 3", "neuron must be a table"),
        ("loss = 'qqqq'", "'qqqq' is unknown; choose one of cross-entropy"),
        ("readout = 'magic'", "choose current or spikes"),
        ("method = 'dsr'\n[neuron]\ndecay = 0.5", "unknown fields decay"),
        ("[neuron]\ndecay = 2.0", "decay 2.0 must lie"),
        ("[neuron.surrogate]\nkind = 'step'", "choose one of arctan"),
        ("[optimizer]\nkind = 'lion'", "choose adamw, adam or sgd"),
        ("[optimizer]\nlearning_rate = 0.0", "learning_rate 0.0"),
        ("[optimizer]\nclip_norm = -1.0", "clip_norm is -1.0; it must be 0 or more"),
        ("[optimizer]\nweight_decay = -0.1", "weight_decay is -0.1; it must be 0 or more"),
        ("loss = 'prefix-weighted-cross-entropy'", "weighs by DSR's neurons"),
        ("method = 'tssl-bp'\ntimesteps = 1", "loss kernel wants silence in the first timestep"),
        ("method = 'noise'\nloss = 'kernel-once'", "loss kernel-once wants silence in the first timestep"),
        ("batch_norm = false\ntdbn_alpha = 1.0", "tdbn_alpha and norm_over are BatchNorm's"),
        ("without_spikes_epochs = 1\ninput_code = 'rate'", "sends an image once"),
        ("epochs = ", "cannot be read as TOML"),
    ],
)
def test_wrong_configurations_are_refused(tmp_path, text, said):
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_config(path)


def test_missing_configuration(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_config(tmp_path / "config.toml")


def test_recipe_with_changes():
    assert defaults_for("mnist", epochs=1).epochs == 1
    with pytest.raises(InputError, match="choose one of digits"):
        defaults_for("nosuch")


def test_a_method_brings_its_own_neuron_loss_and_readout():
    config = defaults_for("digits", method="tssl-bp", timesteps=9)
    assert (config.neuron, config.loss, config.readout, config.timesteps) == (TSSLConfig(), "kernel", "spikes", 9)
    assert TrainConfig(method="tssl-bp").loss == "kernel"
    with pytest.raises(InputError, match="neurons of TSSLConfig, got LIFConfig"):
        replace(TrainConfig(), method="tssl-bp")


@pytest.mark.parametrize("method", METHODS)
def test_naming_a_method_brings_its_neurons_loss_and_settings(method, tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(f'[train]\nmethod = "{method}"\n')
    assert run_config(path, {}, {}).train == run_config(None, {"method": method}, {}).train == defaults_for("digits", method=method)
