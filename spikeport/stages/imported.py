"""A network that came from elsewhere, to the stages; and what a folder keeps of it, so that they
can come back to it.

The folder keeps the network itself. Of samples that were read from files it keeps where those lie
and a digest of what they held: a copy would double the disk that recordings take, and prove no more
than the digest does. Arrays that have no file are written down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikeport.analysis.common.numbers import counted
from spikeport.analysis.information.fisher import FisherResult
from spikeport.export.common.arrays import read_npz
from spikeport.export.common.digest import content_digest, short
from spikeport.export.common.errors import InputError
from spikeport.export.floating.file import read_float, write_float
from spikeport.export.floating.run import FloatModule
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.model.digest import network_digest
from spikeport.export.model.network import FloatNetwork
from spikeport.hw.backends.expect import Expectation, expect_float, expect_integers, spiking_nodes
from spikeport.hw.records.record import correct_over_time
from spikeport.hw.records.record_file import save_arrays
from spikeport.hw.records.stimulus import load_input
from spikeport.stages.folder.bound import Digests, json_digests, read_result, write_bound
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.session import SPLITS, Bar, Session, SplitName
from spikeport.stages.tic import TicConfig, differentiable, of_float_network
from spikeport.stages.trained import TrainedSession
from spikeport.train.data.dataset import Split, cut

KEPT_MAX = 1 << 28
"""Bytes of samples without a file of their own that are written down, before compression: 256 MB.
"""


@dataclass(frozen=True, eq=False)
class Foreign:
    """What came from elsewhere. name: of the file. meaning: how it is read, in words. seed: of the
    halves.

    files: where samples and labels were read from, None where they are only here. expected: spikes
    recorded in the user's own framework (`hw.backends.expect.read_expected`), or None.
    """

    name: str
    meaning: str
    network: FloatNetwork
    samples: np.ndarray
    labels: np.ndarray
    seed: int = 0
    files: tuple[Path, Path] | None = None
    expected: Mapping[str, np.ndarray] | None = None

    def __post_init__(self) -> None:
        classes = int(np.prod(self.network[self.network.output].shape))
        labels, count = self.labels, len(self.samples)
        if labels.shape != (count,) or labels.dtype.kind not in "iu":
            raise InputError(f"targets have shape {labels.shape} and type {labels.dtype}; expected one integer for each of {count} samples")
        if count < 2:
            raise InputError(f"the input has {counted(count, 'sample')}; give 2 or more, one half chooses and the other confirms")
        if labels.min() < 0 or labels.max() >= classes:
            raise InputError(f"targets lie in {labels.min()}..{labels.max()}; this network's classes are 0..{classes - 1}")

    @cached_property
    def made_of(self) -> Digests:
        """Digests of the network and of its data."""
        return {"trained": network_digest(self.network), "input": content_digest("input", self.samples, self.labels)}


@dataclass(frozen=True)
class Source:
    """What a folder says of the network that was brought there; fields as in `Foreign`, None for
    files where there are none.
    """

    name: str
    meaning: str
    seed: int
    samples: str | None
    labels: str | None


@dataclass(frozen=True)
class Expected:
    """Spikes recorded in the network's own framework against ours, in float and in integers."""

    links: tuple[Expectation, ...]


def keep(work: Workspace, foreign: Foreign) -> None:
    """Write down what later stages need.

    Raises:
        OutputError: the folder cannot be written to.
    """
    places = tuple(str(path.resolve()) for path in foreign.files) if foreign.files else (None, None)
    write_float(foreign.network, work.floating)
    if foreign.files is None and foreign.samples.nbytes <= KEPT_MAX:
        save_arrays(work.samples, {"samples": foreign.samples, "labels": foreign.labels}, foreign.made_of)
    write_bound(work.source, Source(foreign.name, foreign.meaning, foreign.seed, *places), foreign.made_of)


def brought(work: Workspace, data_dir: Path | None = None) -> Foreign:
    """What `keep` wrote. data_dir: where the files of samples and labels lie now, by their names;
    None for where they were read.

    Raises:
        InputError: missing, damaged, or not what the folder's results were made of.
    """
    source, made_of = read_result(Source, work.source), json_digests(work.source, Source.__name__) or {}
    samples, labels = _samples(work, source, data_dir)
    foreign = Foreign(source.name, source.meaning, read_float(work.floating), samples, labels, source.seed)
    for name, path in (("trained", work.floating), ("input", source.samples or work.samples)):
        if (kept := made_of.get(name, "")) != foreign.made_of[name]:
            here = f"{short(foreign.made_of[name])}, {work.source} says {short(kept)}"
            raise InputError(
                f"{path} is not what {work.root} was made of (here {here}); put it back, or begin again with run --nir --force"
            )
    return foreign


def _samples(work: Workspace, source: Source, data_dir: Path | None) -> tuple[np.ndarray, np.ndarray]:
    if source.samples is None or source.labels is None:
        if not work.samples.exists():
            raise InputError(
                f"{work.samples} is not there: samples above {KEPT_MAX >> 20} MB are kept in files of your own only; save them with "
                "numpy.save and use spikeport run --nir"
            )
        arrays = read_npz(work.samples)
        if not {"samples", "labels"} <= arrays.keys():
            raise InputError(f"{work.samples} holds {', '.join(arrays) or 'nothing'}, expected samples and labels; make it again")
        return arrays["samples"], arrays["labels"]
    places = [data_dir / Path(name).name if data_dir else Path(name) for name in (source.samples, source.labels)]
    for path in places:
        if not path.is_file():
            raise InputError(f"{path} does not exist, and {work.root} was made of it; say where it lies now with --data-dir FOLDER")
    return load_input(places[0]), load_input(places[1])


