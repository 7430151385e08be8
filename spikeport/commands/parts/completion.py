"""`spikeport --completion SHELL`: a script that lets a shell complete commands, options, and their
values.
"""

from __future__ import annotations

from collections.abc import Mapping

from spikeport.commands.parts.modules import command_module
from spikeport.commands.parts.parser import Parser, add_common
from spikeport.export.common.errors import InputError, unknown

SHELLS = ("bash", "zsh", "tcsh")


def completion(shell: str, commands: Mapping[str, str]) -> str:
    """The script.

    Raises:
        InputError: no such shell, or shtab is not installed.
    """
    if shell not in SHELLS:
        raise unknown("--completion", shell, SHELLS)
    try:
        import shtab  # noqa: PLC0415
    except ImportError:
        raise InputError("completion needs shtab; install it with: pip install 'spikeport[completion]'") from None
    script: str = shtab.complete(_whole_parser(commands), shell)
    return script


def _whole_parser(commands: Mapping[str, str]) -> Parser:
    """The parser of all commands at once, whose arguments are otherwise added only to the one that
    runs.
    """
    parser = Parser(prog="spikeport")
    below = parser.add_subparsers(parser_class=Parser)
    for name, summary in commands.items():
        command = below.add_parser(name, help=summary)
        command_module(name).add_arguments(command)
        add_common(command)
    return parser
