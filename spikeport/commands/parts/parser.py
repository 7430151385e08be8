"""The parser of every command: wrong words in one line, with the word that was probably meant; what
all commands take.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from spikeport.export.common.errors import nearest
from spikeport.train.ranks import launch


class Parser(argparse.ArgumentParser):
    """Tells a wrong command line in one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message with the remedy, once for all that torchrun started, and exit 2."""
        self.exit(2, "" if launch.rank() else f"{self.prog}: {message}{self._meant(message)} (see '{self.prog} --help')\n")

    def _meant(self, message: str) -> str:
        """What a wrong option or choice was probably meant to be, in words; "" where nothing is
        near.
        """
        known = [name for name in self._option_string_actions if name.startswith("--")]
        if options := re.match(r"(?:unrecognized arguments|ambiguous option): (--[\w-]+)", message):
            near = nearest(options[1], known)
        elif choice := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            near = nearest(choice[1], re.findall(r"[\w.-]+", choice[2]))
        else:
            near = ""
        return f"; did you mean {near}?" if near else ""


def add_common(parser: argparse.ArgumentParser) -> None:
    """What every command takes."""
    group = parser.add_argument_group("every command")
    loud = group.add_mutually_exclusive_group()
    loud.add_argument("-q", "--quiet", action="store_true", help="no progress and no notes; the result and errors only")
    loud.add_argument("-v", "--verbose", action="store_true", help="say how long each step took; errors with where they came from")
    group.add_argument(
        "--plugin",
        action="append",
        type=Path,
        default=[],
        metavar="MY_PARTS.py",
        help="parts of your own (docs/own-parts.md); runs the file",
    )


def plugins_of(arguments: Sequence[str]) -> list[Path]:
    """The files of `--plugin`, which must be loaded before the other arguments can be understood."""
    early = Parser(add_help=False, allow_abbrev=False)
    early.add_argument("--plugin", action="append", type=Path, default=[])
    without_value = [word for word in arguments if word != "--plugin" or arguments[-1] != "--plugin"]
    found: list[Path] = early.parse_known_args(without_value)[0].plugin
    return found
