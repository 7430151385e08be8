"""Arguments and small helpers that several commands share."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spikeport.export.common import progress
from spikeport.export.common.errors import InputError, nearest
from spikeport.export.common.files import check_file, check_folder
from spikeport.export.common.printable import CELL_MAX, printable
from spikeport.hw.backends.simulate import backend, usual_backends


def output_file(text: str) -> Path:
    """A file to write, as the `type` of an argument: what cannot be written is told before the work
    that it is for.
    """
    return _place(text, check_file)


def output_folder(text: str) -> Path:
    """A folder to write into, likewise."""
    return _place(text, check_folder)


def _place(text: str, check: Callable[[Path], None]) -> Path:
    try:
        check(Path(text))
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return Path(text)


def add_force(parser: argparse.ArgumentParser, what: str) -> None:
    """`--force`."""
    parser.add_argument("--force", action="store_true", help=f"replace {what}")


def add_print_config(parser: argparse.ArgumentParser) -> None:
    """`--print-config`."""
    parser.add_argument(
        "--print-config",
        action="store_true",
        help="print what all settings come to, as TOML that --config takes, and end before any data is read (docs/configuration.md)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON on standard output")


def add_meaning(parser: argparse.ArgumentParser) -> None:
    """What a NIR file from another framework cannot say about itself."""
    group = parser.add_argument_group("meaning of a .nir file that is not quantized (it cannot say so itself)")
    group.add_argument(
        "--dt", type=float, metavar="S", help="timestep in the unit of the file's time constants, seconds as a rule; the file does not say"
    )
    group.add_argument(
        "--dt-seconds",
        type=float,
        metavar="S",
        help="what that is in seconds, where the file has another unit (Norse, Sinabs); changes no spike, but written files and latencies",
    )
    group.add_argument(
        "--integrator",
        choices=["euler", "exponential", "impulse"],
        help="how its equations become steps; impulse: exponential decay, the input counts dt/tau (Rockpool)",
    )
    group.add_argument("--reset", choices=["zero", "subtract"], help="membrane potential after a spike: v_reset, or minus the threshold")
    group.add_argument(
        "--reset-delay",
        action=argparse.BooleanOptionalAction,
        help="snnTorch's setting of this name: the reset acts one step late, or at once without a second spike right after",
    )
    group.add_argument(
        "--nonstrict",
        action=argparse.BooleanOptionalAction,
        help="its neurons fire on v >= threshold; NIR's own rule is v > threshold",
    )
    group.add_argument(
        "--multi-spike",
        action=argparse.BooleanOptionalAction,
        help="its neurons fire floor(v / threshold) spikes in one step (float only; a chip's neuron fires once)",
    )
    group.add_argument(
        "--from",
        dest="framework",
        metavar="FRAMEWORK",
        help="take what is not stated from the habit of the framework that wrote it (snntorch, norse, sinabs, spikingjelly, rockpool, "
        "lava-dl, spinnaker2); what was taken, and what its files cannot carry, is printed",
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """`--data-dir`."""
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="D",
        help="where the data set's files are; without it they are looked for, or downloaded to, ~/.cache/spikeport",
    )


def add_device(parser: argparse.ArgumentParser, default: str | None = "loihi2") -> None:
    """`--device`."""
    parser.add_argument("--device", default=default, metavar="D", help="loihi2 (the default), loihi1, or a profile of your own, D.toml")


def add_per_channel(parser: argparse.ArgumentParser, default: bool | None = False) -> None:
    """`--per-channel`."""
    told = "thresholds and scales per channel, where the target allows it"
    parser.add_argument("--per-channel", action=argparse.BooleanOptionalAction, default=default, help=told)


def add_lava(parser: argparse.ArgumentParser) -> None:
    """`--lava-samples` and `--lava-seconds`."""
    parser.add_argument(
        "--lava-samples",
        metavar="all|N",
        help="samples that go through real Lava, compared with the engine spike for spike, the first of them in Lava's own process models too",
    )
    parser.add_argument("--lava-seconds", type=float, metavar="S", help="as many of them as fit into this time")


def emit(arguments: argparse.Namespace, result: Any, text: str, notes: Sequence[str] = ()) -> None:
    """Print the result: as JSON if asked, else as text; and on standard error what was assumed on
    the way to it (`note`), and notes.
    """
    assumed = note.split("\n") if (note := getattr(arguments, "note", "")) else []
    for line in () if arguments.quiet else (*assumed, *(f"note: {note}" for note in notes)):
        print(printable(line), file=sys.stderr)
    print(json.dumps(result, indent=2) if arguments.json else "\n".join(map(printable, text.split("\n"))))


def silent_notes(spikes: Mapping[str, float]) -> list[str]:
    """What to say of layers that never fire, from the spikes, or the rate, of every spiking node."""
    silent = [name for name, count in spikes.items() if not count]
    if not silent:
        return []
    which = "no layer ever fires" if len(silent) == len(spikes) else f"never fires: {', '.join(silent)}"
    return [f"{which}; check the input's scale, and dt, its unit and the integrator if the file came from elsewhere"]


@contextmanager
def progress_bar(total: int, what: str, *, unit: str = "sample") -> Iterator[Callable[[int], None]]:
    """Shows progress on standard error (`export.common.progress`); yields what is told how many
    samples, or others, are done since.
    """
    with progress.progress_bar(total, what, unit=unit) as bar:
        yield lambda count: (bar.update(count), None)[1]


MEANING = ("dt", "integrator", "reset", "reset_delay", "nonstrict", "multi_spike", "framework")
"""Arguments of `add_meaning`."""
FLAGS = {"framework": "--from", "verify_backends": "--backends"}
"""Options that are not called as their argument is."""


def refuse_ignored(arguments: argparse.Namespace, names: Sequence[str], why: str) -> None:
    """InputError if one of these was given: it would do nothing, and its user believes that it
    does. why: what makes it so.
    """
    for name in given(arguments, names):
        raise InputError(f"{FLAGS.get(name, '--' + name.replace('_', '-'))} does nothing here: {why}; leave it out")


def given(arguments: argparse.Namespace, names: Sequence[str]) -> list[str]:
    """Those of the arguments that were given."""
    values = {name: getattr(arguments, name, None) for name in names}
    return [name for name, value in values.items() if value is not None and value is not False]


def usual_or(text: str | None, choices: tuple[str, ...]) -> list[str]:
    """The backends that were asked for, each importable; where none was, the usual ones that are,
    with a note of what is missing.
    """
    if text is not None:
        names = parse_backends(text, choices)
        for name in names:
            backend(name)  # what cannot be imported is told now, not after the work
        return names
    names, note = usual_backends()
    if note and not progress.LOUDNESS.quiet:
        progress.say(f"note: {printable(note)}")
    return names


def parse_backends(text: str, choices: tuple[str, ...]) -> list[str]:
    """Comma-separated names of backends, in order, without repeats."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in choices]
    if unknown or not names:
        near = nearest(unknown[0], choices) if unknown else ""
        hint = f"did you mean {near}? " if near else ""
        raise InputError(f"--backends {text!r}: {', '.join(unknown) or 'nothing'} is no backend; {hint}choose from {', '.join(choices)}")
    return names


def table(rows: list[tuple[Any, ...]], header: tuple[str, ...]) -> str:
    """Plain text columns, the last one ragged; whatever a file says in them is made printable."""
    cells = [tuple(printable(str(cell), CELL_MAX) for cell in row) for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header) - 1)]
    return "\n".join("  ".join([*(c.ljust(w) for c, w in zip(row, widths)), row[-1]]) for row in cells)
