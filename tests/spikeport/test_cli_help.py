"""What helps on the command line: how loud it is, what the doctor finds, completion, and Lava that
is missing.
"""

from __future__ import annotations

import io
import json
import subprocess
from shutil import which

import pytest

from spikeport.cli import COMMANDS, main
from spikeport.export.common import progress
from spikeport.export.common.errors import InputError
from spikeport.hw.backends import simulate

SMALL = ["train", "--arch", "4C3-P4", "--timesteps", "2", "--epochs", "2"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def usual_loudness():
    yield
    progress.choose(quiet=False, verbose=False)


def test_a_line_per_epoch_where_there_is_no_terminal(tmp_path, capsys):
    assert main([*SMALL, "--out", str(tmp_path / "run")]) == 0
    first, *epochs = capsys.readouterr().err.splitlines()
    assert first == "training run: 2 epochs"
    assert [line.split(":")[0] for line in epochs] == ["training run, epoch 1 of 2", "training run, epoch 2 of 2"]
    assert "loss" in epochs[0] and "validation" in epochs[0] and "left" in epochs[0] and "left" not in epochs[1]


def test_quiet_says_the_result_only_and_verbose_the_time_of_each_step(tmp_path, capsys):
    assert main([*SMALL, "--quiet", "--out", str(tmp_path / "a")]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "test accuracy" in out
    assert main([*SMALL, "--verbose", "--out", str(tmp_path / "b")]) == 0
    assert "training b: took" in capsys.readouterr().err
    assert main(["train", "--resume", "--verbose", "--out", str(tmp_path / "none")]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_bar_stands_within_an_epoch(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    with progress.progress_bar(2, "training", unit="epoch") as bar:
        bar.update(0.25)
        assert bar.format_dict["n"] == 0.2
        bar.n = 1
        assert bar.format_dict["n"] == 1


def test_the_doctor_tries_what_it_tells(capsys):
    assert main(["doctor", "--json"]) == 0
    found = {line["what"].split()[0]: line for line in json.loads(capsys.readouterr().out)}
    assert found["engine"]["detail"].startswith("equal to the reference") and found["Lava"]["state"] in ("works", "absent")
    assert all(
        line["remedy"] or "choose" in line["detail"] or line["what"] == "GPU" for line in found.values() if line["state"] == "absent"
    )


def test_what_is_broken_is_told_with_the_remedy(monkeypatch, capsys):
    def broken(network, stimulus, record="counts", *, progress=None):
        result = simulate.backend("reference")(network, stimulus, record)
        return type(result)(**{**vars(result), "spikes": {name: ~spikes for name, spikes in result.spikes.items()}})

    monkeypatch.setattr("spikeport.hw.engine.run", broken)
    assert main(["doctor"]) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("engine"))
    assert "BROKEN" in line and "engine differs first" in line and "reinstall" in line


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_every_command_and_its_options(shell, tmp_path, capsys):
    pytest.importorskip("shtab")
    assert main(["--completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in COMMANDS) and "--weight-bits" in script and "--quiet" in script
    if which(shell):
        (tmp_path / "script").write_text(script, encoding="utf-8")
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_lava_is_left_out_with_a_note_where_it_is_missing_and_nobody_asked(tmp_path, monkeypatch, capsys):
    def missing() -> None:
        raise InputError("Intel's Lava cannot be imported (gone); install it")

    monkeypatch.setattr(simulate, "require_lava", missing)
    run = ["run", *SMALL[1:], "--verify-samples", "2", "--out", str(tmp_path / "run")]
    assert main([*run, "--json"]) == 0
    out, err = capsys.readouterr()
    assert "note: Lava is left out: Intel's Lava cannot be imported" in err
    assert json.loads(out)["verification"]["backends"] == ["engine"]
    assert main([*run, "--backends", "lava"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
