"""`spikeport truncate` and what follows from it, from the command line: the answer, Lava's part in
it, and early exit on new input.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeport.analysis.decision.timestep_cut import Truncation
from spikeport.analysis.results.report import read_report
from spikeport.analysis.results.retraining import Retraining
from spikeport.cli import main
from spikeport.export.common.errors import InputError
from spikeport.export.nir.file import read_nir, write_nir
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference
from spikeport.stages.folder.bound import read_result
from spikeport.stages.folder.workspace import Workspace
from spikeport.train.data.registry import load
from spikeport.train.loop.evaluation import evaluate


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    assert main(["train", "--data", "digits", "--arch", "8C3-P2-32", "--epochs", "8", "--timesteps", "3", "--out", str(out)]) == 0
    assert main(["quantize", str(out), "--out", str(out / "network.nir")]) == 0
    return out


def truncate(folder: Path, *more: str) -> tuple[int, Truncation]:
    status = main(["truncate", str(folder), "--tolerance", "4", "--out", str(folder / "truncation.json"), *more])
    return status, read_result(Truncation, folder / "truncation.json")


def answering(monkeypatch, run) -> None:
    """Put `run` where Lava would be, or raise it."""

    def backend(name: str):
        assert name == "lava"
        if isinstance(run, Exception):
            raise run
        return run

    monkeypatch.setattr("spikeport.stages.truncation.backend", backend)


def test_without_lava_one_line_says_so_and_the_rest_is_done(trained, monkeypatch, capsys):
    answering(monkeypatch, InputError("Intel's Lava cannot be imported; run on Python 3.10"))
    status, found = truncate(trained)
    assert status == 0 and found.lava is None and "cannot be imported" in found.lava_absent
    assert "\nLava: skipped, Intel's Lava cannot be imported; run on Python 3.10\n" in capsys.readouterr().out
    assert read_nir(trained / "deployed.nir").timesteps == found.chosen
    assert main(["report", str(trained)]) == 0
    page = (trained / "report.html").read_text(encoding="utf-8")
    assert "Not confirmed in Lava: Intel" in page and "In real Lava at" not in page


def test_lava_runs_so_many_samples_for_the_chosen_timesteps(trained, monkeypatch, capsys):
    answering(monkeypatch, reference.run)
    status, found = truncate(trained, "--lava-samples", "7")
    assert status == 0 and found.lava and found.lava.equal and found.lava_absent == ""
    assert (found.lava.samples, found.lava.timesteps, found.lava.backends) == (7, found.chosen, ("lava",))
    assert truncate(trained, "--lava-samples", "0")[1].lava_absent == "no samples were asked for"
    assert "loss against float" in capsys.readouterr().out


def test_a_lava_that_differs_fails_the_command(trained, monkeypatch, capsys):
    def other(network, stimulus, record="counts", **options):
        found = reference.run(network, stimulus, record, **options)
        return replace(found, spikes={name: ~spikes for name, spikes in found.spikes.items()})

    answering(monkeypatch, other)
    status, found = truncate(trained, "--lava-samples", "2")
    assert status == 1 and found.lava and not found.lava.equal
    assert "lava differs first in" in capsys.readouterr().out


def test_a_negative_number_of_samples_is_refused(trained, tmp_path, capsys):
    out = tmp_path / "t.json"
    assert main(["truncate", str(trained), "--lava-samples", "-1", "--out", str(out)]) == 2
    assert "--lava-samples is -1" in capsys.readouterr().err and not out.exists()


def test_the_float_reference_is_the_trained_network(trained):
    """The accuracy that the losses are taken against is that which training measured."""
    _, found = truncate(trained, "--lava-samples", "0")
    metrics = Workspace(trained).trained().metrics
    assert found.accuracy_floating == pytest.approx(metrics["validation_accuracy"][-1])
    assert found.test and found.test.accuracy_floating == pytest.approx(metrics["test_accuracy"][-1])


def test_simulate_stops_each_sample_where_the_exit_was_confirmed(trained, tmp_path, capsys):
    _, found = truncate(trained, "--lava-samples", "0")
    assert found.exit and found.exit.threshold and found.exit.test
    test = load("digits").test
    np.save(tmp_path / "x.npy", test.images)
    command = ["simulate", str(trained / "network.nir"), "--input", str(tmp_path / "x.npy"), "--out", str(tmp_path / "o.npz")]
    capsys.readouterr()
    assert main([*command, "--exit-margin", str(found.exit.threshold), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["exit"]
    assert said["mean_steps"] == pytest.approx(found.exit.mean_steps) and said["mean_steps"] < 3
    assert (np.array(said["answers"]) == test.labels).mean() == pytest.approx(found.exit.test.accuracy_chosen)
    for wrong in (["--exit-margin", "0"], ["--exit-margin", "5", "--backend", "torch"]):
        assert main([*command, *wrong]) == 2
        assert "--exit-margin is" in capsys.readouterr().err


def test_conformal_exits_are_those_of_the_records(trained, capsys):
    """Coverage and steps of Bonferroni's at 95 %, sample by sample from the reference's output."""
    _, found = truncate(trained, "--lava-samples", "0")
    network, data = read_nir(trained / "network.nir"), load("digits")
    exits = next(e for e in found.conformal if (e.target, e.correction) == (0.95, "Bonferroni"))
    assert f"{exits.name}  " in capsys.readouterr().out
    scores = {
        part: reference.run(network, encode(network.input, split.array, 3), "counts").output.astype(int).cumsum(axis=1)
        for part, split in (("validation", data.validation), ("test", data.test))
    }
    lags = {part: s.max(axis=2, keepdims=True) - s for part, s in scores.items()}
    known = lags["validation"][np.arange(len(data.validation)), :, data.validation.labels]
    limits = np.sort(known, axis=0)[len(known) - (len(known) + 1) // 60]  # counted from 0; 0.05 / 3 is 1 / 60
    covered = steps = 0
    for lag, label in zip(lags["test"], data.test.labels):
        sets = [set(np.flatnonzero(lag[t] <= limits[t])) for t in range(3)]
        stop = next((t for t in range(3) if len(sets[t]) == 1), 2)
        covered, steps = covered + (label in sets[stop]), steps + stop + 1
    assert exits.coverage == pytest.approx(covered / len(data.test)) and exits.mean_steps == pytest.approx(steps / len(data.test))
    assert main(["report", str(trained)]) == 0
    prices = read_report(trained / "report.json").conformal_cost
    assert len(prices) == len(found.conformal) and all(p.dynamic.mean[0] > 0 for p in prices)


def test_the_report_takes_what_verify_wrote(trained, tmp_path, capsys):
    np.save(tmp_path / "x.npy", load("digits").test.images[:6])
    command = ["verify", str(trained / "network.nir"), "--input", str(tmp_path / "x.npy"), "--backends", "engine,onnx"]
    kept = trained / "verify.json"
    assert main([*command, "--out", str(kept)]) == 0
    assert main(["report", str(trained)]) == 0
    assert "verification" not in capsys.readouterr().out
    found = read_report(trained / "report.json").verification
    assert found and found.equal and found.backends == ("engine", "onnx") and found.samples == 6
    os.utime(kept, (0, 0))  # times decide nothing
    assert main(["report", str(trained)]) == 0
    assert read_report(trained / "report.json").verification == found
    for text, why in (("{}", "does not say which network"), ("junk", "cannot be read as JSON")):
        kept.write_text(text)
        assert main(["report", str(trained)]) == 0
        assert "verification" in capsys.readouterr().out
        report = read_report(trained / "report.json")
        assert report.verification is None and any("verify.json is left out" in warning and why in warning for warning in report.warnings)
    kept.unlink()


def test_a_network_in_which_nothing_fires_is_told(trained, tmp_path, capsys):
    """Thresholds out of reach, in the file of an honest training."""
    dead = tmp_path / "dead"
    shutil.copytree(trained, dead)
    network = read_nir(dead / "network.nir")
    spiking = [p for p in network.populations if p.neuron.spiking]
    quiet = [replace(p, neuron=replace(p.neuron, threshold=np.full_like(p.neuron.threshold, 2**17 - 1))) for p in spiking]
    rest = [p for p in network.populations if not p.neuron.spiking]
    write_nir(replace(network, populations=(*quiet, *rest)), dead / "network.nir")
    np.save(tmp_path / "x.npy", load("digits").test.images[:6])
    command = ["verify", str(dead / "network.nir"), "--input", str(tmp_path / "x.npy"), "--backends", "engine"]
    assert main([*command, "--out", str(dead / "verify.json")]) == 0
    said = "no neuron fires in 6 samples: that backends are equal says little here"
    assert said in capsys.readouterr().out
    assert main(["report", str(dead)]) == 0
    warnings = read_report(dead / "report.json").all_warnings
    assert "conv1 and dense1 never fire in 360 test samples: that backends are equal says little here" in warnings
    assert "the output is the same for all 360 test samples: that backends are equal says little here" in warnings
    assert main([*command[:1], str(trained / "network.nir"), *command[2:]]) == 0 and "says little" not in capsys.readouterr().out
    assert main(["report", str(trained)]) == 0
    assert not [w for w in read_report(trained / "report.json").all_warnings if "says little" in w]


def retrained(folder: Path, out: Path, *more: str) -> int:
    words = ["--tolerance", "4", "--lava-samples", "0", "--out", str(folder / "truncation.json"), "--retrain", str(out), *more]
    return main(["truncate", str(folder), *words])


def test_retraining_is_judged_against_the_network_as_it_was(trained, tmp_path, capsys):
    out = tmp_path / "short"
    assert retrained(trained, out, "--t-retrain", "2", "--retrain-epochs", "2") == 0
    text = capsys.readouterr().out
    assert "retrained for T' = 2 (given), 2 epochs; judged against the network as it was, at T" in text
    assert "both statements hold with 95% confidence" in text
    found = read_result(Retraining, Workspace(out).retraining)
    assert (found.before.timesteps, found.after.timesteps, found.before.confidence) == (3, 2, 0.975)
    assert [s.level for s in found.after.steps] == pytest.approx([0.025] * 2)
    assert found.after.accuracy_floating == found.before.accuracy_floating  # one reference for both
    assert found.after.test.accuracy_full == found.before.test.accuracy_full
    assert Workspace(out).trained().config.timesteps == read_nir(out / "network.nir").timesteps == 2
    assert main(["report", str(out)]) == 0
    assert retrained(trained, out, "--t-retrain", "2", "--retrain-epochs", "2") == 0  # taken up: the same again
    assert read_result(Retraining, Workspace(out).retraining) == found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--t-retrain", "3"], "--t-retrain is 3; it lies in 1..2"),
        (["--retrain-epochs", "0"], "--retrain-epochs is 0"),
    ],
)
def test_impossible_retraining_is_one_line(trained, tmp_path, capsys, words, said):
    assert retrained(trained, tmp_path / "short", *words) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "short" / "config.toml").exists()


def test_retraining_leaves_other_trainings_alone(trained, capsys):
    assert retrained(trained, trained) == 2
    assert "is the trained network itself" in capsys.readouterr().err
    assert main(["truncate", str(trained), "--t-retrain", "2", "--out", str(trained / "truncation.json")]) == 2
    assert "give --retrain DIR2 too" in capsys.readouterr().err


def test_the_tests_begin_with_what_training_samples_propose(trained, capsys):
    status, found = truncate(trained, "--lava-samples", "0")
    accuracy = Workspace(trained).trained()
    data = load("digits", None, 0, 3).train
    right = evaluate(accuracy.module, data.images, data.labels, 3)
    assert status == 0 and found.began == 1 + [100 * (right[-1] - a) <= 2 for a in right].index(True)
    assert f"the tests began with T' = {found.began}, proposed by accuracy on 1,037 training samples" in capsys.readouterr().out
    assert truncate(trained, "--lava-samples", "0", "--begin", "all")[1].began is None


def test_fisher_information_on_training_samples_may_begin_but_not_on_validation_samples(trained, capsys):
    assert main(["tic", str(trained), "--samples", "64"]) == 0
    status, found = truncate(trained, "--lava-samples", "0", "--begin", "fisher")
    assert status == 0 and found.began == found.proposal and found.samples == 400
    kept = json.loads((trained / "tic.json").read_text())
    assert kept["samples"] == 64 and set(kept["made_of"]) == {"trained", "training"}
    kept["made_of"] = {"trained": kept["made_of"]["trained"], "validation": "0" * 64}
    (trained / "tic.json").write_text(json.dumps(kept))
    capsys.readouterr()
    status, found = truncate(trained, "--lava-samples", "0")
    assert found.proposal is None and "it was taken on validation samples" in "".join(capsys.readouterr())
