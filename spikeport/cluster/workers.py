"""Whoever does tasks that know nothing of each other: this process, or many
(`spikeport.cluster.dask_workers`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Task = tuple[Any, ...]
"""Arguments of a task: small, frozen, and known by value; arrays are named by their files
(`spikeport.cluster.files`).
"""


class Workers(Protocol):
    """slots: tasks that are done at a time."""

    @property
    def slots(self) -> int: ...

    def each(self, do: Callable[..., T], tasks: Iterable[Task]) -> Iterator[T]:
        """What `do(*task)` gives for every task, once each and in their order, whoever did them and
        when.

        do: a function of a module; it must give the same however often it is done, since a task
        whose worker died is done again. Its InputError or BackendError is raised here.
        """
        ...


class _Here:
    """This process, one task after the other, each when its result is asked for."""

    slots = 1

    def each(self, do: Callable[..., T], tasks: Iterable[Task]) -> Iterator[T]:
        return (do(*task) for task in tasks)


HERE: Workers = _Here()
