"""Load Lava, or say in one line why that cannot be."""

from __future__ import annotations

import importlib
import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from spikeport.export.common.errors import InputError

REMEDY = "run on Python 3.10 with `pip install lava-nc==0.10.0 'numpy<2'`, or choose the engine backend"


def require_lava() -> None:
    """Import Lava's core; call it before importing any module of this package that needs Lava.

    Raises:
        InputError: Python is newer than Lava 0.10 imports on, or Lava is not installed.
    """
    if sys.version_info >= (3, 11):
        raise InputError(f"Lava 0.10 does not import on Python {sys.version_info[0]}.{sys.version_info[1]}; {REMEDY}")
    try:
        with _start_method_may_be_set():
            importlib.import_module("lava.magma.runtime.message_infrastructure.multiprocessing")
    except ImportError as error:
        raise InputError(f"Intel's Lava cannot be imported ({error}); {REMEDY}") from error


@contextmanager
def _start_method_may_be_set() -> Iterator[None]:
    """Lava sets multiprocessing's start method when imported, which fails where a progress bar's lock or a data loader was first."""
    original = multiprocessing.set_start_method
    multiprocessing.set_start_method = lambda method: original(method, force=True)  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        multiprocessing.set_start_method = original
