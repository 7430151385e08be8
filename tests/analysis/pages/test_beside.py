"""Figures and tables as files beside the page: they hold what it shows, exactly, and are linked
where it stands.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.oracles.compared import run_at
from support.pages.html_page import Page
from support.pages.reports import full_report

from spikeport.analysis.common.numbers import DASH, Quantity, percent, si
from spikeport.analysis.figures.tables import data_table, filled_bar
from spikeport.analysis.pages.beside import csv_text
from spikeport.analysis.pages.comparison import write_comparison
from spikeport.analysis.pages.kept import folder_of
from spikeport.analysis.pages.picture import colours
from spikeport.analysis.pages.render import write_page
from spikeport.analysis.results.comparison import compare
from spikeport.export.common.files import read_json

MADE_OF = {"network": "0" * 64, "test": "1" * 64}


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.fixture
def page(tmp_path) -> Path:
    """A report with everything, written."""
    write_page(full_report(), tmp_path / "report.html")
    return tmp_path / "report.html"


def test_every_link_leads_to_a_file_and_every_file_has_a_link(page):
    links = [a["href"] for tag, a in Page(page.read_text(encoding="utf-8")).tags if tag == "a"]
    here = {f"report_files/{path.name}" for path in folder_of(page).iterdir()} - {"report_files/manifest.json"}
    assert set(links) == here and len(links) == len(here)


def test_every_figure_is_an_svg_and_every_table_a_csv(page):
    tags = [tag for tag, _ in Page(page.read_text(encoding="utf-8")).tags]
    files = [path.suffix for path in folder_of(page).iterdir()]
    assert files.count(".svg") == tags.count("figure") > 8 and files.count(".csv") == tags.count("table") > 14


def test_pictures_stand_alone(page):
    for path in folder_of(page).glob("*.svg"):
        root = ElementTree.parse(path).getroot()
        text = path.read_text(encoding="utf-8")
        assert root.find("{*}title").text and root.get("data-generator") == "spikeport"
        assert "var(" not in text and "url(" not in text and "--" not in text


def test_colours_are_those_of_the_page_light_and_dark():
    sheet = ":root {\n  --a: #111111;\n}\n@media screen and (prefers-color-scheme: dark) {\n  :root {\n    --a: #eeeeee;\n  }\n}\n.x { fill: var(--a); }\n.y { opacity: 1; }\n"
    assert colours(sheet) == (
        ".x { fill: #111111; }\n.y { opacity: 1; }\n@media (prefers-color-scheme: dark) {\n.x { fill: #eeeeee; }\n}\n"
    )


def test_a_table_as_csv_is_exact_and_names_units():
    box = data_table(
        ["layer", "rate", "energy", "loss", "bar"],
        [
            [
                "a, b",
                percent(1 / 3),
                si(1.23456789e-9, "J"),
                Quantity("1.0 (0.5 to 2.0)", 1.04, "points", (0.5, 2.0)),
                filled_bar(0.5, percent(0.5)),
            ],
            ["c", DASH, si(2, "J"), DASH, filled_bar(0, percent(0))],
        ],
        (1, 2, 3),
    )
    assert rows(csv_text(box)) == [
        ["layer", "rate (%)", "energy (J)", "loss (points)", "loss, low (points)", "loss, high (points)", "bar (%)"],
        ["a, b", "33.33333333", "1.23456789e-09", "1.04", "0.5", "2", "50"],
        ["c", "", "2", "", "", "", "0"],
    ]


def test_runs_are_rows_of_the_file_though_columns_of_the_page(tmp_path):
    write_comparison(compare([run_at("a", 2e-6, 0.5), run_at("b", 1e-6, 0.25)]), tmp_path / "page.html", MADE_OF)
    head, *runs = rows((tmp_path / "page_files" / "runs-side-by-side.csv").read_text(encoding="utf-8"))
    told = [dict(zip(head, run)) for run in runs]
    assert [run["deployed at T' (%)"] for run in told] == ["50", "25"] and head[0] == ""
    assert [run["total energy at T', low (J)"] for run in told] == ["1e-06", "5e-07"]
    drawn = rows((tmp_path / "page_files" / "accuracy-and-total-energy.csv").read_text(encoding="utf-8"))
    assert drawn == [["drawn", "total energy per sample, µJ", "accuracy, %"], ["a", "2", "50"], ["b", "1", "25"]]


def test_the_folder_says_what_it_was_made_of(tmp_path):
    write_comparison(compare([run_at("a", 2e-6, 0.5)]), tmp_path / "page.html", MADE_OF)
    manifest = read_json(tmp_path / "page_files" / "manifest.json")
    assert manifest["kind"] == "PageFiles" and manifest["made_of"] == MADE_OF
    assert "0" * 64 in (tmp_path / "page_files" / "accuracy-over-timesteps.svg").read_text(encoding="utf-8")
