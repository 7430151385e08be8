"""What speaks of another network is left out or made anew, in words; nothing of the user's is
replaced unasked.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from spikeport.analysis.decision.timestep_cut import Truncation
from spikeport.analysis.results.report import read_report
from spikeport.cli import main
from spikeport.export.common.lock import locked
from spikeport.export.model.digest import network_digest
from spikeport.export.nir.file import read_nir
from spikeport.hw.records.record_file import read_made_of
from spikeport.stages.folder.bound import json_digests
from spikeport.train.data.registry import load

SMALL = ["--arch", "4C3-P4", "--timesteps", "2", "--epochs", "1"]


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """A small training with everything that stages make of it, but Lava."""
    out = tmp_path_factory.mktemp("bound") / "run"
    images = out.parent / "x.npy"
    np.save(images, load("digits").test.images[:4])
    assert main(["train", *SMALL, "--out", str(out)]) == 0
    assert main(["quantize", str(out), "--out", str(out / "network.nir")]) == 0
    assert main(["tic", str(out), "--samples", "20"]) == 0
    assert main(["truncate", str(out), "--tolerance", "5", "--lava-samples", "0", "--out", str(out / "truncation.json")]) == 0
    assert main(["robustness", str(out), "--samples", "10", "--iterations", "1", "--window", "0"]) == 0
    verify = ["verify", str(out / "network.nir"), "--input", str(images), "--backends", "engine"]
    assert main([*verify, "--out", str(out / "verify.json")]) == 0
    assert main(["report", str(out)]) == 0
    return out


@pytest.fixture
def run(done, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(done, tmp_path / "run"))


def told(capsys) -> str:
    """The one line that a command was refused with."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("spikeport ")]
    assert len(lines) == 1, lines
    return lines[0]


def test_every_file_says_what_it_was_made_of(done):
    network = network_digest(read_nir(done / "network.nir"))
    trained = read_nir(done / "network.nir").provenance["made_of"]["trained"]
    report = read_report(done / "report.json")
    assert report.made_of["network"] == network and report.made_of["trained"] == trained
    assert not any("left out" in warning for warning in report.warnings)
    for name in ("truncation", "robustness", "verify"):
        kept = json.loads((done / f"{name}.json").read_text())["made_of"]
        assert kept["network"] == network and kept.get("trained", trained) == trained
    assert json.loads((done / "tic.json").read_text())["made_of"]["trained"] == trained
    for split in ("validation", "test"):
        assert read_made_of(done / f"{split}.npz") == {"network": network, split: report.made_of[split]}
    assert read_nir(done / "deployed.nir").provenance["made_of"] == {"trained": trained, "network": network}
    assert f"network {network[:12]}" in (done / "report.html").read_text()


def test_another_network_leaves_no_claim_standing(run, capsys):
    again = ["quantize", str(run), "--weight-bits", "2", "--out", str(run / "network.nir")]
    before = (run / "network.nir").read_bytes()
    assert main(again) == 2 and "--force" in told(capsys) and (run / "network.nir").read_bytes() == before
    assert main([*again, "--force"]) == 0
    for path in run.iterdir():  # as if all had been made after it
        os.utime(path, (2**31, 2**31))
    assert main(["report", str(run)]) == 0
    report = read_report(run / "report.json")
    assert report.truncation is None and report.verification is None and report.robustness is None
    assert report.fisher  # of the trained network, which is the same
    for name in ("truncation.json", "verify.json", "robustness.json", "deployed.nir"):
        assert any(w.startswith(name) and "another quantized network" in w for w in report.warnings), name
    network = network_digest(read_nir(run / "network.nir"))
    assert report.made_of["network"] == network == (read_made_of(run / "test.npz") or {})["network"]
    note = capsys.readouterr().err
    assert "note: truncation.json is left out: it was made of another quantized network" in note
    # the stages of this directory make their results anew
    assert main(["truncate", str(run), "--tolerance", "5", "--lava-samples", "0", "--out", str(run / "truncation.json")]) == 0
    assert (json_digests(run / "truncation.json", Truncation.__name__) or {})["network"] == network


