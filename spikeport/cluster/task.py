"""A task on its worker: begun only where the same program runs as where it was sent from."""

from __future__ import annotations

import hashlib
import platform
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import spikeport
from spikeport.export.common import progress
from spikeport.export.common.errors import InputError

T = TypeVar("T")
PACKAGES = ("dask", "numba", "numpy", "torch")
"""Those that decide bits, and the one that carries tasks."""
ROOMS = ("spikeport", "spikeport.analysis", "spikeport.export", "spikeport.hw", "spikeport.train")


@dataclass(frozen=True)
class Program:
    """What must be the same everywhere. source: digest of spikeport's own files. packages: versions
    of `PACKAGES`.
    """

    python: str
    spikeport: str
    source: str
    packages: tuple[str, ...]

    def differs(self, here: Program) -> str:
        """The first difference in words; "" where there is none."""
        mine, theirs = self._named(), here._named()
        return next(
            (f"{name} {theirs[name]}, and {mine[name]} where the work comes from" for name in mine if mine[name] != theirs[name]), ""
        )

    def _named(self) -> dict[str, str]:
        named = {"spikeport" if name == "source" else name: value for name, value in asdict(self).items() if name != "packages"}
        return {**dict(zip(PACKAGES, self.packages)), **named, "spikeport": f"{self.spikeport} (source {self.source[:12]})"}


@lru_cache(maxsize=1)
def program() -> Program:
    """The one that runs here."""
    hasher = hashlib.sha256()
    for room in ROOMS:
        spec = find_spec(room)
        assert spec is not None and spec.origin is not None
        folder = Path(spec.origin).parent
        for path in sorted(folder.rglob("*.py")):
            hasher.update(f"{room}/{path.relative_to(folder)}\n".encode() + path.read_bytes())
    python = ".".join(platform.python_version_tuple()[:2])
    return Program(python, spikeport.__version__, hasher.hexdigest(), tuple(map(version, PACKAGES)))


def perform(sent_by: Program, prepare: Callable[[], None], do: Callable[..., T], *task: Any) -> T:
    """Do a task. prepare: makes this process ready for any of them, at once where it is.

    Raises:
        InputError: another program runs here.
    """
    if difference := sent_by.differs(program()):
        raise InputError(f"worker {socket.gethostname()} has {difference}; install the same there")
    progress.choose(quiet=True, verbose=False)
    prepare()
    return do(*task)
