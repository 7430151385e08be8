"""Perturbations against cases derived by hand, and the command from training to report."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spikeport.analysis.pages.robustness import lead, robustness_page
from spikeport.analysis.results.perturbations import PERTURBATIONS, Strengths, blur, fgsm, gaussian_noise, pgd
from spikeport.analysis.results.perturbed_accuracy import Robustness, outcome
from spikeport.analysis.results.report import read_report
from spikeport.cli import main
from spikeport.export.common.errors import InputError
from spikeport.stages.folder.bound import read_result
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.robustness import RobustnessConfig, in_window, robustness_stage
from spikeport.stages.trained import TrainedSession
from spikeport.train.data import registry as data
from spikeport.train.loop.checkpoint import load
from spikeport.train.loop.trainer import train
from spikeport.train.settings.config import defaults_for
from spikeport.train.settings.methods import METHODS

WEIGHTS = torch.tensor([[2.0, -1.0], [0.5, -3.0]])


class Linear(torch.nn.Module):
    """Two classes over a 2 x 2 image: score w . x at every step, against 0."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(WEIGHTS.clone())

    def forward(self, x, timesteps):
        score = (x * self.w).sum((1, 2, 3))
        return torch.stack([score, torch.zeros_like(score)], 1).expand(timesteps, -1, -1)


def images(*rows):
    return torch.tensor(rows).reshape(-1, 1, 2, 2)


GREY = images([0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5])
LABELS = torch.tensor([0, 1])
# d/dx of -log p(0) is -(1 - p0) w and of -log p(1) is p0 w: down along sign(w) for class 0, up for
# class 1.
DOWN_UP = torch.stack([-WEIGHTS.sign(), WEIGHTS.sign()])[:, None]


def test_fgsm_of_a_linear_model():
    found = fgsm(Linear(), GREY, LABELS, 3, Strengths(epsilon=0.1), seed=0)
    torch.testing.assert_close(found, GREY + 0.1 * DOWN_UP)


@pytest.mark.parametrize(("iterations", "reach"), [(1, 0.04), (2, 0.08), (3, 0.1), (10, 0.1)])
def test_pgd_of_a_linear_model_walks_to_the_edge(iterations, reach):
    strengths = Strengths(epsilon=0.1, step=0.04, iterations=iterations, random_start=False)
    torch.testing.assert_close(pgd(Linear(), GREY, LABELS, 3, strengths, seed=0), GREY + reach * DOWN_UP)


def test_attacks_stay_in_the_valid_range():
    edge = images([0.0, 1.0, 0.02, 0.97])
    strengths = Strengths(epsilon=0.1, step=0.1, random_start=False)
    expected = images([0.0, 1.0, 0.0, 1.0])  # w = 2, -1, 0.5, -3 and class 0: down, up, down, up, each cut at 0 and 1
    for attack in (fgsm, pgd):
        torch.testing.assert_close(attack(Linear(), edge, LABELS[:1], 1, strengths, seed=0), expected)


def test_random_start_is_in_the_ball_and_repeats():
    still = Strengths(epsilon=0.1, step=0.0, iterations=1)
    first, again, other = (pgd(Linear(), GREY, LABELS, 1, still, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert 0 < (first - GREY).abs().max() <= 0.1 + 1e-7
    assert torch.equal(pgd(Linear(), GREY, LABELS, 1, replace(still, random_start=False), 0), GREY)


def test_attacks_leave_the_model_as_it_was():
    model = Linear().train()
    pgd(model, GREY, LABELS, 1, Strengths(), seed=0)
    assert model.training and model.w.requires_grad and model.w.grad is None and torch.equal(model.w, WEIGHTS)


@pytest.mark.parametrize("strength", [0.0, 0.1, 0.5])
def test_noise_has_the_stated_norm(strength):
    x = 0.5 + 0.001 * torch.arange(2 * 3 * 20 * 20).reshape(2, 3, 20, 20) / 2400
    found = gaussian_noise(0.2 * x, strength, torch.Generator().manual_seed(0)) - 0.2 * x
    dark = gaussian_noise(x, strength, torch.Generator().manual_seed(0))
    assert dark.min() >= 0 and dark.max() <= 1
    if strength < 0.2:  # nothing reaches 0 or 1 at 4 standard deviations and more
        torch.testing.assert_close(found.flatten(1).norm(dim=1), strength * (0.2 * x).flatten(1).norm(dim=1))


def test_blur_by_hand():
    columns = torch.tensor([0.0, 1.0, 0.0, 0.0]).expand(1, 1, 4, 4)
    # Down: means of pairs, 0.5 and 0. Up: the centres of the new pixels lie at -1/4, 1/4, 3/4, 5/4
    # of the small ones.
    torch.testing.assert_close(blur(columns, 2), torch.tensor([0.5, 0.375, 0.125, 0.0]).expand(1, 1, 4, 4))
    torch.testing.assert_close(blur(columns, 1), columns)
    torch.testing.assert_close(blur(torch.full((1, 2, 7, 5), 0.3), 2), torch.full((1, 2, 7, 5), 0.3))


def test_a_window_holds_the_deficit_and_nothing_else():
    clean, bad = np.zeros((2, 1, 2, 2), np.float32), np.ones((2, 1, 2, 2), np.float32)
    found = in_window(clean, bad, timesteps=5, first=2, width=3)
    assert found.shape == (2, 5, 1, 2, 2)
    assert found[:, :, 0, 0, 0].tolist() == [[0, 1, 1, 1, 0]] * 2


def test_loss_is_paired():
    clean = np.array([[1, 1], [0, 1], [1, 1], [0, 0]], bool)
    correct = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], bool)  # at T: two lost, one gained, of four
    found = outcome(correct, clean)
    assert found.accuracy == (0.5, 0.5) and found.loss == 25.0
    assert found.low < 25 < found.high
    assert outcome(clean, clean) == replace(outcome(clean, clean), loss=0.0, low=0.0, high=0.0)


