"""Sweeps: what is planned, a small one end to end, and one that is killed."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.places import ROOT

from spikeport.analysis.common.jsonable import from_json
from spikeport.analysis.results.training_comparison import Sweep
from spikeport.cli import main
from spikeport.export.common.errors import InputError
from spikeport.export.common.toml import read_toml
from spikeport.export.nir.file import read_nir
from spikeport.hw.backends.simulate import backend
from spikeport.hw.records.record import accuracy_over_time
from spikeport.hw.records.stimulus import encode
from spikeport.stages.config import SweepConfig
from spikeport.stages.sweep import GRID, plan
from spikeport.train.data.registry import load
from spikeport.train.loop import trainer
from spikeport.train.settings.tables import parse_table

EXPERIMENTS = ROOT / "experiments"
SMALL = ["--arch", "4C3-P2-16", "--epochs", "2", "--samples", "32"]


def planned(grid=False, train=None, **vary):
    return plan(SweepConfig(train=train or {}, vary=vary, grid=grid), "test")


def test_one_field_at_a_time_leaves_the_others_as_shared():
    points = planned(train={"timesteps": 4}, timesteps=[4, 6], seed=[0, 1])
    assert [(p.config.timesteps, p.config.seed) for p in points] == [(4, 0), (6, 0), (4, 1)]
    assert points[0].labels == {"timesteps": "timesteps=4", "seed": "seed=0"}  # one training, in both figures
    assert [dict(p.settings) for p in points] == [{"timesteps": t, "seed": s} for t, s in ((4, 0), (6, 0), (4, 1))]


def test_a_grid_has_every_combination():
    points = planned(grid=True, timesteps=[4, 6], seed=[0, 1, 2])
    assert [(p.config.timesteps, p.config.seed) for p in points] == [(t, s) for t in (4, 6) for s in (0, 1, 2)]
    assert {name for p in points for name in p.labels} == {GRID} and len({p.name for p in points}) == 6


def test_combinations_can_be_drawn():
    """The same every time, and among those of more draws; all of a grid in the end."""
    vary = {"timesteps": [2, 3, 4, 5], "seed": [0, 1, 2]}
    whole = [p.name for p in planned(grid=True, **vary)]
    drawn = [[p.name for p in plan(SweepConfig(vary=vary, grid=True, draw=n), "test")] for n in (0, 1, 4, 5, 12, 99)]
    assert [len(names) for names in drawn] == [12, 1, 4, 5, 12, 12] and drawn[4] == drawn[0] == whole
    assert all(set(few) <= set(more) for few, more in pairwise(drawn[1:]))
    assert drawn[2] == [name for name in whole if name in drawn[2]] != whole[:4]
    for wrong in ({"draw": 3}, {"draw": -1, "grid": True}):
        with pytest.raises(InputError, match="draw is"):
            SweepConfig(vary=vary, **wrong)


def test_the_search_of_tssl_bps_reproduction():
    """12 of the 60 choices of section 4.3, all else as in table 3."""
    path = EXPERIMENTS / "tssl-search.toml"
    points = plan(parse_table(SweepConfig, read_toml(path), str(path)), str(path))
    assert len(points) == 12 and len({p.config for p in points}) == 12
    for c in (p.config for p in points):
        assert c.epochs in (50, 100, 150, 200) and c.timesteps in (5, 10, 20)
        assert c.optimizer.learning_rate in (1e-4, 5e-4, 1e-3, 5e-3, 1e-2)
        assert (c.arch, c.batch_size, c.neuron.tau_m, c.neuron.tau_s, c.optimizer.course) == ("tssl-mnist", 50, 5, 3, "constant")


def test_nested_fields_by_dots_by_tables_and_together():
    for vary in ({"optimizer.learning_rate": [0.1]}, {"optimizer": {"learning_rate": [0.1]}}, {"optimizer": [{"learning_rate": 0.1}]}):
        (point,) = plan(SweepConfig(vary=vary), "test")
        assert point.config.optimizer.learning_rate == 0.1 and dict(point.settings) == {"optimizer.learning_rate": 0.1}
    (both,) = planned(neuron=[{"decay": 0.75, "gain": 0.25}])
    assert (both.config.neuron.decay, both.config.neuron.gain) == (0.75, 0.25)
    assert both.name == "neuron.decay=0.75_neuron.gain=0.25"


def test_data_and_method_bring_their_own_settings():
    mnist, digits = planned(data=["mnist", "digits"])
    assert mnist.config.arch == "mnist" and digits.config.arch == "digits"
    assert [p.config.neuron.__class__.__name__ for p in planned(method=["stbp", "dsr"])] == ["LIFConfig", "DSRConfig"]


@pytest.mark.parametrize(
    ("vary", "named"),
    [
        ({}, "nothing to vary"),
        ({"timesteps": 4}, "list"),
        ({"timesteps": []}, "list"),
        ({"timesteps": [0]}, "timesteps"),
        ({"colour": [1]}, "colour"),
    ],
)
def test_impossible_sweeps_are_refused_before_anything_is_trained(vary, named):
    with pytest.raises(InputError, match=named):
        plan(SweepConfig(vary=vary), "test")


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.toml")), ids=lambda p: p.stem)
def test_the_experiments_that_ship_can_be_planned(path):
    config = parse_table(SweepConfig, read_toml(path), str(path))
    points = plan(config, str(path))
    assert len(points) >= 4 and len({p.name for p in points}) == len(points)


def read(out: Path) -> Sweep:
    return from_json(Sweep, json.loads((out / "sweep.json").read_text()))


def test_end_to_end_and_again(tmp_path, capsys):
    file = tmp_path / "s.toml"
    file.write_text(
        'title = "Alpha"\nrobustness = true\nrobustness_samples = 24\n[train]\ntimesteps = 2\n[vary]\nloss = ["cross-entropy", "alpha-0.07"]\n'
    )
    out = tmp_path / "out"
    run = ["sweep", str(file), *SMALL, "--out", str(out)]
    assert main([*run, "--json"]) == 0
    sweep = read(out)
    assert from_json(Sweep, json.loads(capsys.readouterr().out)) == sweep
    assert [p.settings["loss"] for p in sweep.points] == ["cross-entropy", "alpha-0.07"] and sweep.planned == 2
    for point in sweep.points:
        trained = json.loads((out / point.name / "train.json").read_text())
        assert point.accuracy == tuple(trained["test_accuracy"]) and len(point.validation) == 2
        assert point.fisher.samples == 32 and len(point.fisher.per_step) == 2
        assert point.robustness and point.robustness.networks == ("float", "fixed point") and point.robustness.samples == 24
    page = (out / "sweep.html").read_text(encoding="utf-8")
    assert "Alpha" in page and "Robustness, fixed point" in page and "loss=alpha-0.07" in page
    shown = out / "sweep_files"
    kept = {"points.csv", "robustness.csv", "accuracy-over-training-by-loss.svg", "accuracy-over-training-by-loss.csv"}
    assert kept <= {p.name for p in shown.iterdir()}
    weights = {p: p.stat().st_mtime_ns for p in out.glob("*/*") if p.is_file() and p.name != "data.json" and p.parent != shown}
    assert main(run) == 0  # all there: nothing is made anew
    assert read(out) == sweep and {p: p.stat().st_mtime_ns for p in weights} == weights
    assert main([*run, "--seed", "5"]) == 2 and "another --out" in capsys.readouterr().err
    assert {p: p.stat().st_mtime_ns for p in weights} == weights


def test_killed_in_the_second_point_it_goes_on(tmp_path, monkeypatch):
    vary = ["--vary", "timesteps=2,3", "--vary", "seed=1", "--tic-every", "1"]
    assert main(["sweep", *SMALL, *vary, "--out", str(tmp_path / "unbroken")]) == 0
    calls, epoch = [], trainer._epoch

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return epoch(*arguments)

    run = ["sweep", *SMALL, *vary, "--out", str(tmp_path / "broken")]
    monkeypatch.setattr(trainer, "_epoch", killed)
    assert main(run) == 130
    partial = read(tmp_path / "broken")
    assert len(partial.points) == 1 and partial.planned == 3
    kept = (tmp_path / "broken" / partial.points[0].name / "model.safetensors").stat().st_mtime_ns
    epochs = []
    monkeypatch.setattr(trainer, "_epoch", lambda *arguments: (epochs.append(arguments[1]), epoch(*arguments))[1])
    assert main(run) == 0
    assert epochs == [1, 0, 1]  # the second point from its second epoch, then the third
    assert (tmp_path / "broken" / partial.points[0].name / "model.safetensors").stat().st_mtime_ns == kept
    sweep = read(tmp_path / "broken")
    assert sweep == read(tmp_path / "unbroken") and [p.history.epochs for p in sweep.points] == [(1, 2)] * 3


def test_the_centroid_is_followed_through_every_training(tmp_path, capsys):
    run = ["sweep", *SMALL, "--vary", "optimizer.learning_rate=0.01,0.03"]
    out = tmp_path / "followed"
    assert main([*run, "--tic-every", "1", "--out", str(out)]) == 0
    sweep = read(out)
    for point in sweep.points:
        best = json.loads((out / point.name / "train.json").read_text())["epoch"]
        assert point.history.epochs == (1, 2)
        assert point.history.results[best - 1] == point.fisher  # of the network that was kept, found again in its file
    assert "Information centroid over training" in (out / "sweep.html").read_text(encoding="utf-8")
    drawn = ElementTree.parse(out / "sweep_files" / "information-centroid-over-training-by-optimizer-learning-rat.svg")
    names = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    for point in sweep.points:
        first, last = point.history.centroids
        assert f"{point.name} ({first:.2f} to {last:.2f})" in names
    plain = tmp_path / "plain"
    assert main([*run, "--out", str(plain)]) == 0  # looking changes no weight
    assert [p.accuracy for p in read(plain).points] == [p.accuracy for p in sweep.points]
    assert not list((plain / "sweep_files").glob("information-*")) and "Information centroid over training" not in (
        plain / "sweep.html"
    ).read_text(encoding="utf-8")
    capsys.readouterr()
    for folder, every in ((plain, "1"), (out, "2")):
        assert main([*run, "--tic-every", every, "--out", str(folder)]) == 2
        assert f"--tic-every {every}" in capsys.readouterr().err
    assert main([*run, "--tic-every", "-1", "--out", str(out)]) == 2 and "tic_every is -1" in capsys.readouterr().err


def test_bits_of_a_weight_are_those_of_quantize(tmp_path, capsys):
    out = tmp_path / "bits"
    assert main(["sweep", *SMALL, "--vary", "seed=0,1", "--weight-bits", "8,3", "--out", str(out)]) == 0
    assert "in 8 bits" in capsys.readouterr().out
    test = load("digits", seed=1).test
    for bits in ("8", "3"):
        point, file = read(out).points[1], tmp_path / f"{bits}.nir"
        assert main(["quantize", str(out / point.name), "--weight-bits", bits, "--out", str(file)]) == 0
        network = read_nir(file)
        record = backend("engine")(network, encode(network.input, test.array, network.timesteps))
        assert point.fixed_point[bits] == tuple(accuracy_over_time(record.output, test.labels, network.readout))
    assert (out / "sweep_files" / "accuracy-in-fixed-point-by-seed.svg").exists()
    for wrong, said in (("9", "weight bits is 9; choose 2 to 8"), ("8,x", "'8,x' should be numbers, such as 8,4,3")):
        with suppress(SystemExit):
            assert main(["sweep", *SMALL, "--vary", "seed=0", "--weight-bits", wrong, "--out", str(tmp_path / "wrong")]) == 2
        assert said in capsys.readouterr().err and not (tmp_path / "wrong").exists()


def test_a_folder_holds_one_sweep_that_may_grow(tmp_path, capsys):
    """More values go on; points that would be lost are refused before anything is written; pictures
    that no longer belong go.
    """
    base = ["sweep", "--arch", "4", "--epochs", "1", "--samples", "8", "--out", str(tmp_path)]
    assert main([*base, "--vary", "timesteps=2", "--tic-every", "1"]) == 0
    mine = tmp_path / "sweep_files" / "mine.svg"
    assert main([*base, "--vary", "timesteps=2,3", "--grid"]) == 0
    assert [p.name for p in read(tmp_path).points] == ["timesteps=2", "timesteps=3"]
    drawn = {"accuracy-over-training-by-all-combinations.svg", "fisher-information-by-all-combinations.svg"}
    assert {p.name for p in (tmp_path / "sweep_files").glob("*.svg")} == drawn
    mine.write_text("<svg/>")
    assert main([*base, "--vary", "timesteps=2,3", "--grid"]) == 2 and "mine.svg was not written by spikeport" in capsys.readouterr().err
    mine.unlink()
    before = {p: p.read_bytes() for p in tmp_path.glob("*.*") if p.is_file()}
    for vary in (["timesteps=3"], ["seed=1"], ["timesteps=2", "seed=1"]):
        assert main([*base, *(word for value in vary for word in ("--vary", value))]) == 2
        assert "sweep.json is of a sweep with other points, such as timesteps=" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in before} == before and {p.name for p in tmp_path.iterdir() if p.is_dir()} == {
        "timesteps=2",
        "timesteps=3",
        "sweep_files",
    }


def test_force_replaces_the_sweep_and_its_points(tmp_path, capsys):
    """And nothing of the user's, nor a folder outside that a damaged file names."""
    out, base = tmp_path / "sweep", ["sweep", "--arch", "4", "--samples", "8", "--out", str(tmp_path / "sweep")]
    assert main(["train", "--arch", "4", "--epochs", "1", "--timesteps", "2", "--out", str(tmp_path / "outside")]) == 0
    assert main([*base, "--epochs", "1", "--vary", "timesteps=2,3"]) == 0
    (out / "timesteps=3" / "mine.txt").write_text("mine")
    assert main([*base, "--epochs", "2", "--vary", "timesteps=2"]) == 2
    (out / "sweep.json").write_text((out / "sweep.json").read_text().replace('"name": "timesteps=2"', '"name": "../outside"'))
    capsys.readouterr()
    assert main([*base, "--epochs", "2", "--vary", "timesteps=2", "--vary", "neuron.decay=7", "--force"]) == 2
    assert (out / "timesteps=3" / "model.safetensors").exists()  # checked before anything goes
    assert main([*base, "--epochs", "2", "--vary", "timesteps=2", "--force"]) == 0
    assert [(p.name, len(p.validation)) for p in read(out).points] == [("timesteps=2", 2)]
    assert [p.name for p in (out / "timesteps=3").iterdir()] == ["mine.txt"]
    assert (tmp_path / "outside" / "model.safetensors").exists()
    (out / "sweep.json").write_text("{}")
    assert main([*base, "--epochs", "1", "--vary", "timesteps=2", "--force"]) == 0


