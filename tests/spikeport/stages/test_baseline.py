"""`spikeport baseline`: measured once, shown by the report, left out where it speaks of another
training.
"""

from __future__ import annotations

import json

from spikeport.analysis.cost.baselines import level_bits
from spikeport.analysis.cost.verdict import verdict
from spikeport.analysis.results.report import read_report
from spikeport.cli import main


def test_the_report_compares_with_what_was_measured(tmp_path, capsys):
    place = tmp_path / "d"
    run = [
        "run",
        "--epochs",
        "1",
        "--arch",
        "40",
        "--backends",
        "engine,onnx",
        "--verify-samples",
        "5",
        "--tolerance",
        "50",
        "--out",
        str(place),
    ]
    assert main([*run, "--baselines"]) == 0
    first = json.loads((place / "baseline.json").read_text())
    capsys.readouterr()
    assert main(["baseline", str(place), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == first  # the same training again
    cut = read_report(place / "report.json").chosen
    assert [n["bits"] for n in found["networks"]] == list(dict.fromkeys([8, 3, level_bits(cut)])) and set(found["made_of"]) == {
        "settings",
        "validation",
        "test",
    }
    measured = {n["bits"]: n["test"] for n in found["networks"]}
    assert all(0 < accuracy < 1 for accuracy in measured.values())
    assert main(["report", str(place)]) == 0
    cost = read_report(place / "report.json").cost
    assert cost and {b.bits: b.accuracy for b in cost.baselines} == {8: None, 3: None, 2: None, 1: None} | measured
    assert f"accuracy {100 * measured[8]:.2f} % on test data" in verdict(cost, 4)[0]

    assert main(["baseline", str(place), "--bits", "9"]) == 2
    assert "numbers from 1 to 8" in capsys.readouterr().err

    assert main(["train", "--epochs", "1", "--arch", "30", "--out", str(tmp_path / "other")]) == 0
    assert main(["quantize", str(tmp_path / "other"), "--out", str(tmp_path / "other" / "network.nir")]) == 0
    (tmp_path / "other" / "baseline.json").write_bytes((place / "baseline.json").read_bytes())
    assert main(["report", str(tmp_path / "other")]) == 0
    report = read_report(tmp_path / "other" / "report.json")
    assert report.cost and all(b.accuracy is None for b in report.cost.baselines)
    assert any("baseline.json is left out" in warning for warning in report.warnings)


def test_a_network_from_elsewhere_has_no_settings_to_train_with(capsys):
    assert main(["run", "--nir", "x.nir", "--baselines", "--backends", "engine"]) == 2
    assert "leave it out" in capsys.readouterr().err


def test_a_network_that_has_none_is_told_so_before_it_is_trained(tmp_path, capsys):
    words = [
        "run",
        "--data",
        "digits",
        "--arch",
        "20R",
        "--method",
        "stbp",
        "--baselines",
        "--backends",
        "engine",
        "--out",
        str(tmp_path / "r"),
    ]
    assert main(words) == 2
    assert "sends to itself, which a network without spikes has no time for" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
