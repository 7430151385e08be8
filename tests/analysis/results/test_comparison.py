"""Runs side by side: what may be compared, who is beaten, what differs; JSON out and back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.oracles.compared import REPORT, run_at

from spikeport.analysis.common.jsonable import from_json, to_json
from spikeport.analysis.cost.devices import device_named
from spikeport.analysis.results.comparison import Comparison, compare, compared_run
from spikeport.analysis.results.report import Report


def test_json_there_and_back():
    comparison = compare([run_at("a", 1, 0.5), run_at("b", 2, 0.6, settings={"train.method": "dsr"}), run_at("c", 1, 0.5, "u")])
    assert from_json(Comparison, json.loads(json.dumps(to_json(comparison)))) == comparison


def test_a_run_says_what_its_report_says():
    report = replace(REPORT, made_of={"network": "n", "test": "t"}, configuration={"train": {"method": "dsr", "epochs": [1, 2]}})
    run = compared_run("x", "x/report.json", report)
    assert (run.method, run.settings["train.epochs"]) == ("dsr", "[1, 2]")
    assert (run.timesteps, run.chosen, run.weight_bits) == (6, report.chosen, report.network.weight_bits) and run.weight_bits
    assert run.points == list(zip(report.cost.total.mean, report.curve("quantized").accuracy))
    assert run.deployed == (report.cost.total.mean[run.chosen - 1], report.curve("quantized").at(run.chosen))
    assert set(run.warnings) >= set(report.all_warnings)
    bare = compared_run("y", "y", Report("t", "s", report.network, report.semantics))
    assert bare.deployed is None and bare.points == [] and "accuracy" in bare.warnings[-1] and bare.method == "imported"


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 4)), min_size=1, max_size=7))
def test_beaten_is_dominated(found):
    """Against the definition: energy and negated accuracy are both no larger, and not both the
    same.
    """
    comparison = compare([run_at(str(i), energy, right / 4) for i, (energy, right) in enumerate(found)])
    for i, (energy, right) in enumerate(found):
        expected = {str(j) for j, (e, r) in enumerate(found) if e - energy <= 0 <= r - right and (e, r) != (energy, right)}
        assert set(comparison.beaten[str(i)]) == expected
    assert any(not others for others in comparison.beaten.values())


def test_runs_on_other_test_data_or_prices_are_not_compared():
    other = run_at("c", 0.5, 0.9, "u")
    priced = compared_run("d", "d", replace(REPORT, made_of={"test": "t"}, cost=replace(REPORT.cost, device=device_named("loihi1"))))
    unknown = run_at("e", 0.1, 1.0, "")
    comparison = compare([run_at("a", 1, 0.5), run_at("b", 2, 0.4), other, priced, unknown])
    assert comparison.groups == (("a", "b"), ("c",), ("d",), ("e",))
    assert comparison.beaten["b"] == ("a",) and comparison.beaten["a"] == ()
    said = " | ".join(comparison.remarks)
    assert "different test data, and not comparable: a, b and d against c" in said
    assert "energy and latency are not comparable: a, b, c and e against d" in said and "e does not say which test data" in said


@pytest.mark.parametrize(("settings", "expected"), [(({"x": "1"}, {"x": "1"}), {}), (({"x": "1"}, {}), {"x": ("1", None)})])
def test_differences_are_settings_that_are_not_the_same(settings, expected):
    runs = [run_at(name, 1, 0.5, settings=each) for name, each in zip("ab", settings)]
    assert compare(runs).differences == expected


def test_what_is_not_verified_or_differs_is_a_remark():
    failed = replace(REPORT.verification, differences={"engine": 0, "lava": 3})
    remarks = compare([run_at("a", 1, 0.5, verification=None), run_at("b", 1, 0.5, verification=failed)]).remarks
    assert "not verified: a" in remarks and "verification found differences: b" in remarks
