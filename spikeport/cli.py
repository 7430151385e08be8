"""The command line: one stage, one command, one file in, one file out.

Exit status: 0 success, 1 a finding (a difference, an unsupported node, a backend that failed), 2
bad input, told in one line.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from types import ModuleType

from spikeport import __version__
from spikeport.commands.parts.modules import command_module
from spikeport.commands.parts.parser import Parser, add_common, plugins_of
from spikeport.export.common import progress
from spikeport.export.common.errors import BackendError, InputError
from spikeport.train.ranks import launch
from spikeport.train.ranks.told import tells

PARTS = "spikeport.parts"
"""Entry points of installed packages that bring parts of their own (`spikeport.api.parts`)."""
COMMANDS = {
    "run": "everything: train, quantize, simulate, verify, truncate, report",
    "train": "train a spiking network",
    "quantize": "turn a trained network, or a .nir file, into Loihi's integers",
    "check": "tell for every node whether it runs on Loihi, how it maps, or why not",
    "map": "place a quantized network on cores: how many, how full, what limits",
    "simulate": "run a .nir file on a backend",
    "cost": "events, energy and latency of a quantized network on an input",
    "baseline": "train the same network without spikes, to compare with",
    "verify": "compare backends spike for spike",
    "export": "write a quantized network in another format",
    "tic": "Fisher information over timesteps",
    "truncate": "find the fewest timesteps that keep the accuracy",
    "prune": "prune in cycles, retraining with as many timesteps as the information needs",
    "robustness": "accuracy under noise, blur, attacks and deficits in a window of timesteps",
    "sweep": "train a network with many settings and compare information and robustness",
    "report": "write report.html and report.json from what is in a directory",
    "doctor": "tell what is installed, what works, and how to get the rest",
}

TOGETHER = ("train",)
"""Commands that several processes do together, under torchrun."""

atexit.register(gc.freeze)  # at its end Python would look through all of PyTorch for cycles: 0.4 s for nothing


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; each command adds its own arguments when it is chosen."""
    parser = Parser(prog="spikeport", description="Take a spiking neural network from PyTorch to neuromorphic hardware, with proof.")
    parser.add_argument("--version", action="version", version=f"spikeport {__version__}")
    parser.add_argument("--completion", metavar="SHELL", help="print what lets bash, zsh or tcsh complete commands and options")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary, add_help=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser()
    if not arguments or arguments[0] not in COMMANDS:
        shell = parser.parse_args(arguments).completion
        if shell is not None:
            return _completed(shell)
        parser.print_help()
        return 2
    name = arguments[0]
    if launch.size() > 1 and name not in TOGETHER:
        return _told(name, "torchrun starts processes that train together: only 'spikeport train' does; run this once, without torchrun", 2)
    with _ends_at_once(name):
        module = command_module(name)
    try:
        load_parts(arguments[1:])
    except InputError as error:
        return _told(name, str(error), 2)
    given = command_parser(module, name).parse_args(arguments[1:])
    progress.choose(quiet=given.quiet or launch.rank() > 0, verbose=given.verbose)
    return _executed(module, name, given)


def _completed(shell: str) -> int:
    """Print the script of `--completion`."""
    from spikeport.commands.parts.completion import completion  # noqa: PLC0415  # loads every command

    try:
        print(completion(shell, COMMANDS))
    except InputError as error:
        return _told("--completion", str(error), 2)
    return 0


def load_parts(arguments: Sequence[str]) -> None:
    """Parts of one's own, before the arguments that name them are understood; InputError from a
    file that fails.
    """
    files, installed = plugins_of(arguments), entry_points(group=PARTS)
    if files or installed:
        from spikeport.api.parts import load_installed, load_plugin  # noqa: PLC0415  # loads the training package

        load_installed(installed)
        for file in files:
            load_plugin(file)


def command_parser(module: ModuleType, name: str) -> Parser:
    """The parser of one command."""
    parser = Parser(
        prog=f"spikeport {name}",
        description=module.__doc__,
        epilog=module.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    add_common(parser)
    return parser


def _executed(module: ModuleType, name: str, arguments: argparse.Namespace) -> int:
    """The exit status of a command, with everything that may end it early told in one line."""
    try:
        with _terminated_like_interrupted():
            status: int = module.execute(arguments)
            sys.stdout.flush()
            return status
    except (InputError, BackendError) as error:
        if arguments.verbose:
            traceback.print_exc()
        return _told(name, str(error), 2 if isinstance(error, InputError) else 1)
    except BrokenPipeError:
        _discard_output()  # whoever read has enough
        return 0
    except OSError as error:  # the disk, or what standard output leads to, gave up
        _discard_output()
        place = f" ({error.filename})" if error.filename else ""
        return _told(name, f"cannot read or write{place}: {error.strerror or error}; free some space, or choose another place", 2)
    except KeyboardInterrupt as stop:
        way = module.go_on(arguments) if hasattr(module, "go_on") else ""
        return _interrupted(name, stop, way)


def _told(name: str, text: str, status: int) -> int:
    if tells():
        print(f"spikeport {name}: {text}", file=sys.stderr, flush=True)
    return status


def _discard_output() -> None:
    """The flush at exit must not complain about what could not be printed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does."""


def _interrupted(name: str, stop: KeyboardInterrupt, way: str = "") -> int:
    what, status = ("terminated", 128 + signal.SIGTERM) if isinstance(stop, Terminated) else ("interrupted", 128 + signal.SIGINT)
    return _told(name, f"{what}; go on with: {way}" if way else what, status)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM inside raises `Terminated` in this process; its children die of it as they always
    did.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield  # somebody else decides
        return
    ours = os.getpid()

    def stop(number: int, frame: object) -> None:
        if os.getpid() == ours:
            raise Terminated
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _ends_at_once(name: str) -> Iterator[None]:
    """A signal to stop ends the process: torch and others, still loading, turn exceptions into
    crashes; nothing is half-written yet.
    """
    usual = signal.getsignal(signal.SIGINT)
    if usual is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield  # somebody else decides what Ctrl-C does
        return
    stops = {signal.SIGINT: KeyboardInterrupt(), signal.SIGTERM: Terminated()}
    before = {number: signal.getsignal(number) for number in stops}
    for number, stop in stops.items():
        signal.signal(number, lambda *_, stop=stop: os._exit(_interrupted(name, stop)))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
