"""What the stages of one command hand to each other, so that nothing is read twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from spikeport.export.common.digest import short
from spikeport.export.model.digest import network_digest
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.backends.simulate import backend
from spikeport.hw.records.record import SpikeRecord, join_records
from spikeport.hw.records.record_file import load_record, read_made_of, save_record
from spikeport.hw.records.stimulus import encode
from spikeport.stages.bound import Digests, network_made_of, read_bound, write_bound
from spikeport.stages.workspace import Workspace
from spikeport.train.data.dataset import split_digest
from spikeport.train.data.on_demand import in_batches
from spikeport.train.data.registry import Dataset, Split
from spikeport.train.loop.checkpoint import Trained, settings_digest, trained_digest

T = TypeVar("T")
Bar = Callable[[int, str], AbstractContextManager[Callable[[int], None]]]
"""Makes a progress bar for so many samples under a name."""
SplitName = Literal["validation", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
ENGINE_SAMPLES = 1024
"""Samples that are integers at a time."""


@dataclass(eq=False)
class Session:
    """A trained network with its data, and what stages make of them; each is loaded from the folder when first asked for.

    A stage that makes the network sets `network`. notes: what was left out, and why, in words.
    """

    work: Workspace
    trained: Trained
    data: Dataset
    bar: Bar
    notes: list[str] = field(default_factory=list)
    _results: dict[Path, Any] = field(default_factory=dict)

    @classmethod
    def opened(cls, root: Path, data_dir: Path | None, bar: Bar) -> Session:
        """Of a training directory.

        Raises:
            InputError: no training, a damaged one, or data that is not there.
        """
        work = Workspace(root)
        trained = work.trained()
        return cls(work, trained, work.dataset(trained, data_dir), bar, [*work.notes()])

    @cached_property
    def network(self) -> QuantizedNetwork:
        """The quantized network of the folder.

        Raises:
            InputError: there is none yet, or a damaged one.
        """
        work = self.work
        network = work.quantized()
        kept = network_made_of(network).get("trained")
        if kept and kept != self.trained_digest:
            self.note(
                f"{work.network.name} was quantized from another trained network ({short(kept)}) than the one here ({short(self.trained_digest)})"
            )
        return network

    @cached_property
    def trained_digest(self) -> str:
        """Of the trained network; must be asked for before a stage changes its weights."""
        return trained_digest(self.trained.module, self.trained.config)

    @cached_property
    def data_digests(self) -> Digests:
        """Of validation and test data."""
        return {name: split_digest(self.split(name)) for name in SPLITS}

    @cached_property
    def records(self) -> dict[SplitName, SpikeRecord]:
        """The engine's record of the quantized network on validation and test data; made anew where it is of anything else."""
        return {name: self._record(name) for name in SPLITS}

    @cached_property
    def training_digest(self) -> str:
        """Of the training data."""
        return split_digest(self.data.train)

    def split(self, name: SplitName) -> Split:
        """A split by name."""
        return self.data.validation if name == "validation" else self.data.test

    def made_of(self, *names: str) -> dict[str, str]:
        """Digests of `trained`, `settings`, `network`, `training`, `validation` or `test`, as a result that was made of these carries them."""
        return {name: self._digest(name) for name in names}

    def keep(self, path: Path, result: Any, *names: str) -> None:
        """Write a result that was made of these, and remember it for the stages to come."""
        write_bound(path, result, self.made_of(*names))
        self._results[path] = result

    def kept(self, kind: type[T], path: Path, *names: str) -> T | None:
        """The result of an earlier stage, if it was made of these; else None, and where it lies in the folder a note says why."""
        if path in self._results:
            return self._results[path]
        if not path.exists():
            return None
        result, reason = read_bound(kind, path, self.made_of(*names))
        self.note(reason)
        return result

    def with_network(self, *names: str) -> tuple[str, ...]:
        """These names, and the quantized network's where there is one."""
        return (*names, "network") if "network" in vars(self) or self.work.network.exists() else names

    def note(self, text: str) -> None:
        """Keep a note, once."""
        if text and text not in self.notes:
            self.notes.append(text)

    def _digest(self, name: str) -> str:
        if name == "trained":
            return self.trained_digest
        if name == "training":
            return self.training_digest
        if name == "settings":
            return settings_digest(self.trained.config)
        return network_digest(self.network) if name == "network" else self.data_digests[name]

    def _record(self, name: SplitName) -> SpikeRecord:
        path, made_of = self.work.record(name), self.made_of("network", name)
        if path.exists() and read_made_of(path) == made_of:
            return load_record(path, self.network, len(self.split(name)))
        with self.bar(len(self.split(name)), f"engine, {name}") as progress:
            record = engine_record(self.network, self.split(name), progress)
        save_record(path, record, made_of)
        return record


def engine_record(network: QuantizedNetwork, part: Split, progress: Callable[[int], None]) -> SpikeRecord:
    """The engine's record of a whole split, some samples after the other: as integers, a large data set would not fit into memory."""
    starts = range(0, len(part), ENGINE_SAMPLES)

    def records() -> Iterator[SpikeRecord]:
        for start, images in zip(starts, in_batches(part.images, [slice(start, start + ENGINE_SAMPLES) for start in starts])):
            stimulus = encode(network.input, images, network.timesteps, first=start)
            yield backend("engine")(network, stimulus, progress=progress)

    return join_records(records(), len(part))
