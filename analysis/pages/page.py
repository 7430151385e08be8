"""One self-contained HTML page: no scripts, nothing loaded from elsewhere, light and dark, phone to
laptop.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from spikeport.analysis.figures.markup import Child, Element, el, html

GENERATOR = "spikeport"
"""What pages and pictures name as the program that drew them."""
HEAD = 512
"""Bytes at the start of a file in which that stands."""


def page(title: str, subtitle: str, *children: Child, foot: str) -> str:
    """The whole page: masthead, sections, and a line at the foot."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="generator", content=GENERATOR),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{title} · spikeport"),
        el("style", style_sheet()),
    )
    body = el("body", _masthead(title, subtitle), el("main", children), el("footer", el("p", foot)))
    return "<!doctype html>\n" + html(el("html", head, body, lang="en"))


def is_page(path: Path) -> bool:
    """Whether a file is a page or a picture (`analysis.pages.picture`) that was drawn here."""
    try:
        with path.open("rb") as file:
            start = file.read(HEAD)
    except OSError:
        return False
    return any(mark.encode() in start for mark in (f'name="generator" content="{GENERATOR}"', f'data-generator="{GENERATOR}"'))


def style_sheet() -> str:
    """Colours and fonts of pages, and what their figures look like."""
    return _sheet("report.css") + figure_sheet()


def figure_sheet() -> str:
    """Colours, and what figures look like, on pages and alone: a block of light colours, one of
    dark ones, then rules, one a line.
    """
    return _sheet("figures.css")


def _sheet(name: str) -> str:
    return resources.files("spikeport.analysis.pages").joinpath(name).read_text(encoding="utf-8")


def section(title: str, lead: str | None, *children: Child) -> Element:
    """A section under a heading."""
    return el("section", el("h2", title), el("p", lead, class_="lead") if lead else None, children)


def setting(name: str, value: int) -> str:
    """In one piece on a narrow page."""
    return f"{name} = {value}".replace(" ", "\N{NO-BREAK SPACE}")


def fact(name: str, value: str, note: str) -> Element:
    """A number to be seen first, and what to know of it."""
    return el("div", el("h3", name), el("p", value, class_="value"), el("p", note, class_="note"), class_="fact")


def cited(line: str) -> Element:
    """A line to copy: one click or one tab away from being selected whole."""
    lead = "Networks and data are named by the first digits of a digest of their content."
    return section("To cite this", lead, el("p", line, class_="cite", tabindex="0"))


def _masthead(title: str, subtitle: str) -> Element:
    brand = el("p", _spikes(), "spikeport", class_="brand")
    return el("header", brand, el("h1", title), el("p", subtitle, class_="subtitle"))


def _spikes() -> Element:
    """The sign: a spike train."""
    path = el("path", d="M2 15h4V4v11h5V8v7h3V2v13h6V6v9h4")
    return el("svg", path, viewBox="0 0 26 18", aria_hidden="true", class_="sign")
