"""`spikeport report A B`: through the command line, on two small runs of the same data and one of
other data.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nir
import numpy as np
import pytest
from support.pages.html_page import Page

from spikeport.analysis.common.jsonable import from_json
from spikeport.analysis.results.comparison import Comparison
from spikeport.analysis.results.report import read_report
from spikeport.cli import main
from spikeport.export.common.errors import InputError
from spikeport.export.nir.file import read_nir
from spikeport.hw.records.record import correct_over_time
from spikeport.stages.comparison import run_names
from spikeport.stages.folder.bound import read_result
from spikeport.train.data.registry import load

TINY = ["--arch", "8C3-P2-16", "--timesteps", "2", "--tolerance", "30", "--backends", "engine", "--verify-samples", "4"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """a and b on the same split, c on another one."""
    root = tmp_path_factory.mktemp("runs")
    for name, more in {"a": ["--epochs", "1"], "b": ["--epochs", "2", "--weight-bits", "4"], "c": ["--epochs", "1", "--seed", "1"]}.items():
        assert main(["run", *TINY, *more, "--out", str(root / name)]) == 0
    return root


def report(*arguments: object) -> int:
    return main(["report", *map(str, arguments)])


def test_the_page_and_its_values_lie_above_the_runs_and_say_what_they_say(runs, capsys):
    (runs / "b" / "report.json").unlink()
    assert report(runs / "a", runs / "b", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed.pop("kind") == "Comparison"
    digests = printed.pop("made_of")
    comparison = from_json(Comparison, printed)
    assert comparison == read_result(Comparison, runs / "comparison.json")
    assert [(run.name, run.method, run.weight_bits) for run in comparison.runs] == [("a", "stbp", 8), ("b", "stbp", 4)]
    for run in comparison.runs:
        whole = read_report(runs / run.name / "report.json")
        assert digests[run.name] == run.made_of["network"] == whole.made_of["network"]
        assert run.quantized == whole.curve("quantized") and run.deployed == (
            whole.cost.total.mean[run.chosen - 1],
            run.quantized.at(run.chosen),
        )
    assert comparison.groups == (("a", "b"),) and comparison.differences["train.epochs"] == ("1", "2")
    text = Page((runs / "comparison.html").read_text(encoding="utf-8")).text
    assert "train.epochs" in text and "uncalibrated" in text


def test_the_loss_is_counted_on_the_same_samples(runs):
    """Against the records, by hand."""
    assert report(runs / "a", runs / "b") == 0
    first, second = read_result(Comparison, runs / "comparison.json").runs
    labels, right = load("digits", None, 0, 2).test.labels, {}
    for run in (first, second):
        network, output = read_nir(runs / run.name / "network.nir"), np.load(runs / run.name / "test.npz")["output"]
        right[run.name] = correct_over_time(output, labels, network.readout)[:, run.chosen - 1]
    assert second.against == "a" and first.loss is None
    assert second.loss.value == pytest.approx(100 * (right["a"].mean() - right["b"].mean()))
    assert second.loss.low < second.loss.value < second.loss.high


def test_runs_on_other_test_data_are_said_not_to_be_comparable(runs, tmp_path, capsys):
    assert report(runs / "a", runs / "c", "--out", tmp_path / "page.html") == 0
    assert "different test data, and not comparable: a against c" in capsys.readouterr().err
    comparison = read_result(Comparison, tmp_path / "page.json")
    assert comparison.groups == (("a",), ("c",)) and not any(run.loss for run in comparison.runs)
    assert "not comparable" in Page((tmp_path / "page.html").read_text(encoding="utf-8")).text


def test_nothing_of_others_is_replaced_unasked(runs, tmp_path, capsys):
    page = tmp_path / "mine.html"
    page.write_text("mine")
    before = (runs / "a" / "report.json").stat().st_mtime_ns
    assert report(runs / "a", runs / "b", "--out", page) == 2
    assert page.read_text() == "mine" and (runs / "a" / "report.json").stat().st_mtime_ns == before
    assert report(runs / "a", runs / "b", "--out", page, "--force") == 0 and "<html" in page.read_text(encoding="utf-8")
    assert report(runs / "a", runs / "b", "--out", page) == 0
    (tmp_path / "mine_files" / "runs-side-by-side.csv").write_text("mine")
    assert report(runs / "a", runs / "b", "--out", page) == 2 and "runs-side-by-side.csv" in capsys.readouterr().err
    assert report(runs / "a", runs / "b", "--out", runs / "a" / "report.html") == 2
    assert read_report(runs / "a" / "report.json")
    assert "report.json is not a file of this kind" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "a"], "is given twice"),
        (["a", "b", "--out", "page.txt"], "must end in .html"),
        (["a", "--out", "page.html"], "--out is for a page of several runs"),
        (["a", "nowhere"], "nowhere is no directory"),
        (["a", "bare"], "network.nir does not exist"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(runs, tmp_path, monkeypatch, capsys, arguments, message):
    shutil.copytree(runs / "b", tmp_path / "bare")
    (tmp_path / "bare" / "network.nir").unlink()
    shutil.copytree(runs / "a", tmp_path / "a")
    shutil.copytree(runs / "b", tmp_path / "b")
    monkeypatch.chdir(tmp_path)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*") if path.is_file())
    assert report(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert (
        sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*") if path.is_file() and path.name != ".spikeport.lock")
        == before
    )


def imported(folder: Path) -> None:
    """A run of a network from elsewhere, in which class k drives neuron k."""
    ones, y = np.ones(3), np.arange(40) % 3
    lif = nir.LIF(tau=5e-3 * ones, r=5 * ones, v_leak=0 * ones, v_threshold=ones, v_reset=0 * ones)
    nodes = {
        "in": nir.Input({"input": np.array([3])}),
        "w": nir.Linear(2 * np.eye(3)),
        "lif": lif,
        "out": nir.Output({"output": np.array([3])}),
    }
    nir.write(folder / "net.nir", nir.NIRGraph(nodes=nodes, edges=[("in", "w"), ("w", "lif"), ("lif", "out")]))
    np.save(folder / "x.npy", np.repeat(np.eye(3, dtype=np.int8)[y][:, None], 4, axis=1))
    np.save(folder / "y.npy", y)
    given = [
        word for name, file in (("nir", "net.nir"), ("input", "x.npy"), ("targets", "y.npy")) for word in (f"--{name}", str(folder / file))
    ]
    meaning = ["--dt", "1e-3", "--integrator", "euler", "--reset", "zero", "--tolerance", "40", "--backends", "engine"]
    assert main(["run", *given, *meaning, "--out", str(folder / "imported")]) == 0


def test_imported_runs_are_compared_like_any_other(runs, tmp_path, capsys):
    imported(tmp_path)
    shutil.copytree(tmp_path / "imported", tmp_path / "coarse")
    assert (
        main(["quantize", str(tmp_path / "coarse"), "--weight-bits", "2", "--out", str(tmp_path / "coarse" / "network.nir"), "--force"])
        == 0
    )
    assert report(runs / "a", tmp_path / "imported", tmp_path / "coarse", "--out", tmp_path / "page.html") == 0
    comparison = read_result(Comparison, tmp_path / "page.json")
    assert [run.method for run in comparison.runs] == ["stbp", "imported", "imported"]
    assert [len(group) for group in comparison.groups] == [1, 2] and comparison.runs[2].loss is not None
    assert "truncation.json is left out" in capsys.readouterr().err


def test_names_are_what_folders_do_not_share():
    assert run_names([Path("x/run"), Path("y/run")]) == ["x/run", "y/run"]
    assert run_names([Path("runs/a"), Path("runs/b")]) == ["a", "b"]
    with pytest.raises(InputError, match="twice"):
        run_names([Path("a"), Path("b/../a")])
