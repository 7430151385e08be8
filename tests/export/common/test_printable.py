"""What a file says cannot command a terminal, turn text around, or flood it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeport.commands.parts.options import table
from spikeport.export.common.errors import BackendError, InputError
from spikeport.export.common.printable import CELL_MAX, LINE_MAX, brief, printable


@given(st.text(st.characters(exclude_categories=()), max_size=3000))
def test_one_line_of_bounded_length_that_stays_as_it_is(text):
    shown = printable(text)
    assert shown.isprintable() and len(shown) <= LINE_MAX and printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", r"a\u202eb"),
        ("\x1b[2J", r"\x1b[2J"),
        ("two\nlines", r"two\nlines"),
        ("\ud800", r"\ud800"),
        ("Größe 5 µm", "Größe 5 µm"),
    ],
)
def test_what_is_escaped(text, shown):
    assert printable(text) == shown
    assert str(InputError(text)) == shown == str(BackendError(text))


def test_a_long_message_keeps_both_ends():
    shown = str(InputError(f"net.nir: node {'x' * 1_000_000} has no type"))
    assert shown.startswith("net.nir: node x") and shown.endswith("x has no type") and "[1,000,026 characters]" in shown


def test_cells_of_a_table_stay_in_their_line():
    rows = table([("a\nb", "c" * 1000)], ("node", "why"))
    assert len(rows.split("\n")) == 2 and len(rows.split("\n")[1]) < CELL_MAX + 20


def test_a_huge_number_is_not_written_out():
    assert brief(10**5000) == "a huge number" and brief([1]) == "'[1]'"
