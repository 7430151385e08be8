"""Where the time of a run goes: processor seconds by layer and by what was done there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from time import thread_time
from typing import Any


@dataclass(frozen=True)
class Share:
    """One line of a profile: a connection or population, what was done for it and how, and its
    processor seconds on all threads.
    """

    name: str
    work: str
    how: str
    seconds: float


@dataclass
class Profile:
    """Filled by `spikeport.hw.engine.run(..., profile=Profile())`; of one run or of several
    together.
    """

    _seconds: dict[tuple[str, str, str], float] = field(default_factory=dict)
    _lock: Any = field(default_factory=Lock)

    def add(self, name: str, work: str, how: str, seconds: float) -> None:
        """Count processor seconds."""
        with self._lock:
            self._seconds[name, work, how] = self._seconds.get((name, work, how), 0.0) + seconds

    @property
    def shares(self) -> tuple[Share, ...]:
        """In the order in which they first came."""
        return tuple(Share(*key, seconds) for key, seconds in self._seconds.items())

    @property
    def seconds(self) -> float:
        """All processor seconds that were counted."""
        return sum(self._seconds.values())

    def to_json(self) -> list[dict[str, Any]]:
        """JSON values."""
        return [{"name": s.name, "work": s.work, "how": s.how, "seconds": s.seconds} for s in self.shares]


@contextmanager
def timed(profile: Profile | None, name: str, work: str, how: str = "") -> Iterator[None]:
    """Count the processor time of this thread meanwhile, where anybody asked."""
    if profile is None:
        yield
        return
    start = thread_time()
    yield
    profile.add(name, work, how, thread_time() - start)
