"""How far a stage is: a bar where standard error is a terminal, else one line when the stage begins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress_bar(
    total: int, what: str, *, unit: str = "sample", done: int = 0, leave: bool = False, shown: bool = True
) -> Iterator[tqdm[None]]:
    """A `tqdm` bar to update. done: where it starts. leave: it stays on the screen. shown: False for neither bar nor line."""
    terminal = sys.stderr.isatty()
    if shown and not terminal:
        print(f"{what}: {total - done:,} {unit}{'' if total - done == 1 else 's'}", file=sys.stderr, flush=True)
    with tqdm(total=total, initial=done, desc=what, unit=unit, leave=leave, disable=not (shown and terminal)) as bar:
        yield bar


@contextmanager
def silent_bar(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Shows nothing: a notebook's cell ends in its result."""
    yield lambda count: None
