"""The report: JSON out and back, one self-contained page that escapes everything, and stages that
were not run.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from support.networks.random_networks import random_network, random_stimulus
from support.pages.html_page import Page
from support.pages.reports import full_report, verification

from spikeport.analysis.common.numbers import count, nice_ticks, percent, si
from spikeport.analysis.cost.devices import device_named
from spikeport.analysis.decision.timestep_cut import with_proposal
from spikeport.analysis.information.fisher import FisherResult
from spikeport.analysis.information.history import FisherHistory
from spikeport.analysis.pages.render import render, write_page
from spikeport.analysis.results.rasters import SHOWN, sample_rasters
from spikeport.analysis.results.report import (
    Report,
    read_report,
    semantics_of,
    write_report,
)
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import write_json
from spikeport.hw.semantics import reference

LOIHI1 = device_named("loihi1")


EVIL = '<script>alert("x")</script>&\'"'


def test_json_there_and_back(tmp_path):
    report = full_report()
    write_report(report, tmp_path / "report.json")
    assert read_report(tmp_path / "report.json") == report


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "version 99"),
        ({"title": 3}, "title should be str"),
        ({"surprise": 1}, "surprise"),
        ({"accuracy": [{"stage": "float"}]}, "accuracy.0 should be"),
        ({"cost": {"device": 1}}, "cost"),
    ],
)
def test_refuses_what_is_no_report_in_one_line(tmp_path, change, message):
    path = tmp_path / "report.json"
    write_report(full_report(), path)
    write_json(path, {**json.loads(path.read_text()), **change})
    with pytest.raises(InputError, match=message) as error:
        read_report(path)
    assert "\n" not in str(error.value)


def test_refuses_missing_and_foreign_files(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_report(tmp_path / "report.json")
    (tmp_path / "report.json").write_text("[1, 2]")
    with pytest.raises(InputError, match="version None"):
        read_report(tmp_path / "report.json")


def test_the_page_is_self_contained(tmp_path):
    write_page(full_report(), tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    loaded = [value for tag, attributes in page.tags for key, value in attributes.items() if key in ("src", "href") and tag != "a"]
    assert loaded and all(value.startswith("data:image/png;base64,") for value in loaded)
    style = re.search(r"<style>(.*?)</style>", (tmp_path / "report.html").read_text(encoding="utf-8"), re.DOTALL).group(1)
    assert "url(" not in style and "@import" not in style and "prefers-color-scheme: dark" in style


def test_pictures_say_what_they_show():
    page = Page(render(full_report()))
    drawings = [attributes for tag, attributes in page.tags if tag == "svg" and "aria-hidden" not in attributes]
    assert len(drawings) == 13 + 3
    assert all(attributes.get("aria-label") for attributes in drawings)
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")


def test_nothing_reaches_the_page_unescaped():
    text = render(full_report(text=EVIL))
    assert "<script" not in text
    page = Page(text)
    assert page.text.count(EVIL) >= 8
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]


def test_the_page_says_what_was_found():
    report = full_report()
    words = Page(render(report)).text
    assert "0  differences" in words and "12,345,678 neuron-steps with 98,765 spikes" in words
    assert "reference = engine = lava" in words
    assert f"6 → {report.chosen}" in words and report.chosen < 6
    assert "inherited from Loihi 1, uncalibrated" in words
    assert "Not in these figures" in words and "host and input/output" in words
    for layer in report.cost.layers:
        assert layer.name in words


def test_the_cut_and_the_exit_are_told_with_their_losses():
    report = full_report()
    cut, exits = report.truncation, report.truncation.exit
    assert f"cut to T'\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{cut.chosen}" in render(report)
    words = " ".join(Page(render(report)).text.split())
    assert f"{cut.chosen} timesteps lose less than 1 point against 6 and against the float network" in words
    for loss in (cut.steps[0].losses.floating, cut.test.losses.full, exits.losses.floating, exits.test.losses.full):
        assert f"{loss.value:.2f} ({loss.low:.2f} to {loss.high:.2f})" in words
    assert "In real Lava at T' = 6: equal spike for spike in 12,345,678 neuron-steps" in words
    assert f"largest score leads by {exits.threshold:,}" in words and f"mean {exits.mean_steps:.2f}" in words
    assert si(report.exit_cost.dynamic.mean[0], "J") in words
    for other, price in zip(cut.conformal, report.conformal_cost, strict=True):
        assert f"{other.name} {other.mean_steps:.3g} {percent(other.accuracy)} {percent(other.coverage)} {other.set_size:.3f}" in words
        assert si(price.dynamic.mean[0], "J") in words


def test_fisher_information_that_is_not_there_proposes_and_draws_nothing():
    report = full_report()
    none = FisherResult((0.0,) * 6, (0.0,) * 6, (0.0,) * 6, {"conv1": (0.0,) * 6}, 64, "true", "mean", 0, per_block={"conv1": (0.0,) * 6})
    cut = replace(report.truncation, proposal=None, proposal_share=None)
    assert with_proposal(cut, none) == cut and with_proposal(cut, report.fisher).proposal
    page = Page(render(replace(report, fisher=none, truncation=cut)))
    assert "No information in 6 timesteps" in page.text and "nformation centroid" not in page.text
    assert "Fisher information" not in [attributes.get("aria-label", "")[:18] for _, attributes in page.tags]
    history = FisherHistory((1, 2, 3), (none, report.fisher, none))
    assert history.informative == FisherHistory((2,), (report.fisher,)) and history.centroids == (report.fisher.centroid,)
    assert "Information centroid over training" in Page(render(replace(report, fisher=none, fisher_history=history))).text
    nothing = FisherHistory((1,), (none,))
    assert "over training" not in Page(render(replace(report, fisher=none, fisher_history=nothing))).text


def test_what_was_not_shown_is_not_claimed():
    report = full_report()
    steps = tuple(replace(s, verdict="not shown") for s in report.truncation.steps)
    exits = replace(report.truncation.exit, threshold=None, losses=None)
    cut = replace(report.truncation, steps=steps, chosen=6, exit=exits, lava=None, lava_absent="no Lava here")
    words = " ".join(Page(render(replace(report, truncation=cut, exit_cost=None))).text.split())
    assert "No number of timesteps was shown to lose less than 1 point against the float network" in words
    assert "Not confirmed in Lava: no Lava here." in words and "no margin was shown to be safe" in words
    assert "timesteps lose less than" not in words and "is not shown to lose less than 1 point against the float network (" in words


def test_a_failed_verification_is_told_with_its_first_difference():
    words = Page(render(replace(full_report(), verification=verification(17)))).text
    assert "Verification failed" in words and "17  differences" in words
    assert "lava differs first in pop0, neuron (1, 4), timestep 2, sample 3" in words
    assert "Verified spike for spike" not in words


@pytest.mark.parametrize("stage", ["accuracy", "fisher", "truncation", "cost", "verification", "samples"])
def test_a_stage_that_was_not_run_is_said_to_be_absent(tmp_path, stage):
    report = replace(full_report(), **{stage: () if stage in ("accuracy", "samples") else None})
    write_report(report, tmp_path / "report.json")
    assert read_report(tmp_path / "report.json") == report
    assert len(report.absent) == 1
    assert f"Not run: {report.absent[0]}" in Page(render(report)).text


def test_a_report_of_nothing_but_the_network_renders():
    report = full_report()
    bare = Report("t", "s", report.network, report.semantics)
    assert len(bare.absent) == 6
    words = Page(render(bare)).text
    assert "Not verified" in words and "truncation not run" in words


@pytest.mark.parametrize("seed", range(10))
def test_reports_on_random_networks_render(seed):
    report = full_report(seed)
    Page(render(replace(report, cost=replace(report.cost, device=LOIHI1))))


def test_rasters_hold_the_spikes_that_they_show():
    network = random_network(8)
    stimulus = random_stimulus(8, network)
    record = reference.run(network, stimulus, "spikes")
    samples = sample_rasters(network, stimulus, record, count=2)
    assert len(samples) == 2 and samples[0].label is None
    for sample in samples:
        assert {v for row in sample.image for v in row} <= set(range(256))
        for layer in sample.layers:
            spikes = record.spikes[layer.name][sample.number].reshape(record.timesteps, -1)
            assert layer.counts == tuple(spikes.sum(axis=1))
            assert layer.shown == min(SHOWN, layer.neurons)
            if layer.shown == layer.neurons:
                assert [list(rows) for rows in layer.spikes] == [np.flatnonzero(step).tolist() for step in spikes]


def test_semantics_name_what_is_never_left_to_a_default():
    network = random_network(8)
    assert set(semantics_of(network)) >= {"time", "integrator", "threshold", "reset", "input", "readout", "rounding"}


def test_numbers_for_people():
    assert si(3.2e-6, "J") == "3.20 µJ" and si(0, "s") == "0 s" and si(1234.5, "W") == "1.23 kW"
    assert (count(1234.6), count(3.0), count(3.25)) == ("1,235", "3", "3.2")
    assert percent(0.98333) == "98.33 %"
    assert nice_ticks(0, 10) == [0, 2, 4, 6, 8, 10] and nice_ticks(94.1, 98.9) == [95, 96, 97, 98]
