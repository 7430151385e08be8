"""The page of several runs: well-formed, escaped, self-contained, and saying what may not be
compared.
"""

from __future__ import annotations

from dataclasses import replace

from support.oracles.compared import REPORT, run_at
from support.pages.html_page import Page

from spikeport.analysis.common.numbers import DASH
from spikeport.analysis.decision.guarantee import LossLimits
from spikeport.analysis.pages.comparison import comparison_page, table_rows
from spikeport.analysis.pages.headlines import headlines
from spikeport.analysis.results.comparison import Comparison, compare, compared_run
from spikeport.analysis.results.report import Report

EVIL = '<script>alert("x")</script>&\'"'


def words(comparison: Comparison) -> str:
    return " ".join(Page(comparison_page(comparison)).text.split())


def column(comparison: Comparison, i: int) -> dict[str, str]:
    """What the table says of the i-th run."""
    return {name: values[i] for name, *values in table_rows(comparison)[1]}


def test_the_page_is_self_contained_and_its_pictures_say_what_they_show():
    page = Page(comparison_page(compare([run_at("a", 1, 0.5), run_at("b", 2, 0.7), run_at("c", 2, 0.7, "u")])))
    assert not {"script", "link", "iframe", "object", "img"} & {tag for tag, _ in page.tags}
    assert not [value for _, attributes in page.tags for key, value in attributes.items() if key in ("src", "href")]
    drawings = [attributes for tag, attributes in page.tags if tag == "svg" and "aria-hidden" not in attributes]
    assert len(drawings) == 2 * 2 and all(attributes.get("aria-label") for attributes in drawings)


def test_nothing_reaches_the_page_unescaped():
    runs = [
        run_at(f"{EVIL}{i}", i, 0.5, title=EVIL, settings={EVIL: str(i), "train.method": EVIL}, warnings=(EVIL,), made_of={"network": EVIL})
        for i in (1, 2)
    ]
    page = Page(comparison_page(compare(runs)))
    assert page.text.count(EVIL) >= 8 and "script" not in [tag for tag, _ in page.tags]
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]


def test_every_number_stands_with_its_samples_or_its_interval():
    run = run_at("a", 2e-6, 0.5)
    said = column(compare([run, run_at("b", 1e-6, 0.6)]), 0)
    assert said["deployed at T'"] == "50.00 % (100 test samples)"
    assert said["total energy at T'"] == "2.00 µJ (1.0 µJ to 4.0 µJ, uncalibrated)" and said["beaten by"] == "b"
    calibrated = replace(run, cost=replace(run.cost, calibrated=True))
    assert column(compare([calibrated]), 0)["total energy at T'"] == "2.00 µJ (1.0 µJ to 4.0 µJ)"
    assert said["spike for spike"] == "equal (engine, lava; 50 samples)" and said["weight bits"] == str(REPORT.network.weight_bits)
    failed = replace(run, verification=replace(run.verification, differences={"engine": 0, "lava": 3}))
    assert column(compare([failed]), 0)["spike for spike"] == "3 differences (engine, lava; 50 samples)"


def test_a_loss_names_what_it_is_against():
    lossy = run_at("b", 1, 0.4, against="a", loss=LossLimits(10.0, 2.5, 17.0))
    said = column(compare([run_at("a", 1, 0.5), lossy]), 1)
    assert said["loss at T'"] == "10.00 (2.50 to 17.00, against a)"


def test_other_test_data_is_said_and_drawn_apart():
    comparison = compare([run_at("a", 1, 0.5), run_at("b", 2, 0.4, "u")])
    text = words(comparison)
    assert "Measured on different test data, and not comparable: a against b" in text
    assert "timesteps: a" in text and "timesteps: b" in text
    assert [column(comparison, i)["beaten by"] for i in (0, 1)] == [DASH, DASH]


def test_what_was_not_run_is_a_dash_and_what_each_warns_of_is_told():
    bare = compared_run("bare", "r", Report("t", "s", REPORT.network, REPORT.semantics, made_of={"test": "t"}))
    comparison = compare([run_at("a", 1, 0.5), bare])
    said = column(comparison, 1)
    assert said["spike for spike"] == "not verified"
    assert {said[name] for name in ("float accuracy at T", "total energy at T'", "latency at T'", "cores", "beaten by")} == {DASH}
    assert "not run: accuracy, verification" in words(comparison)
    words(compare([bare, replace(bare, name="other")]))


def test_settings_that_differ_have_a_row():
    runs = [run_at("a", 1, 0.5, settings={"x.y": "1", "z": "2"}), run_at("b", 1, 0.5, settings={"x.y": "3", "z": "2"})]
    rows = [tag for tag, _ in Page(comparison_page(compare(runs))).tags]
    alike = [tag for tag, _ in Page(comparison_page(compare([runs[0], replace(runs[0], name="b")]))).tags]
    assert rows.count("tr") == alike.count("tr") + 2 and "All settings are the same" not in words(compare(runs))


def test_the_four_numbers_are_those_of_the_best_runs():
    runs = [run_at("a", 2e-6, 0.5), run_at("b", 1e-6, 0.6), run_at("c", 3e-6, 0.6)]
    said = " ".join("".join(headlines(compare(runs)).itertext()).split())
    assert "60.00 %b at T' = 1 and c at T' = 1" in said and "1.00 µJb at T' = 1; Loihi 2, uncalibrated" in said and "3 of 3" in said
    assert "60.00 %3 runs" in "".join(headlines(compare([*runs, run_at("d", 4e-6, 0.6)])).itertext())
    assert headlines(compare(runs[:1])) is None
    assert (
        headlines(compare([*runs, run_at("d", 1, 0.7, "u")])) is None and headlines(compare([runs[0], replace(runs[1], cost=None)])) is None
    )
