"""Downloads through torchvision, once, into the user's cache."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torchvision import datasets

from spikeport.export.errors import InputError

NETWORK_PATIENCE = 15.0
"""Seconds without an answer after which a download is given up."""


def cache_folder() -> Path:
    """`$SPIKEPORT_DATA`, else `$XDG_CACHE_HOME/spikeport`, else `~/.cache/spikeport`."""
    if chosen := os.environ.get("SPIKEPORT_DATA"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spikeport"


def download(name: str) -> Path:
    """Make sure that torchvision's data set of this class name lies in the cache; returns the cache folder.

    Raises:
        InputError: the download failed; says how to do without.
    """
    folder = cache_folder()
    try:
        with _patience(NETWORK_PATIENCE):
            getattr(datasets, name)(str(folder), download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"cannot download {name} to {folder} ({reason}); pass --data-dir with a folder that holds its files") from None
    return folder


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Sockets opened inside give up after so long (torchvision offers no timeout)."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
