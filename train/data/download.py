"""Downloads through torchvision, once, into the user's cache.

It is imported where a download needs it: its import takes seconds.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spikeport.export.common.errors import InputError

NETWORK_PATIENCE = 15.0
"""Seconds without an answer after which a download is given up."""


def cache_folder() -> Path:
    """`$SPIKEPORT_DATA`, else `$XDG_CACHE_HOME/spikeport`, else `~/.cache/spikeport`."""
    if chosen := os.environ.get("SPIKEPORT_DATA"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spikeport"


def download(name: str, **options: Any) -> Path:
    """Make sure that torchvision's data set of this class name lies in the cache; returns the cache
    folder.

    Raises:
        InputError: the download failed; says how to do without.
    """
    from torchvision import datasets  # noqa: PLC0415

    folder = cache_folder()
    try:
        with _patience(NETWORK_PATIENCE):
            getattr(datasets, name)(str(folder), download=True, **options)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"cannot download {name} to {folder} ({reason}); pass --data-dir with a folder that holds its files") from None
    return folder


def download_archive(url: str, unpacked: str) -> Path:
    """Make sure that an archive's folder lies unpacked in the cache; returns the cache folder.

    Raises:
        InputError: the download failed; says how to do without.
    """
    from torchvision.datasets.utils import download_and_extract_archive  # noqa: PLC0415

    folder = cache_folder()
    if not (folder / unpacked).is_dir():
        try:
            with _patience(NETWORK_PATIENCE):
                download_and_extract_archive(url, str(folder))
        except (OSError, RuntimeError, EOFError) as error:
            raise InputError(f"cannot download {url} to {folder} ({error}); pass --data-dir with a folder that holds its files") from None
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
