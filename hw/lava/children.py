"""Operating-system care for the processes that Lava forks: they ignore Ctrl-C, and do not outlive
this process.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

PR_SET_PDEATHSIG = 1
_guarded = False


@contextmanager
def guarded_children() -> Iterator[None]:
    """Processes forked meanwhile leave Ctrl-C to the parent, who then stops them, and are killed
    when the parent dies.

    The second holds on Linux only; elsewhere a killed parent may leave them behind. A Ctrl-C
    meanwhile waits until the end.
    """
    global _guarded  # noqa: PLW0603
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    _guarded = True
    try:
        yield
    finally:
        _guarded = False
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _settle_in() -> None:
    """In a child, right after the fork."""
    if not _guarded:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(_libc, "prctl"):
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


_libc = ctypes.CDLL(None)
os.register_at_fork(after_in_child=_settle_in)
