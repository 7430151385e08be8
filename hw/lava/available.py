"""Load Lava, or say in one line why that cannot be."""

from __future__ import annotations

import importlib
import sys

from spikeport.export.errors import InputError

REMEDY = "run on Python 3.10 with `pip install lava-nc==0.10.0 'numpy<2'`, or choose --backend engine"


def require_lava() -> None:
    """Import Lava's core; call it before importing any module of this package that needs Lava.

    Raises:
        InputError: Python is newer than Lava 0.10 imports on, or Lava is not installed.
    """
    if sys.version_info >= (3, 11):
        raise InputError(f"Lava 0.10 does not import on Python {sys.version_info[0]}.{sys.version_info[1]}; {REMEDY}")
    try:
        importlib.import_module("lava.magma.core.process.process")
    except ImportError as error:
        raise InputError(f"Intel's Lava cannot be imported ({error}); {REMEDY}") from error
