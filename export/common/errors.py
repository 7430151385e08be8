"""The errors that people meet: their input was wrong, a file could not be written, or a backend
failed.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from spikeport.export.common.printable import printable

NEAR = 0.5
"""How alike two names are, 0 to 1, before one is offered for the other: "spbt" is stbp."""


class InputError(ValueError):
    """Bad input, told in one line: what is wrong, where, the limit, and the remedy.

    The command line prints it without a traceback and exits with status 2. Whatever the message
    quotes from a file is made printable (`spikeport.export.common.printable`).
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class OutputError(InputError):
    """A result that could not be written, told in one line; nothing half-written is left.

    The disk is full, the place is read-only, or the folder is gone. The command line exits with
    status 2.
    """


class BackendError(RuntimeError):
    """A backend failed or stood still while running a network that is valid; says which, where and
    when in one line.

    The command line prints it without a traceback and exits with status 1.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class OutOfTime(BackendError):
    """A backend was given so much time, and would have needed more."""


BY_PLUGIN = "or load the file that adds it with --plugin"
"""A remedy for names that people may add to."""


def unknown(what: str, name: object, choices: Iterable[str], otherwise: str = "") -> InputError:
    """The error of a name that is none of `choices`: the nearest one first, then all. otherwise:
    another remedy, after a comma.
    """
    known = list(choices)
    hint = f"did you mean {near}? " if (near := nearest(str(name), known)) else ""
    return InputError(f"{what} {name!r} is unknown; {hint}choose one of {', '.join(known)}{f', {otherwise}' if otherwise else ''}")


def nearest(name: str, choices: Iterable[str]) -> str:
    """The choice that a name was probably meant to be; "" where none is near."""
    return next(iter(get_close_matches(name.lower(), list(choices), 1, NEAR)), "")
