"""Pages in a real browser: nothing on the console, nothing beyond the edge, light and dark, printed
whole, and reached by keyboard.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.oracles.compared import run_at
from support.pages.browser import LOOK, looked_at, opened_browser
from support.pages.reports import full_report

from spikeport.analysis.pages.comparison import write_comparison
from spikeport.analysis.pages.render import write_page
from spikeport.analysis.results.comparison import compare

PAGES = ("report", "comparison")
A4 = {"format": "A4"}


@pytest.fixture(scope="module")
def browser():
    with opened_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """A report with everything, and many runs with long names side by side."""
    folder = tmp_path_factory.mktemp("pages")
    report = full_report()
    long = replace(report, warnings=(*report.warnings, "averyveryverylongwordwithoutanyplacetobreakit" * 3), made_of={"network": "f" * 64})
    write_page(long, folder / "report.html")
    runs = [run_at(f"some/very/long/folder/of/runs{i}", i, 0.5 + i / 100, settings={"a.b": "x" * 60 + str(i)}) for i in range(1, 7)]
    write_comparison(compare(runs), folder / "comparison.html", {"a": "f" * 64})
    return folder


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_on_the_console_and_nothing_beyond_the_edge(browser, pages, name, width, scheme):
    with looked_at(browser, pages / f"{name}.html", width, scheme) as (page, said):
        for details in page.locator("details").all():
            details.locator("> summary").click()
        seen = page.evaluate(LOOK)
        assert said == [] and seen["over"] == [] and seen["overflow"] == 0
        assert seen["colour"] == ("rgb(247, 246, 242)" if scheme == "light" else "rgb(18, 19, 23)")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(browser, pages, name, scheme):
    """At least the 4.5 of WCAG AA for the colours of text on those of grounds."""
    with looked_at(browser, pages / f"{name}.html", 1440, scheme) as (page, _):
        colours = page.evaluate(
            "(names) => names.map((n) => getComputedStyle(document.documentElement).getPropertyValue('--' + n).trim())",
            ["ink", "soft", "main", "paper", "card"],
        )
    ink, soft, main, paper, card = map(luminance, colours)
    for words in (ink, soft, main):
        for ground in (paper, card):
            light, dark = max(words, ground), min(words, ground)
            assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", PAGES)
def test_on_a_phone_tables_are_lists_in_which_every_value_has_its_name(browser, pages, name):
    with looked_at(browser, pages / f"{name}.html", 390) as (page, _):
        table = page.locator(".scroll table:visible").first
        assert table.evaluate("(node) => getComputedStyle(node.querySelector('td')).display") == "flow-root"
        named = table.evaluate(
            "(node) => [...node.querySelectorAll('tr td:nth-child(2)')].map((td) => getComputedStyle(td, '::before').content)"
        )
        assert named and all(text.strip('"') for text in named) and "none" not in named


@pytest.mark.parametrize("name", PAGES)
def test_in_print_nothing_is_lost(browser, pages, name):
    """What is folded on the screen is open, links and folded values are gone, colours stay, and
    nothing is wider than the paper.
    """
    with looked_at(browser, pages / f"{name}.html", 688, "dark") as (page, said):
        page.emulate_media(media="print", color_scheme="dark")
        seen = page.evaluate(LOOK)
        assert seen["over"] == [] and seen["overflow"] == 0 and said == []
        assert seen["colour"] == "rgb(255, 255, 255)"
        assert page.evaluate("() => getComputedStyle(document.querySelector('.cite')).printColorAdjust") == "exact"
        hidden = page.locator(":is(.take, .values):visible").count()
        folded = page.locator("main > section > details")
        shut = [text for each in folded.all() if (text := each.evaluate("(d) => d.lastElementChild.getBoundingClientRect().height")) < 10]
        assert hidden == 0 and shut == []


@pytest.mark.parametrize("name", PAGES)
def test_printed_pages_are_full_and_headings_stay_with_what_they_head(browser, pages, name, tmp_path):
    pdf = pytest.importorskip("pypdf", reason="reads what was printed: pip install pypdf")
    with looked_at(browser, pages / f"{name}.html", 1440) as (page, _):
        headings = {re.sub(r"\s+", " ", text).strip() for text in page.locator("main h2").all_inner_texts()}
        page.pdf(path=str(tmp_path / "page.pdf"), **A4)
    printed = pdf.PdfReader(tmp_path / "page.pdf").pages
    assert min(map(filled, printed[:-1])) >= 0.6
    sheets = [[line for line in sheet.extract_text().splitlines() if line.strip()] for sheet in printed]
    assert len(sheets) > 1
    for lines in sheets[:-1]:
        assert len(lines) >= 8 and re.sub(r"\s+", " ", lines[-1]).strip() not in headings
    assert sheets[-1]


def filled(sheet) -> float:
    """Share of a printed page's height down to its last words; 0.95 is full, the rest margin."""
    bottoms = []

    def see(text, page, line, font, size):
        if text.strip():
            bottoms.append(page[1] * line[4] + page[3] * line[5] + page[5])

    sheet.extract_text(visitor_text=see)
    return 1 - min(bottoms) / float(sheet.mediabox.height)


def test_the_keyboard_reaches_every_link_and_every_fold(browser, pages):
    with looked_at(browser, pages / "report.html") as (page, _):
        wanted = page.locator("a, summary, .cite, .scroll:visible").count()
        reached = set()
        for _ in range(2 * wanted + 5):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("() => [...document.querySelectorAll('*')].indexOf(document.activeElement)"))
        outside = page.locator("html, body").count()
        assert len(reached - {0, 1}) >= wanted - outside
        page.locator(".cite").focus()
        assert page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_click_selects_the_whole_citation(browser, pages):
    with looked_at(browser, pages / "report.html") as (page, _):
        line = page.locator(".cite")
        line.click()
        assert page.evaluate("() => getSelection().toString().trim()") == line.inner_text().strip()


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_has_words_and_every_link_a_file(browser, pages, name):
    with looked_at(browser, pages / f"{name}.html") as (page, _):
        silent = "svg[role=img]:not([aria-label]), img:not([alt]), a:not([aria-label]), [role=region]:not([aria-label])"
        assert page.locator(silent).count() == 0
        links = page.locator("a").evaluate_all("(all) => all.map((a) => a.getAttribute('href'))")
        assert links and all((pages / link).is_file() for link in links)


def test_pictures_stand_alone_in_a_browser(browser, pages):
    for path in (pages / "report_files").glob("*.svg"):
        with looked_at(browser, path) as (page, said):
            assert said == [] and page.evaluate("() => document.documentElement.getBBox().width") > 100
