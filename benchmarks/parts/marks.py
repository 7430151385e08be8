"""Measured parts of a document: what lies between a script's mark and the end mark is the script's."""

from __future__ import annotations

from pathlib import Path

from spikeport.export.common.errors import InputError
from spikeport.export.common.files import write_text

END = "<!-- end -->"


def begin(script: str) -> str:
    """The mark of a script, named by its file."""
    return f"<!-- measured by benchmarks/{script} -->"


def replace(path: Path, script: str, measured: str) -> None:
    """Put the script's part into a document.

    Raises:
        InputError: the marks are not there.
    """
    before, mark, rest = path.read_text(encoding="utf-8").partition(begin(script))
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise InputError(f"{path} has no place for the table; put these two lines where it goes: {begin(script)} {END}")
    write_text(path, f"{before}{mark}\n{measured.strip()}\n{end}{after}")


def publish(into: Path | None, script: str, measured: str) -> None:
    """Put the script's part into a document, or on standard output where none is named; errors as
    in `replace`.
    """
    if into:
        replace(into, script, measured)
    else:
        print(measured)
