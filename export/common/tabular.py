"""Results as tables: one short line as text, HTML in a notebook, a pandas frame, a plot. pandas and
matplotlib are extras.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

from spikeport.export.common.errors import InputError
from spikeport.export.common.printable import CELL_MAX, printable

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

ROWS_SHOWN = 40
"""Rows of a table that a notebook shows."""


@dataclass(frozen=True)
class Table:
    """What a result shows of itself. title: one short line. columns: of equal length, by name.

    x, y: the column along the horizontal axis and those drawn over it; `y` is empty where there is
    nothing to draw. label: of the vertical axis.
    """

    title: str
    columns: Mapping[str, Sequence[Any]]
    x: str = ""
    y: tuple[str, ...] = ()
    label: str = ""


class Tabular:
    """A result that shows itself; subclasses say how in `table`."""

    def table(self) -> Table:
        """What is shown."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({printable(self.table().title)})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the title and the table, in HTML that asks nothing of the page
        around it.
        """
        table = self.table()
        rows = list(zip(*table.columns.values()))
        head = "".join(f"<th>{escape(name)}</th>" for name in table.columns)
        body = "".join(f"<tr>{''.join(f'<td>{escape(_cell(value))}</td>' for value in row)}</tr>" for row in rows[:ROWS_SHOWN])
        more = f"<p>{len(rows) - ROWS_SHOWN} more rows</p>" if len(rows) > ROWS_SHOWN else ""
        title = f"<p><b>{type(self).__name__}</b>: {escape(printable(table.title))}</p>"
        return f"{title}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"

    def to_frame(self) -> pandas.DataFrame:
        """The table as a pandas frame.

        Raises:
            InputError: pandas is not installed.
        """
        return _extra("pandas").DataFrame({name: list(values) for name, values in self.table().columns.items()})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the table's curves; returns matplotlib's axes.

        Args:
            ax: axes to draw into, None for new ones.

        Raises:
            InputError: matplotlib is not installed, or this result has no curve.
        """
        table = self.table()
        if not table.y:
            raise InputError(f"{type(self).__name__} has nothing to draw; see to_frame()")
        axes = _extra("matplotlib.pyplot").subplots()[1] if ax is None else ax
        for name in table.y:
            axes.plot(list(table.columns[table.x]), list(table.columns[name]), marker="o", label=name)
        axes.set(xlabel=table.x, ylabel=table.label, title=table.title)
        axes.legend()
        return axes


def _cell(value: Any) -> str:
    return printable(f"{value:.6g}" if isinstance(value, float) else str(value), CELL_MAX)


def _extra(name: str) -> Any:
    """A library that only people who look at results need."""
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise InputError(f"{package} is not installed; install it with: pip install 'spikeport[notebook]'") from None
