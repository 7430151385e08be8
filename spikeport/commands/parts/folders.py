"""A run's folder as workers open it, each for itself."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.common.progress import silent_bar
from spikeport.export.model.network import QuantizedNetwork
from spikeport.stages.folder.bound import stale
from spikeport.stages.imported import open_session
from spikeport.stages.session import Session


@dataclass(frozen=True)
class Folder:
    """A folder and its data, by absolute paths; a `spikeport.cluster.shards.Source` of its network
    and test data. made_of: their digests where the work comes from.
    """

    root: Path
    data_dir: Path | None
    made_of: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, session: Session, data_dir: Path | None) -> Folder:
        """As a session opened here sees it."""
        made_of = session.made_of(*session.with_network("trained", "test"))
        return cls(session.work.root.resolve(), data_dir and data_dir.resolve(), tuple(made_of.items()))

    def __call__(self) -> Session:
        """The session of this process.

        Raises:
            InputError: the folder is not there, or holds another network or other data.
        """
        return _opened(self)

    def network(self) -> QuantizedNetwork:
        """As `Source.network`."""
        return self().network

    def samples(self, start: int, stop: int) -> np.ndarray:
        """As `Source.samples`."""
        return self().split("test").images[start:stop]


@lru_cache(maxsize=1)
def _opened(folder: Folder) -> Session:
    try:
        session = open_session(folder.root, folder.data_dir, silent_bar)
        here = session.made_of(*dict(folder.made_of))
    except InputError as error:
        raise InputError(f"on worker {socket.gethostname()}: {error}") from None
    if here != dict(folder.made_of):
        raise InputError(
            f"{folder.root} on worker {socket.gethostname()}: {stale(here, dict(folder.made_of))}; let every worker see the same one"
        )
    return session
