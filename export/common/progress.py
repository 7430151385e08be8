"""How far a stage is: a bar where standard error is a terminal, else one line when the stage
begins.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from tqdm import tqdm


@dataclass
class Loudness:
    """What the whole process shows. quiet: nothing. verbose: also how long each stage took."""

    quiet: bool = False
    verbose: bool = False


LOUDNESS = Loudness()


class _Bar(tqdm):
    """A bar that may stand within a step, as within an epoch after some of its batches; whole steps
    are counted.
    """

    @property
    def format_dict(self) -> dict[str, Any]:
        """What the line is made of."""
        return {**super().format_dict, "n": round(self.n, 1) if self.n % 1 else int(self.n)}


def choose(*, quiet: bool, verbose: bool) -> None:
    """From now on, in this process."""
    LOUDNESS.quiet, LOUDNESS.verbose = quiet, verbose


@contextmanager
def progress_bar(
    total: int, what: str, *, unit: str = "sample", done: int = 0, leave: bool = False, shown: bool = True
) -> Iterator[tqdm[None]]:
    """A `tqdm` bar to update. done: where it starts. leave: it stays on the screen. shown: False
    for neither bar nor line.
    """
    terminal, shown, begun = sys.stderr.isatty(), shown and not LOUDNESS.quiet, perf_counter()
    if shown and not terminal:
        say(f"{what}: {total - done:,} {unit}{'' if total - done == 1 else 's'}")
    with _Bar(total=total, initial=done, desc=what, unit=unit, leave=leave, disable=not (shown and terminal)) as bar:
        yield bar
    if shown and LOUDNESS.verbose:
        say(f"{what}: took {perf_counter() - begun:.1f} s")


def step_done(bar: tqdm[None], step: str, text: str, *, shown: bool = True) -> None:
    """What a long step came to: beside the bar, or a line where there is no terminal."""
    bar.set_postfix_str(text)
    if shown and bar.disable and not LOUDNESS.quiet:
        say(f"{step}: {text}")


def say(text: str) -> None:
    """A line on standard error."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def silent_bar(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Shows nothing: a notebook's cell ends in its result."""
    yield lambda count: None
