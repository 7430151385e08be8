"""The command line: one stage, one command, one file in, one file out.

Exit status: 0 success, 1 a finding (a difference, an unsupported node, a backend that failed), 2 bad input, told in one line.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import NoReturn

from spikeport import __version__
from spikeport.export.common.errors import BackendError, InputError

COMMANDS = {
    "run": "everything: train, quantize, simulate, verify, truncate, report",
    "train": "train a spiking network",
    "quantize": "turn a trained network, or a .nir file, into Loihi's integers",
    "check": "tell for every node whether it runs on Loihi, how it maps, or why not",
    "map": "place a quantized network on cores: how many, how full, what limits",
    "simulate": "run a .nir file on a backend",
    "cost": "events, energy and latency of a quantized network on an input",
    "verify": "compare backends spike for spike",
    "export": "write a quantized network in another format",
    "tic": "Fisher information over timesteps",
    "truncate": "find the fewest timesteps that keep the accuracy",
    "prune": "prune in cycles, retraining with as many timesteps as the information needs",
    "robustness": "accuracy under noise, blur, attacks and deficits in a window of timesteps",
    "sweep": "train a network with many settings and compare information and robustness",
    "report": "write report.html and report.json from what is in a directory",
}


class Parser(argparse.ArgumentParser):
    """Tells a wrong command line in one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message with the remedy and exit 2."""
        self.exit(2, f"{self.prog}: {message} (see '{self.prog} --help')\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; each command adds its own arguments when it is chosen."""
    parser = Parser(prog="spikeport", description="Take a spiking neural network from PyTorch to neuromorphic hardware, with proof.")
    parser.add_argument("--version", action="version", version=f"spikeport {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary, add_help=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser()
    if not arguments or arguments[0] not in COMMANDS:
        parser.parse_args(arguments)
        parser.print_help()
        return 2
    name = arguments[0]
    with _ends_at_once(name):
        module = import_module(f"spikeport.commands.{name}")
    command = Parser(
        prog=f"spikeport {name}",
        description=module.__doc__,
        epilog=module.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(command)
    try:
        status: int = module.execute(command.parse_args(arguments[1:]))
        sys.stdout.flush()
        return status
    except InputError as error:
        print(f"spikeport {name}: {error}", file=sys.stderr)
        return 2
    except BackendError as error:
        print(f"spikeport {name}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read has enough; the flush at exit must not complain
        return 0
    except KeyboardInterrupt:
        return _interrupted(name)


def _interrupted(name: str) -> int:
    print(f"spikeport {name}: interrupted", file=sys.stderr, flush=True)
    return 130


@contextmanager
def _ends_at_once(name: str) -> Iterator[None]:
    """Ctrl-C inside ends the process: torch and others, still loading, turn the exception into crashes; nothing is half-written yet."""
    usual = signal.getsignal(signal.SIGINT)
    if usual is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield  # somebody else decides what Ctrl-C does
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(_interrupted(name)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
