"""What lies in a working directory: one file per stage, so that any stage can be run again from
what is there.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from spikeport.analysis.common.jsonable import read_as, to_json
from spikeport.analysis.pages.kept import folder_of, forget_kept
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import write_json
from spikeport.export.common.guard import reading
from spikeport.export.model.network import QuantizedNetwork
from spikeport.export.nir.file import read_nir
from spikeport.train.data.registry import Dataset
from spikeport.train.loop.checkpoint import CONFIG, METRICS, MODEL, Trained, load
from spikeport.train.loop.curves import CURVES
from spikeport.train.loop.resume import STATE, epochs_done
from spikeport.train.settings.config import read_config
from spikeport.train.settings.training_data import training_data


@dataclass(frozen=True)
class DataPlace:
    """data_dir: folder of the data set, None for where its loader finds it."""

    data_dir: str | None


@dataclass(frozen=True)
class Workspace:
    """Paths of the stages' files below `root`."""

    root: Path

    @property
    def network(self) -> Path:
        """The quantized network."""
        return self.root / "network.nir"

    @property
    def deployed(self) -> Path:
        """The quantized network with its number of timesteps cut to T'."""
        return self.root / "deployed.nir"

    def record(self, split: str) -> Path:
        """The engine's record on "validation" or "test" data."""
        return self.root / f"{split}.npz"

    @property
    def tic(self) -> Path:
        """Fisher information over timesteps."""
        return self.root / "tic.json"

    @property
    def tic_history(self) -> Path:
        """Fisher information during training."""
        return self.root / "tic_history.json"

    @property
    def truncation(self) -> Path:
        """The choice of T'."""
        return self.root / "truncation.json"

    @property
    def retraining(self) -> Path:
        """What retraining for fewer timesteps brought."""
        return self.root / "retraining.json"

    @property
    def plan(self) -> Path:
        """What this network was retrained for; written before retraining begins."""
        return self.root / "retraining-plan.json"

    @property
    def robustness(self) -> Path:
        """Accuracy under perturbations."""
        return self.root / "robustness.json"

    @property
    def pruning(self) -> Path:
        """Cycles of pruning that the network went through."""
        return self.root / "pruning.json"

    @property
    def baseline(self) -> Path:
        """The same network without spikes."""
        return self.root / "baseline.json"

    @property
    def verification(self) -> Path:
        """Spike-for-spike comparison."""
        return self.root / "verify.json"

    @property
    def place(self) -> Path:
        """Where the data set was read from."""
        return self.root / "data.json"

    @property
    def source(self) -> Path:
        """What a network that was brought along is, and where its data lies."""
        return self.root / "source.json"

    @property
    def floating(self) -> Path:
        """The float network that was brought along."""
        return self.root / "float.npz"

    @property
    def samples(self) -> Path:
        """Samples and labels that came with it, where they had no files of their own."""
        return self.root / "samples.npz"

    @property
    def expected(self) -> Path:
        """Its own framework's spikes against ours."""
        return self.root / "expect.json"

    def trained(self) -> Trained:
        """The trained network.

        Raises:
            InputError: no training has ended here.
        """
        if not self.root.is_dir():
            raise InputError(f"{self.root} is no directory; make one with: spikeport train --out {self.root}")
        return load(self.root)

    def quantized(self) -> QuantizedNetwork:
        """The quantized network.

        Raises:
            InputError: there is none yet, or a damaged one.
        """
        if not self.network.exists():
            raise InputError(f"{self.network} does not exist; make it with: spikeport quantize {self.root} --out {self.network}")
        return read_nir(self.network)

    def notes(self) -> tuple[str, ...]:
        """What to know before believing what follows from the network: that its training has not
        ended.
        """
        done = epochs_done(self.root)
        if not done:
            return ()
        again = f"spikeport train --resume --out {self.root}"
        return (f"training unfinished: {done} of {read_config(self.root / CONFIG).epochs} epochs; go on with: {again}",)

    @property
    def report(self) -> Path:
        """The report as values; its page lies beside it."""
        return self.root / "report.json"

    @property
    def trainings(self) -> tuple[Path, ...]:
        """What training leaves, unfinished or finished."""
        return tuple(self.root / name for name in (MODEL, CONFIG, METRICS, STATE))

    @property
    def imports(self) -> tuple[Path, ...]:
        """What stands in place of a training where a network was brought along."""
        return (self.source, self.floating, self.samples)

    @property
    def results(self) -> tuple[Path, ...]:
        """What stages make of the trained network, but for pages and pictures."""
        networks, records = (self.network, self.deployed), (self.record("validation"), self.record("test"))
        measurements = (
            self.tic,
            self.tic_history,
            self.truncation,
            self.retraining,
            self.robustness,
            self.pruning,
            self.baseline,
            self.verification,
            self.expected,
            self.report,
        )
        return (*networks, *records, *measurements)

    @property
    def pages(self) -> tuple[Path, ...]:
        """Pages of results; figures and tables of each lie in a folder beside it."""
        return tuple(path.with_suffix(".html") for path in (self.tic, self.robustness, self.pruning, self.report))

    @property
    def begun(self) -> bool:
        """Whether a training was begun here, or has ended, or a network was brought along."""
        return any(path.exists() for path in (*self.trainings, *self.imports))

    def forget_stages(self) -> None:
        """Delete what later stages made of a network that is about to be replaced."""
        for path in (*self.results, *self.pages):
            path.unlink(missing_ok=True)
        for page in self.pages:
            forget_kept(folder_of(page))

    def forget(self) -> None:
        """Delete the training too, and everything that was made of it; what lies beside it stays."""
        self.forget_stages()
        curves = (self.root / CURVES).parent
        for path in (*self.trainings, *self.imports, self.place, *curves.glob("events.out.tfevents.*")):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # not there, or something of the user's is in it
            curves.rmdir()

    def remember_data(self, data_dir: Path | None) -> None:
        """Keep where the data set is, for the stages to come."""
        write_json(self.place, to_json(DataPlace(str(data_dir.resolve()) if data_dir else None)))

    def data_place(self) -> Path | None:
        """Where training read the data set; None for where the loader finds it."""
        kept = read_as(DataPlace, self.place).data_dir if self.place.exists() else None
        if not kept:
            return None
        with reading(self.place, "the place of a data set", "give it with --data-dir"):
            Path(kept).stat()
            return Path(kept)

    def dataset(self, trained: Trained, data_dir: Path | None = None) -> Dataset:
        """The data the network was trained on, from `data_dir` or from where training read it."""
        return training_data(trained.config, data_dir or self.data_place())
