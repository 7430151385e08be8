"""A network that was trained here, to the stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from spikeport.analysis.common.jsonable import to_json
from spikeport.analysis.information.fisher import FisherResult
from spikeport.export.common.errors import InputError
from spikeport.export.model.network import FloatNetwork
from spikeport.stages.folder.bound import Digests
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.session import SPLITS, Bar, Session, SplitName
from spikeport.stages.tic import TicConfig, of_trained
from spikeport.train.data.own import is_own
from spikeport.train.data.registry import Dataset, Split
from spikeport.train.loop.checkpoint import Trained, settings_digest, trained_digest
from spikeport.train.loop.evaluation import right_over_time
from spikeport.train.network.architecture import ARCHITECTURES
from spikeport.train.network.lowering import lower


class TrainedSession(Session):
    """A training directory's network and the data set that it was trained on.

    Raises:
        InputError: data of the user's own that is not what training saw.
    """

    def __init__(self, work: Workspace, trained: Trained, data: Dataset, bar: Bar, *, notes: Sequence[str] = ()) -> None:
        config, known = trained.config, trained.metrics.get("source", data.source)
        if is_own(config.data) and known != data.source:
            raise InputError(
                f"{config.data} does not hold what {work.root} was trained on: {known} there, {data.source} here; put that data back, or "
                "train in another folder"
            )
        super().__init__(work, {"validation": data.validation, "test": data.test}, bar, notes=[*notes])
        self.trained, self.data = trained, data

    @classmethod
    def opened(cls, root: Path, data_dir: Path | None, bar: Bar) -> TrainedSession:
        """Of a training directory.

        Raises:
            InputError: no training, a damaged one, or data that is not there.
        """
        work = Workspace(root)
        trained = work.trained()
        return cls(work, trained, work.dataset(trained, data_dir), bar, notes=work.notes())

    @property
    def title(self) -> str:
        return f"{ARCHITECTURES.get(self.trained.config.arch, self.trained.config.arch)} on {self.trained.config.data}"

    @property
    def origin(self) -> str:
        return f"trained with {self.trained.config.method}, {self.data.source}"

    @property
    def seed(self) -> int:
        return self.trained.config.seed

    @property
    def timesteps(self) -> int:
        return self.trained.config.timesteps

    @cached_property
    def float_digests(self) -> Digests:
        """Must be asked for before a stage changes the weights."""
        config = self.trained.config
        return {"trained": trained_digest(self.trained.module, config), "settings": settings_digest(config)}

    @property
    def training(self) -> Split:
        return self.data.train

    @property
    def settings(self) -> dict[str, Any]:
        return {"train": to_json(self.trained.config)}

    def lowered(self) -> FloatNetwork:
        return lower(self.trained.module)

    def attacked(self) -> nn.Module:
        return self.trained.module

    def check_pixels(self) -> None:
        if self.data.task.code != "direct":
            raise InputError(f"{self.data.task.name} holds recordings of events; noise, blur and attacks are of images with pixels in 0..1")

    def float_right(self, part: Split, progress: Callable[[int], None]) -> np.ndarray:
        answers = []
        for right in right_over_time(self.trained.module, part.images, part.labels, self.timesteps):
            answers.append(right)
            progress(len(right))
        return np.concatenate(answers)

    def float_accuracy(self) -> Mapping[SplitName, Sequence[float]]:
        """As training measured it; one that has not ended has not looked at test data."""
        metrics = self.trained.metrics
        return {name: metrics[key] for name in SPLITS if (key := f"{name}_accuracy") in metrics}

    def information(self, config: TicConfig, progress: Callable[[int], None]) -> FisherResult:
        return of_trained(self.trained.module, self.calibration, config, progress)
