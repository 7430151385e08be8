"""What new users get wrong: each is told in one line, before any work, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spikeport.analysis.common.numbers import counted
from spikeport.cli import main
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import write_text
from spikeport.export.model.seed import SEED_MAX
from spikeport.hw.records.stimulus import load_input
from spikeport.stages.config import run_config
from spikeport.train.data.batches import epoch_seed
from spikeport.train.data.registry import Task, load
from spikeport.train.network.build import WEIGHTS_MAX, build, stages_of
from spikeport.train.settings.config import THREADS_MAX, TrainConfig

SMALL = ["--arch", "4C3-P4", "--timesteps", "2", "--epochs", "1"]
TASK = Task("digits", (1, 8, 8), 10, 16)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    assert main(["train", *SMALL, "--out", str(out)]) == 0
    return out


def refused(command: list[str], capsys) -> str:
    """The one line that a command is refused with."""
    capsys.readouterr()
    try:
        status = main(command)
    except SystemExit as stop:  # argparse
        status = stop.code
    assert status == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"spikeport {command[0]}: ")
    return line


@pytest.mark.parametrize("seed", [-1, SEED_MAX + 1])
@pytest.mark.parametrize("command", ["train", "run", "sweep", "tic", "robustness"])
def test_seeds_that_no_generator_takes(command, seed, trained, tmp_path, capsys):
    out = {"sweep": ["--vary", f"seed=0,{seed}"]}.get(command, ["--seed", str(seed)])
    place = [str(trained)] if command in ("tic", "robustness") else []
    line = refused([command, *place, *out, "--out", str(tmp_path / "new")], capsys)
    assert f"seed is {seed}; it must lie in 0..{SEED_MAX}" in line
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("digits", "said"), [(20, "it must lie in"), (5000, "cannot be read as TOML")])
def test_a_seed_too_large_in_a_file(digits, said, tmp_path):
    (tmp_path / "c.toml").write_text(f"[train]\nseed = {'9' * digits}\n")
    with pytest.raises(InputError, match=said):
        run_config(tmp_path / "c.toml", {}, {})


def test_the_largest_seed_is_taken_by_every_generator():
    config = TrainConfig(arch="4C3-P4", seed=SEED_MAX)
    build(config, TASK)
    epoch_seed(config.seed, 1)
    load("digits", seed=config.seed)


@pytest.mark.parametrize("command", ["train", "run", "sweep --vary seed=0,1", "prune DIR"])
@pytest.mark.parametrize("place", ["x.npy", "x.npy/below/it"])
def test_a_folder_that_is_a_file(command, place, trained, tmp_path, capsys):
    (tmp_path / "x.npy").write_bytes(b"mine")
    line = refused([*command.replace("DIR", str(trained)).split(), "--out", str(tmp_path / place)], capsys)
    assert f"{tmp_path / 'x.npy'} is a file, not a directory; choose another place" in line
    assert (tmp_path / "x.npy").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "command",
    [
        "quantize DIR",
        "simulate n.nir --input x.npy",
        "verify n.nir --input x.npy",
        "export n.nir --to onnx",
        "tic DIR",
        "robustness DIR",
        "truncate DIR",
    ],
)
def test_a_file_that_is_a_folder(command, trained, tmp_path, capsys):
    """Told before the network is looked at: `n.nir` is not there."""
    line = refused([*command.replace("DIR", str(trained)).split(), "--out", str(tmp_path)], capsys)
    assert f"{tmp_path}: it is a directory; name a file" in line


def test_writing_over_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="it is a directory"):
        write_text(tmp_path, "text")
    assert not any(tmp_path.iterdir())


def test_arrays_that_hold_no_samples(trained, tmp_path, capsys):
    np.save(tmp_path / "number.npy", 3.0)
    np.savez(tmp_path / "many.npz", a=np.zeros(3), b=np.zeros(3))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "many.npz").read_bytes()[:50])
    for name, said in (("number.npy", "a single number"), ("many.npz", "an archive of arrays"), ("cut.npz", "an archive of arrays")):
        command = ["quantize", str(trained), "--calibration", str(tmp_path / name), "--out", str(tmp_path / "q.nir")]
        assert said in refused(command, capsys)
    assert not (tmp_path / "q.nir").exists()
    with pytest.raises(InputError, match="first axis counts samples"):
        load_input(tmp_path / "number.npy")


def test_too_few_samples_for_three_splits(tmp_path, capsys):
    events = np.zeros(8, [("x", "u2"), ("y", "u2"), ("t", "i8"), ("p", "u1")])
    events["t"] = np.arange(8) * 1000
    for label in "ab":
        (tmp_path / "data" / label).mkdir(parents=True)
        np.save(tmp_path / "data" / label / "r.npy", events)
    command = ["train", "--data", "events", "--data-dir", str(tmp_path / "data"), "--arch", "4", "--out", str(tmp_path / "out")]
    assert "0 for training, 1 for validation and 1 for testing" in refused(command, capsys)
    assert not (tmp_path / "out").exists()


def test_threads_have_a_limit():
    assert TrainConfig(threads=THREADS_MAX).threads == THREADS_MAX
    with pytest.raises(InputError, match="threads is 10000; at most 1024"):
        TrainConfig(threads=10000)


@pytest.mark.parametrize("arch", ["99999999C3-24", "8C3-P2-2000000000"])
def test_a_network_too_large_is_refused_before_it_is_made(arch, tmp_path, capsys):
    line = refused(["train", "--arch", arch, "--out", str(tmp_path / "out")], capsys)
    assert arch in line and f"at most {WEIGHTS_MAX:,}" in line


@pytest.mark.parametrize("arch", ["4C3-P2-6C3s2-MP2-12", "resnet-18"])
def test_weights_are_counted_as_they_are_made(arch):
    task = Task("cifar-10", (3, 32, 32), 10, 255)
    module = build(TrainConfig(data="cifar-10", arch=arch), task)
    made = sum(s.weights.weight.numel() for name in module.synapses for s in module.synapses_of(name) if s.weights is not None)
    assert sum(path.weight_count for stage in stages_of(arch, task) for path in stage.incoming) == made


@pytest.mark.parametrize("data", ["mnist", "cifar-10", "events", "imagenet"])
def test_a_data_folder_that_is_a_file(data, tmp_path, capsys):
    (tmp_path / "x.npy").touch()
    line = refused(["train", "--data", data, "--data-dir", str(tmp_path / "x.npy"), "--out", str(tmp_path / "out")], capsys)
    assert f"{tmp_path / 'x.npy'} is a file; give the folder that holds the files of {data}" in line


def test_one_is_not_many():
    assert [counted(number, "spike") for number in (0, 1, 1200)] == ["0 spikes", "1 spike", "1,200 spikes"]