def test_a_training_that_diverges_is_told_and_the_others_go_on(tmp_path, capsys):
    rates = ["--vary", "optimizer.learning_rate=1e9,0.004"]
    assert main(["sweep", *SMALL, *rates, "--out", str(tmp_path)]) == 1
    assert "diverged in epoch 1" in capsys.readouterr().out
    sweep = read(tmp_path)
    assert list(sweep.failed) == ["optimizer.learning_rate=1e+09"] and "diverged" in (tmp_path / "sweep.html").read_text()
    assert [p.settings["optimizer.learning_rate"] for p in sweep.points] == [0.004]


@pytest.mark.parametrize("wrong", ["timesteps", "timesteps=", "=4"])
def test_a_wrong_vary_is_told_in_a_line(tmp_path, capsys, wrong):
    assert main(["sweep", "--vary", wrong, "--out", str(tmp_path / "out")]) == 2
    assert "FIELD=A,B" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_values_are_toml_or_text(tmp_path, capsys):
    """Numbers, tables and words; the error of a value out of range names the point."""
    bad = ["--vary", "neuron={decay=0.5,gain=0.5},{decay=2.0}"]
    assert main(["sweep", *bad, "--out", str(tmp_path / "out")]) == 2
    assert "decay" in capsys.readouterr().err
    assert main(["sweep", "--vary", "loss=cross-entropy,nonsense", "--out", str(tmp_path / "out")]) == 2
    assert "nonsense" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_an_unfinished_training_that_was_not_followed_is_refused_before_anything_trains(tmp_path, monkeypatch, capsys):
    run, epoch = ["sweep", *SMALL, "--vary", "timesteps=2,3", "--out", str(tmp_path / "out")], trainer._epoch
    epochs = []

    def killed(*arguments):
        epochs.append(arguments[1])
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return epoch(*arguments)

    monkeypatch.setattr(trainer, "_epoch", killed)
    assert main(run) == 130
    assert main([*run, "--tic-every", "1"]) == 2 and "--tic-every 1 from its first epoch" in capsys.readouterr().err
    assert epochs == [0, 1]
