"""A user's own arrays as a data set, and the whole path on them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spikeport.cli import main
from spikeport.export.common.errors import InputError
from spikeport.train.data.registry import load


def two_bars(samples: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """4 x 4 images, bright on the left or on the right, with noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(samples) % 2
    x = rng.integers(0, 60, (samples, 4, 4))
    x[np.arange(samples), :, y * 3] += 190
    return x.astype(np.uint8), y


def test_integers_are_levels_and_floats_are_rounded(tmp_path):
    x, y = two_bars()
    np.savez(tmp_path / "a.npz", x=x, y=y)
    np.savez(tmp_path / "b.npz", x=x / 255 + 1e-4 * (x < 255), y=y)
    whole, real = (load(str(tmp_path / name)) for name in ("a.npz", "b.npz"))
    assert (whole.task.shape, whole.task.classes, whole.task.levels) == ((1, 4, 4), 2, int(x.max()))
    assert (len(whole.train), len(whole.validation), len(whole.test)) == (84, 18, 18)
    np.testing.assert_array_equal(np.rint(whole.train.array * x.max()), np.rint(real.train.array * 255))
    assert {bool(v) for v in np.bincount(whole.test.labels) == 9} == {True}, "classes in proportion"


def test_a_split_of_ones_own_is_kept_and_folders_work(tmp_path):
    x, y = two_bars()
    split = np.array(["train"] * 100 + ["validation"] * 15 + ["test"] * 5)
    for name, array in (("x", x), ("y", y), ("split", split)):
        np.save(tmp_path / f"{name}.npy", array)
    dataset = load(str(tmp_path))
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (100, 15, 5)
    np.testing.assert_array_equal(dataset.test.labels, y[115:])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"x": np.zeros((120, 4, 4), complex)}, "complex128 values"),
        ({"x": np.full((120, 4, 4), np.nan)}, "not all finite"),
        ({"x": np.full((120, 4, 4), 2.0)}, "floats in 0..1"),
        ({"x": np.full((120, 4, 4), -1)}, "integers in 0..255"),
        ({"x": np.zeros((120,))}, "x has shape"),
        ({"x": np.zeros((0, 7)), "y": np.zeros(0, int)}, "x has shape"),
        ({"x": np.zeros((120, 0))}, "x has shape"),
        ({"x": np.zeros((120, 4, 0))}, "x has shape"),
        ({"x": np.zeros((120, 2, 1, 4, 4), np.uint8)}, "train with --timesteps 2"),
        ({"y": np.zeros(7, int)}, "one class from 0 for each of 120"),
        ({"y": np.zeros(120)}, "one class from 0 for each of 120"),
        ({"y": np.full(120, 100_000)}, "classes are 0..99,999 at most"),
        ({"y": np.full(120, -1)}, "y lies in -1..-1"),
        ({"split": np.full(120, 7)}, "split must say"),
        ({"split": np.zeros(120, int)}, "too few samples"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path, changes, told):
    x, y = two_bars()
    np.savez(tmp_path / "a.npz", **{"x": x, "y": y, **changes})
    with pytest.raises(InputError, match=told) as caught:
        load(str(tmp_path / "a.npz"))
    assert "\n" not in str(caught.value)


def test_missing_arrays_and_files_are_told(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2)))
    with pytest.raises(InputError, match="no array y"):
        load(str(tmp_path / "a.npz"))
    with pytest.raises(InputError, match="does not exist"):
        load(str(tmp_path / "none.npz"))


def test_the_whole_path_on_ones_own_arrays(tmp_path):
    x, y = two_bars(200)
    np.savez(tmp_path / "own.npz", x=x, y=y)
    command = ["run", "--data", str(tmp_path / "own.npz"), "--arch", "12", "--timesteps", "3", "--epochs", "40", "--tolerance", "20"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    accuracy = {curve["stage"]: curve["accuracy"][-1] for curve in report["accuracy"] if curve["split"] == "test"}
    assert accuracy["quantized"] > 0.9
    assert "own.npz" in report["subtitle"]


def test_data_that_was_replaced_in_place_is_named(tmp_path, capsys):
    """Not the file that was made of it."""
    x, y = two_bars()
    np.savez(tmp_path / "own.npz", x=x, y=y)
    command = ["run", "--data", str(tmp_path / "own.npz"), "--arch", "4", "--timesteps", "2", "--epochs", "1", "--tolerance", "60"]
    command += ["--backends", "engine", "--out", str(tmp_path / "run")]
    assert main(command) == 0
    np.savez(tmp_path / "own.npz", x=x[::-1], y=y[::-1])
    for again in (command, ["report", str(tmp_path / "run")]):
        capsys.readouterr()
        assert main(again) == 2
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert "own.npz does not hold what" in last and "was trained on" in last


def test_validation_samples_of_ones_own_stay_those(tmp_path):
    x, y = two_bars()
    np.savez(tmp_path / "named.npz", x=x, y=y, split=np.repeat([0, 1, 2], 40))
    np.savez(tmp_path / "plain.npz", x=x, y=y)
    with pytest.raises(InputError, match=r"validation is 30, but named.npz has validation samples of its own; leave it out"):
        load(str(tmp_path / "named.npz"), validation=30)
    dataset = load(str(tmp_path / "plain.npz"), validation=30)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (72, 30, 18)