def test_training_anew_asks_and_the_same_quantization_does_not(run, tmp_path, capsys):
    before = (run / "model.safetensors").read_bytes()
    train = ["train", *SMALL, "--seed", "3", "--out", str(run)]
    for command in (train, ["run", *SMALL, "--seed", "3", "--backends", "engine", "--out", str(run)]):
        assert main(command) == 2 and "--force" in told(capsys)
        assert (run / "model.safetensors").read_bytes() == before and (run / "truncation.json").exists()
    assert main([*train, "--resume", "--force"]) == 2 and "give one of them" in told(capsys)
    assert main(["quantize", str(run), "--out", str(run / "network.nir")]) == 0
    (run / "mine.txt").write_text("mine")
    assert main([*train, "--force"]) == 0
    assert (run / "model.safetensors").read_bytes() != before and (run / "mine.txt").exists()
    assert not any((run / name).exists() for name in ("network.nir", "truncation.json", "report.html", "test.npz"))


@pytest.mark.parametrize("name", ["network.nir", "test.npz", "tic.json", "report.html", "config.toml", "train.json", "model.safetensors"])
@pytest.mark.parametrize("command", ["run", "train"])
def test_a_file_that_is_not_ours_stays(command, name, tmp_path, capsys):
    (tmp_path / name).write_text("mine")
    assert main([command, *SMALL, "--out", str(tmp_path)]) == 2
    assert f"{tmp_path / name} was not written by spikeport" in told(capsys)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(name, "mine")]


def test_nothing_to_resume(tmp_path, capsys):
    assert main(["train", "--resume", *SMALL, "--out", str(tmp_path / "typo")]) == 2
    assert "holds no run to resume" in told(capsys) and not (tmp_path / "typo").exists()


def test_files_of_others_at_out_stay(run, done, tmp_path, capsys):
    mine = tmp_path / "mine"
    x, network = str(done.parent / "x.npy"), str(run / "network.nir")
    for command in (
        ["quantize", str(run)],
        ["export", network, "--to", "onnx"],
        ["simulate", network, "--input", x],
        ["verify", network, "--input", x, "--backends", "engine"],
        ["tic", str(run), "--samples", "10"],
        ["truncate", str(run), "--tolerance", "5", "--lava-samples", "0"],
        ["robustness", str(run), "--samples", "5", "--iterations", "1", "--window", "0"],
    ):
        mine.write_text("mine")
        capsys.readouterr()
        assert main([*command, "--out", str(mine)]) == 2, command
        assert "--force" in told(capsys) and mine.read_text() == "mine"
        assert main([*command, "--out", str(mine), "--force"]) == 0, command
        assert main([*command, "--out", str(mine)]) == 0, command  # our own
    other = ["simulate", network, "--input", x, "--timesteps", "1", "--out", str(run / "test.npz")]
    assert main(other) == 2 and "is a result of" in told(capsys)


def test_a_page_of_others_stays(run, capsys):
    (run / "report.html").write_text("mine")
    assert main(["report", str(run)]) == 2 and "report.html was not written by spikeport" in told(capsys)
    assert main(["report", str(run), "--force"]) == 0


def flipped(tensor: torch.Tensor) -> torch.Tensor:
    """The last bit of the first weight."""
    bits = tensor.view(torch.int32)
    bits.view(-1)[0] ^= 1
    return tensor


DAMAGE = {"flip": flipped, "type": lambda t: t.int(), "nan": lambda t: t * float("nan")}


