"""Load Lava, on newer Pythons with its one mistake put right, or say in one line why that cannot
be.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

import numpy as np

from spikeport.export.common.errors import InputError

REMEDY = "install it with `pip install lava-nc==0.10.0 'numpy<2'`, or choose the engine backend"
NEWER_REMEDY = (
    "install it with `pip install --ignore-requires-python --no-deps lava-nc==0.10.0`"
    " (and `pip install scipy networkx asteval scikit-learn matplotlib`), or choose the engine backend"
)
"""Lava's package says Python below 3.11 and numpy below 2, so the index refuses it there; it runs
on both all the same.
"""
SHARED_DEFAULTS = "lava.magma.compiler.var_model"
"""The module that stops Lava's import from Python 3.11 on: fields of dataclasses whose default is
an instance, made once and shared.
"""
RESHAPED = "lava.magma.core.process.ports.ports"
"""The module that calls `np.reshape` with `newshape`, which numpy 2.1 to 2.4 warn of and 2.5 no
longer takes.
"""


class NumpyWithNewshape:
    """numpy as Lava's ports know it: `reshape` still takes its shape as `newshape`."""

    def __init__(self, numpy: ModuleType) -> None:
        self._numpy = numpy

    def __getattr__(self, name: str) -> Any:
        return _reshape if name == "reshape" else getattr(self.__dict__["_numpy"], name)


def _reshape(array: np.ndarray, newshape: Any) -> np.ndarray:
    return np.reshape(array, newshape)


class MendedImports(MetaPathFinder):
    """Finds those two modules of Lava and puts right what stops them; leaves all others alone."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module's own spec, with a loader that mends."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname in (SHARED_DEFAULTS, RESHAPED) else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def mended(module: ModuleType) -> None:
            with _defaults_made_anew():
                execute(module)
            if fullname == RESHAPED:
                module.np = NumpyWithNewshape(np)  # type: ignore[attr-defined]

        spec.loader.exec_module = mended  # type: ignore[method-assign]
        return spec


def mend_imports() -> None:
    """From now on `import lava...` works on Python 3.11 and newer too; does nothing more when
    called again.
    """
    if sys.version_info >= (3, 11) and not any(isinstance(finder, MendedImports) for finder in sys.meta_path):
        sys.meta_path.insert(0, MendedImports())


def require_lava() -> None:
    """Import Lava's core; call it before importing anything of Lava, or any module of this package
    that needs it.

    Raises:
        InputError: Lava is not installed, or cannot be imported.
    """
    try:
        with _start_method_may_be_set():
            importlib.import_module("lava.magma.runtime.message_infrastructure.multiprocessing")
    except ImportError as error:
        remedy = NEWER_REMEDY if sys.version_info >= (3, 11) else REMEDY
        raise InputError(f"Intel's Lava cannot be imported ({error}); {remedy}") from error


@contextmanager
def _start_method_may_be_set() -> Iterator[None]:
    """Lava sets multiprocessing's start method when imported, which fails where a progress bar's
    lock or a data loader was first.
    """
    original = multiprocessing.set_start_method
    multiprocessing.set_start_method = lambda method: original(method, force=True)  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        multiprocessing.set_start_method = original


@contextmanager
def _defaults_made_anew() -> Iterator[None]:
    """Meanwhile a dataclass may have instances of dataclasses as defaults, as up to Python 3.10;
    each object gets a copy of its own.
    """
    original = dataclasses.dataclass

    def dataclass(cls: Any = None, /, **options: Any) -> Any:
        if cls is None:
            return partial(dataclass, **options)
        for name in inspect.get_annotations(cls):
            default = cls.__dict__.get(name)
            if dataclasses.is_dataclass(default) and not isinstance(default, type) and type(default).__hash__ is None:
                setattr(cls, name, dataclasses.field(default_factory=partial(copy.copy, default)))
        return original(cls, **options)

    dataclasses.dataclass = dataclass
    try:
        yield
    finally:
        dataclasses.dataclass = original
