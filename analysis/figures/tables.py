"""Tables: numbers to the right, each with its exact value beside what is shown, and every cell with
the name of its column.
"""

from __future__ import annotations

from collections.abc import Sequence

from spikeport.analysis.common.numbers import Quantity
from spikeport.analysis.figures.markup import Child, Element, el

ACROSS = "runs"
"""Class of a table that has a column for each thing and a row for each property of it."""


def data_table(
    head: Sequence[str], rows: Sequence[Sequence[Child]], numeric: Sequence[int] = (), label: str = "", *, across: bool = False
) -> Element:
    """A table in a box that scrolls; on a phone it becomes a list, in which every cell says its
    column.

    numeric: columns that are set to the right; what is in brackets there goes to a line of its own
    where the page is narrow. label: what it
    is called, also as a file. across: see `ACROSS`.
    """

    def cell(i: int, content: Child) -> Element:
        number = i in numeric
        shown = unbroken(content) if number and not isinstance(content, Quantity) else measured(content)
        return el("td", shown, class_="number" if number else None, data_head=head[i] or None)

    header = el("thead", el("tr", [el("th", name, class_="number" if i in numeric else None, scope="col") for i, name in enumerate(head)]))
    body = el("tbody", [el("tr", [cell(i, content) for i, content in enumerate(row)]) for row in rows])
    table = el("table", header, body, class_=ACROSS if across else None)
    return el("div", table, class_="scroll", tabindex="0", role="region", aria_label=label or head[0])


def filled_bar(share: float, text: str) -> Element:
    """A cell with a bar of so large a share of its width behind the text."""
    fill = el("span", style=f"width:{100 * min(share, 1):.1f}%", class_="fill")
    return el("span", fill, el("span", measured(text), class_="over"), class_="inbar")


def measured(content: Child) -> Child:
    """A quantity as an element that holds its value, unit and limits; anything else as it is."""
    if not isinstance(content, Quantity):
        return content
    low, high = content.limits or (None, None)
    held = {"value": exact(content.value), "data-unit": content.unit or None, "data-low": exact(low), "data-high": exact(high)}
    return el("data", unbroken(str(content)), **held)


def exact(value: float | None) -> str | None:
    """All digits that matter, as other programs read them."""
    return None if value is None else f"{value:.10g}"


def unbroken(content: Child) -> Child:
    """A number, and limits or a change in brackets behind it: no line breaks in either."""
    if not isinstance(content, str):
        return el("span", content, class_="whole")
    number, bracket, rest = content.partition(" (")
    return [el("span", number, class_="whole"), [" ", el("span", bracket.strip() + rest, class_="whole")] if rest else None]