@pytest.mark.parametrize("kept", ["metadata", "no metadata"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_weights_are_refused_by_name(damage, kept, run, capsys):
    path = run / "model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("weight"))
    tensors[name] = DAMAGE[damage](tensors[name].clone())
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    save_file(tensors, path, metadata if kept == "metadata" else None)
    for command in ("quantize", "tic", "robustness", "truncate"):
        assert main([command, str(run), "--out", str(run / "new.json")]) == 2
        assert "model.safetensors" in told(capsys)


def test_two_processes_in_one_folder(run, capsys):
    commands = [["train", "--resume"], ["run", *SMALL], ["report"], ["truncate"], ["tic"], ["quantize"]]
    with locked(run):
        for name, *more in commands:
            place = {
                "truncate": [str(run), "--out", str(run / "truncation.json")],
                "quantize": [str(run), "--out", str(run / "network.nir")],
            }
            words = place.get(name, [str(run)] if name in ("report", "tic") else ["--out", str(run)])
            assert main([name, *more, *words]) == 2
            assert "another process of spikeport is at work in" in told(capsys)


def test_printed_settings_give_the_same_again(tmp_path, capsys):
    words = ["--data", "mnist", "--data-dir", "nowhere", "--method", "dsr", "--epochs", "2"]
    assert main(["run", *words, "--tolerance", "0.25", "--per-channel", "--print-config", "--out", str(tmp_path / "r")]) == 0
    text = capsys.readouterr().out
    (tmp_path / "c.toml").write_text(text)
    assert all(line in text.splitlines() for line in ('method = "dsr"', "tolerance = 0.25", "per_channel = true"))
    for more in ([], ["--epochs", "2"]):
        assert main(["run", "--config", str(tmp_path / "c.toml"), *more, "--print-config", "--out", str(tmp_path / "r")]) == 0
        assert capsys.readouterr().out == text
    assert main(["train", "--config", str(tmp_path / "c.toml"), "--epochs", "3", "--print-config", "--out", str(tmp_path / "r")]) == 0
    assert "epochs = 3" in capsys.readouterr().out and not (tmp_path / "r").exists()
    vary = ["--vary", "neuron={decay=0.5,gain=0.5}", "--vary", "loss=cross-entropy,alpha-0.001"]
    assert main(["sweep", *vary, "--print-config", "--out", str(tmp_path / "s")]) == 0
    (tmp_path / "s.toml").write_text(text := capsys.readouterr().out)
    assert main(["sweep", str(tmp_path / "s.toml"), "--print-config", "--out", str(tmp_path / "s")]) == 0
    assert capsys.readouterr().out == text


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "status", "word"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")])
def test_a_stopped_training_says_how_to_go_on(number, status, word, tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "spikeport", "train", "--arch", "4C3-P4", "--timesteps", "2", "--epochs", "500", "--out", str(out)]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for _ in range(1200):
        if (out / "state.safetensors").exists():
            break
        time.sleep(0.1)
    child.send_signal(number)
    _, error = child.communicate(timeout=60)
    assert child.returncode == status
    assert error.splitlines()[-1] == f"spikeport train: {word}; go on with: spikeport train --resume --out {out}"
    assert "Traceback" not in error and not (out / ".spikeport.lock").exists()


def test_standard_output_on_a_full_disk_is_one_line(done):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "spikeport", "check", str(done / "network.nir")]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("spikeport check: cannot read or write: No space left") and ended.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["mine.svg", "layers.csv"])
def test_a_figure_of_ones_own_beside_the_page_stays(run, name, capsys):
    mine = run / "report_files" / name
    mine.write_text("mine")
    before = (run / "report.json").read_bytes()
    assert main(["report", str(run)]) == 2 and f"{name} was not written by spikeport, or was changed since" in told(capsys)
    assert mine.read_text() == "mine" and (run / "report.json").read_bytes() == before
    assert main(["report", str(run), "--force"]) == 0
    assert (mine.read_text() == "mine") == (name == "mine.svg")


def test_figures_of_a_network_that_goes_go_too(run):
    assert (run / "report_files" / "layers.csv").exists()
    assert main(["train", *SMALL, "--seed", "1", "--force", "--out", str(run)]) == 0
    assert not (run / "report_files").exists()