def open_session(root: Path, data_dir: Path | None, bar: Bar) -> Session:
    """The network of a folder, trained there or brought along, with its data.

    Raises:
        InputError: neither, a damaged one, or data that is not there.
    """
    work = Workspace(root)
    if work.source.exists():
        return ImportedSession.of(work, brought(work, data_dir), bar)
    return TrainedSession.opened(root, data_dir, bar)


@dataclass(eq=False)
class ImportedSession(Session):
    """A network of another framework and the user's samples: half of them choose, half confirm,
    classes in proportion.
    """

    foreign: Foreign = field(kw_only=True)
    order: Mapping[SplitName, np.ndarray] = field(kw_only=True)

    @classmethod
    def of(cls, work: Workspace, foreign: Foreign, bar: Bar) -> ImportedSession:
        """Of what was just brought, or is kept."""
        labels = foreign.labels.astype(np.int64)
        numbers = Split(np.arange(len(labels)), labels)
        order = {name: part.array for name, part in zip(SPLITS, cut(numbers, len(labels) // 2, foreign.seed))}
        splits = {name: Split(foreign.samples[numbers], labels[numbers]) for name, numbers in order.items()}
        session = cls(work, splits, bar, foreign=foreign, order=order)
        session.record_level = "spikes" if foreign.expected is not None and spiking_nodes(foreign.expected) else "counts"
        return session

    @property
    def title(self) -> str:
        return self.foreign.name

    @property
    def origin(self) -> str:
        return f"imported, {counted(len(self.foreign.samples), 'sample')}"

    @property
    def seed(self) -> int:
        return self.foreign.seed

    @property
    def timesteps(self) -> int:
        return self.foreign.network.timesteps

    @property
    def float_digests(self) -> Digests:
        return {"trained": self.foreign.made_of["trained"]}

    @property
    def training(self) -> None:
        return None

    @property
    def settings(self) -> dict[str, Any]:
        return {}

    @property
    def meaning(self) -> dict[str, str]:
        return {"read as": self.foreign.meaning}

    def lowered(self) -> FloatNetwork:
        return self.foreign.network

    def attacked(self) -> nn.Module:
        return _Increments(differentiable(self.foreign.network))

    def check_pixels(self) -> None:
        images = self.foreign.samples
        network, kind = self.foreign.network, images.dtype
        if len(network.input.shape) != 3 or images.ndim != 4 or kind.kind != "f" or images.min() < 0 or images.max() > 1:
            raise InputError(
                f"the samples of {self.title} are {kind} of shape {images.shape}, in {images.min():g}..{images.max():g}; noise, blur and "
                "attacks are of images (samples, channels, height, width) that are held over time, floats in 0..1"
            )

    @cached_property
    def floating(self) -> dict[str, np.ndarray]:
        """The float network over all samples, in their own order: `output`, and spikes where their
        record has some.
        """
        network, samples = self.foreign.network, self.foreign.samples
        with self.bar(len(samples), "float reference") as progress:
            return simulate_float(network, samples, network.timesteps, record=self.record_level == "spikes", progress=progress)

    def float_right(self, part: Split, progress: Callable[[int], None]) -> np.ndarray:
        network = self.foreign.network
        output = simulate_float(network, part.array, network.timesteps, progress=progress)["output"]
        return correct_over_time(output, part.labels, network.readout)

    def float_answers(self, name: SplitName) -> np.ndarray:
        output = self.floating["output"][self.order[name]]
        return correct_over_time(output, self.split(name).labels, self.foreign.network.readout)

    def float_accuracy(self) -> Mapping[SplitName, Sequence[float]]:
        return {name: tuple(self.float_answers(name).mean(axis=0).tolist()) for name in SPLITS}

    def information(self, config: TicConfig, progress: Callable[[int], None]) -> FisherResult:
        part = self.calibration
        return of_float_network(self.foreign.network, part.array, part.labels, config, progress)

    def expect(self, expected: Mapping[str, np.ndarray]) -> Expected:
        """Compare their record with the runs that are there anyway."""
        samples = self.foreign.samples
        floats = expect_float(self.foreign.network, samples, expected, ours=self.floating)
        integers = expect_integers(self.network, samples, expected, ours=self._joined())
        return Expected((floats, integers))

    def _joined(self) -> dict[str, np.ndarray]:
        """The records of both halves, in the order of the samples: `output`, and
        `spikes/<population>` where they were recorded.
        """
        back = np.argsort(np.concatenate([self.order[name] for name in SPLITS]))
        first, second = (
            {"output": r.output, **{f"spikes/{k}": v for k, v in r.spikes.items()}} for r in map(self.records.get, SPLITS) if r
        )
        return {key: np.concatenate([first[key], second[key]])[back] for key in first.keys() & second.keys()}


class _Increments(nn.Module):
    """A float network whose answer is the sum of its outputs over time, whatever is read: steps of
    a potential in its place.
    """

    def __init__(self, module: FloatModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, timesteps: int, *, first: int = 0) -> Tensor:
        """`(N, *shape)`, held, to `(T, N, classes)`."""
        output = self.module(x, timesteps, first=first).flatten(2)
        if self.module.network.readout != "membrane_potential":
            return output
        return torch.diff(output, dim=0, prepend=torch.zeros_like(output[:1]))
