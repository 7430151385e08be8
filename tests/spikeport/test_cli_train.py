"""`spikeport train` and what other frameworks' files are taken to mean, as users meet them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from support.places import SHARED

from spikeport.cli import main
from spikeport.train.loop import trainer
from spikeport.train.settings.methods import METHODS

CASES = SHARED / "cases"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="no reference cases in ../shared/cases")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_by_its_name_alone(method, tmp_path, capsys):
    assert main(["train", "--method", method, "--arch", "4C3-P4", "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert "test accuracy" in capsys.readouterr().out


def test_training_anew_leaves_nothing_of_the_network_before(tmp_path):
    small = ["train", "--arch", "4C3-P4", "--timesteps", "2", "--epochs", "1", "--out", str(tmp_path)]
    assert main(small) == main(["quantize", str(tmp_path), "--out", str(tmp_path / "network.nir")]) == 0
    assert main([*small, "--seed", "1"]) == 2 and (tmp_path / "network.nir").exists()
    assert main([*small, "--seed", "1", "--force"]) == 0
    assert not (tmp_path / "network.nir").exists()


def test_an_unfinished_run_goes_on_with_its_own_settings(tmp_path, monkeypatch):
    words, epoch = ["--arch", "4C3-P4", "--timesteps", "2", "--epochs", "2", "--seed", "3"], trainer._epoch
    assert main(["train", *words, "--out", str(tmp_path / "unbroken")]) == 0

    def killed(run, number):
        if number:
            raise KeyboardInterrupt
        return epoch(run, number)

    monkeypatch.setattr(trainer, "_epoch", killed)
    assert main(["train", *words, "--out", str(tmp_path / "broken")]) == 130
    monkeypatch.setattr(trainer, "_epoch", epoch)
    assert main(["train", "--resume", "--out", str(tmp_path / "broken")]) == 0
    weights = [(tmp_path / run / "model.safetensors").read_bytes() for run in ("unbroken", "broken")]
    assert weights[0] == weights[1]


@needs_cases
def test_what_a_file_is_taken_to_mean_is_told(capsys, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((2, 1)))
    words = ["--calibration", str(tmp_path / "x.npy"), "--from", "norse", "--timesteps", "4", "--out", str(tmp_path / "q.nir")]
    main(["quantize", str(CASES / "lif_norse.nir"), *words])
    assert "read with dt 0.001, euler integrator, reset zero, fires on v > threshold" in capsys.readouterr().err


def test_a_reader_that_has_enough_is_no_error():
    shell = f"{sys.executable} -m spikeport --help | head -c 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_while_modules_load_is_told_in_one_line(tmp_path):
    """The interrupt comes from within the import of torch, where an exception would be a traceback
    or a crash of C++.
    """
    shell = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from spikeport.cli import main
sys.exit(main(["train", "--out", "out"]))
"""
    (tmp_path / "torch.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nraise ImportError('initialization failed')")
    done = subprocess.run([sys.executable, "-c", shell], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "spikeport train: interrupted\n")
    assert not (tmp_path / "out").exists()


def test_a_missing_gpu_is_told_before_anything_is_removed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (tmp_path / "network.nir").touch()
    for command in ("train", "run"):
        assert main([command, "--accelerator", "cuda", "--out", str(tmp_path)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "no CUDA device" in line and "choose cpu" in line
    assert (tmp_path / "network.nir").exists()
