"""A training that was interrupted can be looked at, and what comes of it says so; and what becomes
of old results when training begins anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from spikeport.analysis.results.report import read_report
from spikeport.cli import main
from spikeport.stages.folder.workspace import Workspace
from spikeport.train.loop import trainer

SMALL = ["--arch", "4C3-P4", "--timesteps", "2"]
MADE = ("tic.json", "tic.html", "robustness.json", "robustness.html", "pruning.json", "pruning.html", "report.html")


@pytest.fixture
def interrupted(tmp_path, monkeypatch) -> Path:
    """Stopped in the second of three epochs."""

    def stopped(run, epoch):
        if epoch == 1:
            raise KeyboardInterrupt
        return whole(run, epoch)

    whole = trainer._epoch
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "_epoch", stopped)
        assert main(["train", *SMALL, "--epochs", "3", "--out", str(tmp_path)]) == 130
    return tmp_path


def test_what_comes_of_an_unfinished_training_says_so(interrupted, capsys):
    note = f"training unfinished: 1 of 3 epochs; go on with: spikeport train --resume --out {interrupted}"
    files = {name: ["--out", str(interrupted / name)] for name in ("network.nir", "truncation.json")}
    for command, *more in (
        ["quantize", *files["network.nir"]],
        ["tic", "--samples", "20"],
        ["robustness", "--samples", "10"],
        ["truncate", "--lava-samples", "0", *files["truncation.json"]],
        ["report"],
    ):
        capsys.readouterr()
        assert main([command, str(interrupted), *more]) == 0
        assert f"note: {note}" in capsys.readouterr().err, command
    report = read_report(interrupted / "report.json")
    assert any(warning.startswith(note) for warning in report.warnings)
    assert {(c.stage, c.split) for c in report.accuracy if c.stage == "float"} == {("float", "validation")}
    assert "raining unfinished: 1 of 3 epochs" in (interrupted / "report.html").read_text(encoding="utf-8")

    assert main(["train", *SMALL, "--epochs", "3", "--resume", "--out", str(interrupted)]) == 0
    assert Workspace(interrupted).notes() == ()


def test_training_anew_removes_pages_with_their_results(tmp_path):
    for name in MADE:
        (tmp_path / name).touch()
    (tmp_path / "mine.html").touch()
    train = ["train", *SMALL, "--epochs", "1", "--out", str(tmp_path)]
    assert main(train) == 2 and all((tmp_path / name).exists() for name in MADE)  # empty, so not ours
    assert main([*train, "--force"]) == 0
    assert not any((tmp_path / name).exists() for name in MADE)
    assert (tmp_path / "mine.html").exists()
