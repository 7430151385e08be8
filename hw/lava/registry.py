"""Lava keeps every process it ever made in global lists, and a log handler for each; take back what
a run put there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from lava.magma.core.process.process import ProcessServer
from lava.magma.core.process.variable import VarServer


@contextmanager
def forget_processes() -> Iterator[None]:
    """Lava's registries and the root logger are afterwards as they were before."""
    processes, variables, handlers = ProcessServer().processes, VarServer().vars, logging.getLogger().handlers
    sizes = len(processes), len(variables), len(handlers)
    try:
        yield
    finally:
        for registry, size in zip((processes, variables, handlers), sizes):
            del registry[size:]
