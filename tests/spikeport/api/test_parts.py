"""Parts of one's own: they train, lower exactly, and go through every command; what cannot be is
said by name.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from support.places import ROOT

import spikeport as sp
from spikeport.api.parts import load_installed, load_plugin
from spikeport.cli import main
from spikeport.train.neurons.dispatch import triton_kernels

PLUGIN = ROOT / "examples" / "my_parts.py"


@pytest.fixture(scope="module", autouse=True)
def parts():
    load_plugin(PLUGIN)
    load_plugin(str(PLUGIN))  # again does nothing


def test_a_neuron_of_ones_own_lowers_to_the_same_spikes():
    data = sp.load_data("stripes")
    network = sp.build("16", data, method="soft-lif", timesteps=5)
    before = [p.clone() for p in network.parameters()]
    sp.train(network, data, loss="margin", epochs=1, progress=False)
    assert any(not torch.equal(a, b) for a, b in zip(before, network.parameters()))
    with torch.no_grad():
        module = network(torch.from_numpy(data.test.array), 5).transpose(0, 1).numpy()
    np.testing.assert_allclose(sp.simulate_float(sp.lower(network), data.test.array, 5)["output"], module, atol=1e-5)


def test_the_surrogate_is_the_gradient():
    x = torch.linspace(-1.5, 1.5, 7, requires_grad=True)
    sp.Surrogate(kind="cosine", width=1.0).spike(x).sum().backward()
    torch.testing.assert_close(x.grad, 0.5 * (1 + torch.cos(torch.pi * x.detach().clamp(-1, 1))))


def test_no_fused_kernel_is_taken_for_a_surrogate_it_does_not_know(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert triton_kernels("lif", torch.zeros(1), "cosine") is None


def test_every_command_takes_them_and_a_folder_says_that_it_needs_them(tmp_path):
    words = [sys.executable, "-m", "spikeport"]
    small = ["--method", "soft-lif", "--loss", "margin", "--data", "stripes", "--arch", "8", "--epochs", "1", "--out", "run"]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*words, *more], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert run("train", "--plugin", str(PLUGIN), *small).returncode == 0
    without = run("quantize", "run", "--out", "run/network.nir")
    assert without.returncode == 2 and without.stderr.count("\n") == 1
    assert "method 'soft-lif' is unknown" in without.stderr and "--plugin" in without.stderr
    done = run("quantize", "run", "--out", "run/network.nir", f"--plugin={PLUGIN}")
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True, kw_only=True)
class StubbornConfig(sp.NeuronConfig):
    """Neurons that no chip has."""

    threshold: float = 1.0

    def build(self) -> sp.Neuron:
        return Stubborn()


class Stubborn(sp.Neuron):
    def forward(self, currents: torch.Tensor, timesteps: int) -> torch.Tensor:
        return torch.sigmoid(currents.expand(timesteps, *currents.shape[1:]))


def test_a_neuron_that_says_nothing_of_a_chip_is_refused_by_name():
    sp.add_method("stubborn", sp.Method(neuron=StubbornConfig()))
    with pytest.raises(sp.InputError, match=r"Stubborn train and run here only"):
        sp.lower(sp.build("4", "stripes", method="stubborn"))


@pytest.mark.parametrize("name", ["stbp", "Soft LIF", "", 3])
def test_names_are_names_and_not_taken(name):
    with pytest.raises(sp.InputError):
        sp.add_method(name, sp.Method(neuron=StubbornConfig()))


def test_installed_parts_are_loaded_and_a_broken_one_is_named():
    class Entry:
        name, value = "mine", "my_package.parts"

        def load(self) -> None:
            raise RuntimeError("no such thing")

    with pytest.raises(sp.InputError, match=r"mine \(my_package.parts\) fail: no such thing"):
        load_installed([Entry()])


def test_a_data_set_keeps_its_name(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", "--data", "stripes", "--arch", "8", "--epochs", "1", "--quiet", "--out", str(out)]) == 0
    assert capsys.readouterr().err == ""
    assert 'data = "stripes"' in Path(out / "config.toml").read_text(encoding="utf-8")
