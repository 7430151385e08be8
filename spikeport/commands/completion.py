"""Print a script that lets a shell complete commands, options, and their values."""

from __future__ import annotations

import argparse
from importlib import import_module

from spikeport.commands.parts.parser import Parser, add_common
from spikeport.export.common.errors import InputError

EXAMPLES = """examples:
  spikeport completion bash >> ~/.bash_completion
  spikeport completion zsh > ~/.zfunc/_spikeport      with ~/.zfunc in fpath
"""
SHELLS = ("bash", "zsh", "tcsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport completion`."""
    parser.add_argument("shell", choices=SHELLS)


def execute(arguments: argparse.Namespace) -> int:
    """Print the script."""
    try:
        import shtab  # noqa: PLC0415
    except ImportError:
        raise InputError("completion needs shtab; install it with: pip install 'spikeport[completion]'") from None
    print(shtab.complete(whole_parser(), arguments.shell))
    return 0


def whole_parser() -> Parser:
    """The parser of all commands at once, whose arguments are otherwise added only to the one that runs."""
    from spikeport.cli import COMMANDS  # noqa: PLC0415  # which imports this module by name

    parser = Parser(prog="spikeport")
    commands = parser.add_subparsers(parser_class=Parser)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        import_module(f"spikeport.commands.{name}").add_arguments(command)
        add_common(command)
    return parser
