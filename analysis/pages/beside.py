"""Every figure and table of a page as files of their own, SVG and CSV, in a folder beside it,
linked where they stand on the page.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spikeport.analysis.common.numbers import DASH
from spikeport.analysis.figures.markup import Element, el
from spikeport.analysis.figures.tables import ACROSS
from spikeport.analysis.pages.kept import folder_of, write_kept
from spikeport.analysis.pages.page import page
from spikeport.analysis.pages.picture import picture
from spikeport.analysis.results.citation import about
from spikeport.export.common.files import write_text


@dataclass
class Beside:
    """Collects a page's figures and tables. folder: name, from the page. about: what every SVG says
    of itself.
    """

    folder: str
    about: str
    files: dict[str, str] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """Where the files lie, for the foot of the page."""
        return f" Figures and tables also lie in {self.folder}/, as SVG and CSV."

    def take(self, parts: Iterable[Element | None]) -> None:
        """Keep every figure and table below these elements as files, and add links to them."""
        for part in parts:
            if part is not None:
                self._take(part)

    def _take(self, part: Element) -> None:
        drawn = []
        for figure in part.iter("figure"):
            (box,) = _tables(figure)
            drawn.append(box)
            figure.append(self._links(box, svg=picture(figure, self.about)))
        for box in _tables(part):
            if box not in drawn:
                box.append(self._links(box))

    def _named(self, label: str) -> str:
        """A name for files that no other figure or table has."""
        name = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:60].strip("-") or "table"
        taken = {file.rpartition(".")[0] for file in self.files}
        return next(tried for i in range(1, len(taken) + 2) if (tried := name if i == 1 else f"{name}-{i}") not in taken)

    def _links(self, box: Element, **texts: str) -> Element:
        """What is kept of a table, and of the drawing that it belongs to."""
        label, links = box.get("aria-label", ""), []
        name = self._named(label)
        for kind, text in {**texts, "csv": csv_text(box)}.items():
            file = f"{name}.{kind}"
            self.files[file] = text
            links.append(el("a", kind.upper(), href=f"{self.folder}/{file}", download=file, aria_label=f"{label} as {kind.upper()}"))
        return el("p", links, class_="take")


def page_beside(title: str, subtitle: str, *parts: Element | None, foot: str, beside: Beside | None) -> str:
    """A page whose figures and tables are kept and linked, where `beside` keeps them."""
    if beside:
        beside.take(parts)
    return page(title, subtitle, parts, foot=foot + (beside.said if beside else ""))


def write_beside(path: Path, made_of: Mapping[str, str], make: Callable[[Beside], str]) -> None:
    """Write a page, whole, and its figures and tables in a folder beside it. made_of: content
    digests, by name. make: the page.
    """
    folder = folder_of(path)
    beside = Beside(folder.name, about(made_of))
    text = make(beside)
    write_kept(folder, beside.files, made_of)
    write_text(path, text)


def _tables(part: Element) -> list[Element]:
    """Boxes with a table in them."""
    return [box for box in part.iter("div") if box.get("class") == "scroll"]


def csv_text(box: Element) -> str:
    """A table as CSV with a row for each thing: exact values where the page holds them, units in
    the head, interval ends in columns of their own, nothing where the page has a dash.
    """
    (table,) = box.iter("table")
    rows = [list(row) for row in table.iter("tr")]
    columns = rows if table.get("class") == ACROSS else [list(column) for column in zip(*rows)]
    made = [made for column in columns for made in _columns(column)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(zip(*made))
    return text.getvalue()


def _columns(cells: Sequence[Element]) -> list[list[str]]:
    """One column of the file, or three where its cells have limits."""
    head, *below = cells
    name, held = _words(head), [next(cell.iter("data"), None) for cell in below]
    units = {data.get("data-unit", "") for data in held if data is not None}
    unit = f" ({units.pop()})" if len(units) == 1 and all(units) else ""
    values = [_words(cell) if data is None else data.get("value", "") for cell, data in zip(below, held)]
    columns = [[name + unit, *values]]
    if any(data is not None and "data-low" in data.attrib for data in held):
        for end in ("low", "high"):
            columns.append([f"{name}, {end}{unit}", *("" if data is None else data.get(f"data-{end}", "") for data in held)])
    return columns


def _words(cell: Element) -> str:
    text = " ".join("".join(cell.itertext()).split())
    return "" if text == DASH else text
