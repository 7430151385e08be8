"""`spikeport train` under torchrun, as users meet it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support.together import torchrun

from spikeport.cli import main
from spikeport.train.loop import trainer
from spikeport.train.loop.checkpoint import load
from spikeport.train.loop.resume import STATE

WORDS = ["--arch", "4C3-P4", "--timesteps", "2", "--epochs", "2", "--seed", "3"]
FAILS = """
import os, signal
import spikeport as sp
from spikeport.export.common.errors import InputError

def fails(output, labels, neuron):
    if os.environ["RANK"] == "1":
        {act}
    return output.mean()

sp.add_loss("fails", fails)
"""


def ours(done):
    """Lines that spikeport wrote, not torchrun."""
    return [line for line in done.stderr.splitlines() if re.match(r"spikeport \w+:", line)]


def test_two_processes_go_on_with_what_one_began(tmp_path, monkeypatch):
    epoch = trainer._epoch

    def killed(run, number):
        if number:
            raise KeyboardInterrupt
        return epoch(run, number)

    assert main(["train", *WORDS, "--out", str(tmp_path / "unbroken")]) == 0
    monkeypatch.setattr(trainer, "_epoch", killed)
    assert main(["train", *WORDS, "--out", str(tmp_path / "run")]) == 130 and (tmp_path / "run" / STATE).is_file()
    done = torchrun(2, ["-m", "spikeport", "train", "--resume", "--out", tmp_path / "run"], timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test accuracy") == 1 and done.stderr.count("epoch 2 of 2") == 1, "the first process alone speaks"
    alone, together = load(tmp_path / "unbroken"), load(tmp_path / "run")
    for name, weight in alone.module.state_dict().items():
        np.testing.assert_allclose(together.module.state_dict()[name], weight, rtol=1e-3, atol=1e-4, err_msg=name)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {path.name for path in (tmp_path / "unbroken").iterdir()}


def test_a_batch_that_does_not_divide_is_one_line(tmp_path):
    (tmp_path / "odd.toml").write_text("[train]\nbatch_size = 25\n", encoding="utf-8")
    words = ["-m", "spikeport", "train", *WORDS, "--config", tmp_path / "odd.toml", "--out", tmp_path / "run"]
    done = torchrun(2, words, timeout=300)
    assert ours(done) == ["spikeport train: a batch of 25 samples does not divide among 2 processes; take a multiple of 2 as batch_size"], (
        done.stderr
    )
    assert done.returncode != 0 and "exitcode  : 2" in done.stderr and not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "act, said",
    [
        ('raise InputError("this process fails")', "spikeport train: this process fails"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "spikeport train: another process of this training ended"),
    ],
)
def test_a_process_that_fails_ends_all_with_one_line(act, said, tmp_path):
    (tmp_path / "parts.py").write_text(FAILS.format(act=act), encoding="utf-8")
    words = ["-m", "spikeport", "train", *WORDS, "--plugin", tmp_path / "parts.py", "--loss", "fails", "--out", tmp_path / "run"]
    done = torchrun(2, words, timeout=300)
    assert done.returncode != 0
    assert len(ours(done)) == 1 and ours(done)[0].startswith(said), done.stderr


@pytest.mark.slow
def test_other_commands_are_refused_in_one_line(tmp_path):
    done = torchrun(2, ["-m", "spikeport", "run", "--out", tmp_path / "run"], timeout=300)
    assert done.returncode != 0 and len(ours(done)) == 1 and "only 'spikeport train' does" in ours(done)[0], done.stderr
    assert not (tmp_path / "run").exists()
