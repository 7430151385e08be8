"""Text that a file brought with it, made fit for a terminal: it can neither hide, nor reorder, nor
flood what is printed.
"""

from __future__ import annotations

LINE_MAX = 1000
"""Characters of one message; what is left out of a longer one is counted."""
CELL_MAX = 160
"""Characters of one cell of a table."""


def printable(text: str, limit: int = LINE_MAX) -> str:
    """One line of at most `limit` characters: what is not printable is escaped, the middle of a
    longer text left out.

    Escaped are control characters (line ends and the terminal's own commands among them), marks
    that change the direction of text or have no width, half surrogates and everything else that
    `str.isprintable` knows. Applied twice, it changes nothing.
    """
    whole = text if len(text) <= 2 * limit else text[:limit] + text[-limit:]
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in whole)
    if len(text) <= 2 * limit and len(escaped) <= limit:
        return escaped
    kept = (limit - len(mark := f" [{len(text):,} characters] ")) // 2
    return escaped[:kept] + mark + escaped[-kept:]


def brief(value: object) -> str:
    """The beginning of a value in quotes; a number of thousands of digits is not written out."""
    return "a huge number" if isinstance(value, int) and value.bit_length() > 200 else repr(str(value)[:60])