@pytest.mark.parametrize("change", [{"noise": -1.0}, {"blur": 0.5}, {"epsilon": float("nan")}, {"step": -0.1}, {"iterations": 0}])
def test_impossible_strengths_are_refused(change):
    with pytest.raises(InputError, match=next(iter(change))):
        Strengths(**change)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_attacked(method, tmp_path):
    """The loss rises along the method's own gradient, the same way each time, and no other
    perturbation needs it.
    """
    digits = data.load("digits")
    digits = replace(digits, train=digits.train[:300], validation=digits.validation[:20], test=digits.test[:32])
    config = defaults_for("digits", method=method, arch="8C3-P2-24", timesteps=3, epochs=2, batch_size=20, shift=0)
    module = train(replace(config, optimizer=replace(config.optimizer, learning_rate=0.02)), digits, tmp_path, progress=False).module
    x, y = torch.from_numpy(digits.test.images[:32]), torch.from_numpy(digits.test.labels[:32])
    strengths = Strengths(epsilon=0.2, step=0.05)

    def loss(images):
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(0)
            return float(F.cross_entropy(module(images, 3).mean(0), y))

    for name, perturbation in PERTURBATIONS.items():
        found = perturbation(module, x, y, 3, strengths, 0)
        assert torch.equal(found, perturbation(module, x, y, 3, strengths, 0)) and found.min() >= 0 and found.max() <= 1
        assert not torch.equal(found, x)
        if name in ("fgsm", "pgd"):
            assert (found - x).abs().max() <= 0.2 + 1e-6 and loss(found) > loss(x)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    out = tmp_path_factory.mktemp("robust") / "run"
    assert main(["train", "--arch", "6C3-P2-24", "--epochs", "3", "--timesteps", "3", "--out", str(out)]) == 0
    assert main(["quantize", str(out), "--out", str(out / "network.nir")]) == 0
    return out


def test_from_training_to_report(workspace, capsys):
    assert main(["robustness", str(workspace), "--window", "3", "--json"]) == 0
    printed = capsys.readouterr().out
    result = read_result(Robustness, workspace / "robustness.json")
    assert json.loads(printed) == json.loads((workspace / "robustness.json").read_text())
    assert [c.name for c in result.conditions] == ["clean", "noise", "blur", "fgsm", "pgd"]
    trained = json.loads((workspace / "train.json").read_text())
    assert result.conditions[0].outcomes["float"].accuracy == pytest.approx(trained["test_accuracy"])
    (whole,) = result.windows  # a window of T timesteps is the perturbation itself
    assert whole.outcomes == result.conditions[1].outcomes
    assert main(["report", str(workspace)]) == 0
    assert read_report(workspace / "report.json").robustness == result
    for page in ("report.html", "robustness.html"):
        assert "Accuracy under perturbations" in (workspace / page).read_text(encoding="utf-8")
    assert "rounding changes" in lead(result)  # half a level of the digits' 17


def test_deficits_slide_and_float_alone_is_enough(workspace, tmp_path, capsys):
    for name in ("model.safetensors", "config.toml", "train.json"):
        (tmp_path / name).write_bytes((workspace / name).read_bytes())
    assert main(["robustness", str(tmp_path), "--samples", "40", "--window", "2", "--deficit", "blur", "--iterations", "1"]) == 0
    assert "float" in capsys.readouterr().out
    result = read_result(Robustness, tmp_path / "robustness.json")
    assert result.networks == ("float",) and result.samples == 40
    assert [(w.first, w.last) for w in result.windows] == [(1, 2), (2, 3)]
    assert result.relative("float")[-1] == 0
    assert "steps 1 to 2" in robustness_page(result, "a title")


@pytest.mark.parametrize("wrong", [["--window", "4"], ["--samples", "0"], ["--epsilon", "-1"], ["--iterations", "0"]])
def test_wrong_requests_are_told_in_a_line_and_leave_nothing(workspace, tmp_path, capsys, wrong):
    out = tmp_path / "r.json"
    assert main(["robustness", str(workspace), *wrong, "--out", str(out)]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not list(tmp_path.iterdir())


def test_recordings_of_events_are_refused(workspace, tmp_path):
    digits = data.load("digits")
    events = replace(digits, task=replace(digits.task, code="events"))
    with pytest.raises(InputError, match="events"):
        robustness_stage(
            TrainedSession(Workspace(workspace), load(workspace), events, lambda total, what: nullcontext(lambda count: None)),
            tmp_path / "r.json",
            RobustnessConfig(samples=1),
        )
