"""One self-contained HTML page: no scripts, nothing loaded from elsewhere, light and dark, phone to laptop."""

from __future__ import annotations

from collections.abc import Sequence
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
    """Colours and fonts of pages and of pictures that stand alone."""
    return resources.files("spikeport.analysis.pages").joinpath("report.css").read_text(encoding="utf-8")


def section(title: str, lead: str | None, *children: Child) -> Element:
    """A section under a heading."""
    return el("section", el("h2", title), el("p", lead, class_="lead") if lead else None, children)


def data_table(head: Sequence[str], rows: Sequence[Sequence[Child]], numeric: Sequence[int] = (), label: str = "") -> Element:
    """A table; columns in `numeric` are set to the right, and what is in brackets goes to a line of its own where the page is narrow."""

    def cell(tag: str, i: int, content: Child) -> Element:
        number = i in numeric
        parts = unbroken(content) if number and tag == "td" else content
        return el(tag, parts, class_="number" if number else None, scope="col" if tag == "th" else None)

    header = el("thead", el("tr", [cell("th", i, name) for i, name in enumerate(head)]))
    body = el("tbody", [el("tr", [cell("td", i, content) for i, content in enumerate(row)]) for row in rows])
    return el("div", el("table", header, body), class_="scroll", tabindex="0", role="region", aria_label=label or head[0])


def filled_bar(share: float, text: str) -> Element:
    """A cell with a bar of so large a share of its width behind the text."""
    return el("span", el("span", style=f"width:{100 * min(share, 1):.1f}%", class_="fill"), el("span", text, class_="over"), class_="inbar")


def unbroken(content: Child) -> Child:
    """A number, and limits or a change in brackets behind it: no line breaks in either."""
    if not isinstance(content, str):
        return el("span", content, class_="whole")
    number, bracket, rest = content.partition(" (")
    return [el("span", number, class_="whole"), [" ", el("span", bracket.strip() + rest, class_="whole")] if rest else None]


def _masthead(title: str, subtitle: str) -> Element:
    brand = el("p", _spikes(), "spikeport", class_="brand")
    return el("header", brand, el("h1", title), el("p", subtitle, class_="subtitle"))


def _spikes() -> Element:
    """The sign: a spike train."""
    path = el("path", d="M2 15h4V4v11h5V8v7h3V2v13h6V6v9h4")
    return el("svg", path, viewBox="0 0 26 18", aria_hidden="true", class_="sign")
