"""What the stages of one command hand to each other, so that nothing is read twice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np
from torch import nn

from spikeport.analysis.information.fisher import FisherResult
from spikeport.export.common.digest import short
from spikeport.export.model.digest import network_digest
from spikeport.export.model.network import FloatNetwork, QuantizedNetwork
from spikeport.hw.backends.simulate import backend
from spikeport.hw.records.record import RecordLevel, SpikeRecord, join_records
from spikeport.hw.records.record_file import load_record, read_made_of, save_record
from spikeport.hw.records.stimulus import encode
from spikeport.stages.folder.bound import Digests, network_made_of, read_bound, write_bound
from spikeport.stages.folder.workspace import Workspace
from spikeport.train.data.dataset import Split, split_digest
from spikeport.train.data.on_demand import in_batches

if TYPE_CHECKING:
    from spikeport.stages.tic import TicConfig

T = TypeVar("T")
Bar = Callable[[int, str], AbstractContextManager[Callable[[int], None]]]
"""Makes a progress bar for so many samples under a name."""
SplitName = Literal["validation", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
CUT_FROM = ("trained", "network", "validation", "test")
"""What the choice of T' is made of."""
ENGINE_SAMPLES = 1024
"""Samples that are integers at a time."""


@dataclass(eq=False)
class Session(ABC):
    """A float network of a folder with its data, and what stages make of them; each is loaded from
    the folder when first asked for.

    Trained here (`stages.trained`) or brought along (`stages.imported`). A stage that makes the
    quantized network sets `network`.
    splits: validation chooses, test confirms. record_level: of the engine's records; their files
    hold counts. notes: what was left out, and why, in words.
    """

    work: Workspace
    splits: Mapping[SplitName, Split]
    bar: Bar
    notes: list[str] = field(default_factory=list, kw_only=True)
    record_level: RecordLevel = field(default="counts", kw_only=True)
    _results: dict[Path, Any] = field(default_factory=dict, init=False)

    @property
    @abstractmethod
    def title(self) -> str:
        """What the network is, for people."""

    @property
    @abstractmethod
    def origin(self) -> str:
        """Where network and data come from, for people."""

    @property
    @abstractmethod
    def seed(self) -> int:
        """Of splits, sampled labels and intervals."""

    @property
    @abstractmethod
    def timesteps(self) -> int:
        """T of the float network."""

    @property
    @abstractmethod
    def float_digests(self) -> Digests:
        """Of the float network, `trained`, and of what it was trained with where that is known,
        `settings`.
        """

    @property
    def calibration(self) -> Split:
        """Samples that integers are chosen on unless others are given, and that Fisher information
        is of: training ones, else the half that chooses.
        """
        return self.split("validation") if self.training is None else self.training

    @property
    @abstractmethod
    def training(self) -> Split | None:
        """Samples that the float network was trained on, where they are at hand; they may propose
        T', which validation samples must not.
        """

    @property
    def informed_by(self) -> tuple[str, ...]:
        """What Fisher information is made of: the network and `calibration`."""
        return ("trained", "validation" if self.training is None else "training")

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the float network was made with, as JSON values, for the report."""

    @property
    def meaning(self) -> dict[str, str]:
        """What the report says of the network's meaning beside that of its integers."""
        return {}

    @abstractmethod
    def lowered(self) -> FloatNetwork:
        """The float network in physical units."""

    @abstractmethod
    def attacked(self) -> nn.Module:
        """The float network with gradients, called as `module(x, timesteps, first=number of the
        first sample)`; gives `(T, N, classes)`.
        """

    @abstractmethod
    def check_pixels(self) -> None:
        """InputError where the data are no images in 0..1 that are held over time."""

    @abstractmethod
    def float_right(self, part: Split, progress: Callable[[int], None]) -> np.ndarray:
        """Whether the float network is right after 1 .. T timesteps, bool `(samples, T)`; ties go
        to the lowest class.
        """

    @abstractmethod
    def float_accuracy(self) -> Mapping[SplitName, Sequence[float]]:
        """Of the float network after 1 .. T timesteps, by split; without a split that is not known
        yet.
        """

    @abstractmethod
    def information(self, config: TicConfig, progress: Callable[[int], None]) -> FisherResult:
        """Fisher information of the float network on the samples of `calibration`."""

    def float_answers(self, name: SplitName) -> np.ndarray:
        """`float_right` of a whole split."""
        part = self.split(name)
        with self.bar(len(part), "float reference") as progress:
            return self.float_right(part, progress)

    @cached_property
    def network(self) -> QuantizedNetwork:
        """The quantized network of the folder.

        Raises:
            InputError: there is none yet, or a damaged one.
        """
        work = self.work
        network = work.quantized()
        kept, here = network_made_of(network).get("trained"), self.float_digests["trained"]
        if kept and kept != here:
            self.note(f"{work.network.name} was quantized from another trained network ({short(kept)}) than the one here ({short(here)})")
        return network

    @cached_property
    def data_digests(self) -> Digests:
        """Of validation and test data."""
        return {name: split_digest(self.split(name)) for name in SPLITS}

    @cached_property
    def records(self) -> dict[SplitName, SpikeRecord]:
        """The engine's record of the quantized network on validation and test data; made anew where
        it is of anything else.
        """
        return {name: self._record(name) for name in SPLITS}

    def split(self, name: SplitName) -> Split:
        """A split by name."""
        return self.splits[name]

    def made_of(self, *names: str) -> dict[str, str]:
        """Digests of `trained`, `settings`, `network`, `training`, `validation` or `test`, as a
        result that was made of these carries them.
        """
        return {name: self._digest(name) for name in names}

    def keep(self, path: Path, result: Any, *names: str) -> None:
        """Write a result that was made of these, and remember it for the stages to come."""
        write_bound(path, result, self.made_of(*names))
        self._results[path] = result

    def kept(self, kind: type[T], path: Path, *names: str) -> T | None:
        """The result of an earlier stage, if it was made of these; else None, and where it lies in
        the folder a note says why.
        """
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
        if name in ("trained", "settings"):
            return self.float_digests[name]
        if name == "training":
            return self._training_digest
        return network_digest(self.network) if name == "network" else self.data_digests[name]

    @cached_property
    def _training_digest(self) -> str:
        assert self.training is not None, "asked of a network that was not trained here"
        return split_digest(self.training)

    def _record(self, name: SplitName) -> SpikeRecord:
        path, made_of = self.work.record(name), self.made_of("network", name)
        if path.exists() and read_made_of(path) == made_of:
            return load_record(path, self.network, len(self.split(name)))
        with self.bar(len(self.split(name)), f"engine, {name}") as progress:
            record = engine_record(self.network, self.split(name), progress, self.record_level)
        save_record(path, replace(record, spikes={}), made_of)
        return record


def engine_record(network: QuantizedNetwork, part: Split, progress: Callable[[int], None], level: RecordLevel = "counts") -> SpikeRecord:
    """The engine's record of a whole split, some samples after the other: as integers, a large data
    set would not fit into memory.
    """
    starts = range(0, len(part), ENGINE_SAMPLES)

    def records() -> Iterator[SpikeRecord]:
        for start, images in zip(starts, in_batches(part.images, [slice(start, start + ENGINE_SAMPLES) for start in starts])):
            stimulus = encode(network.input, images, network.timesteps, first=start)
            yield backend("engine")(network, stimulus, level, progress=progress)

    return join_records(records(), len(part))
