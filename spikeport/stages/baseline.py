"""The stage that measures what the same network reaches without spikes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spikeport.analysis.cost.baselines import INT8, level_bits
from spikeport.analysis.decision.timestep_cut import Truncation
from spikeport.stages.folder.claims import check_output, json_origin
from spikeport.stages.session import CUT_FROM
from spikeport.stages.trained import TrainedSession
from spikeport.train.data.registry import Dataset
from spikeport.train.loop.without_spikes import WithoutSpikes, train_without_spikes
from spikeport.train.network.build import stages_of
from spikeport.train.network.without_spikes import refuse_time
from spikeport.train.settings.config import TrainConfig

BASELINE_FROM = ("settings", "validation", "test")
"""What a baseline is made of: settings and data, not the spiking network's weights."""


@dataclass(frozen=True)
class Baselines:
    """Networks without spikes, trained with the settings of the spiking one. samples: of the test
    data.
    """

    samples: int
    networks: tuple[WithoutSpikes, ...]

    @property
    def measured(self) -> dict[int, float]:
        """Test accuracy by bits of the activations."""
        return {n.bits: n.test for n in self.networks}


def check_baseline(config: TrainConfig, data: Dataset) -> None:
    """InputError where such a network has none, before anything is trained."""
    refuse_time(stages_of(config.arch, data.task), "it has no baseline")


def baseline_stage(session: TrainedSession, out: Path, *, bits: tuple[int, ...] = (), force: bool = False) -> Baselines:
    """Train and test them. bits: of activations; by default 8, and as many as T, and T' where it
    was chosen, tell apart.

    Raises:
        InputError: files of others where the result goes, unless `force`.
    """
    check_output(out, json_origin(Baselines), session.made_of(*BASELINE_FROM), force=force, home=session.work.root)
    config, data = session.trained.config, session.data
    result = Baselines(
        len(data.test), tuple(train_without_spikes(config, data, b, progress=True) for b in bits or _natural(session, config.timesteps))
    )
    session.keep(out, result, *BASELINE_FROM)
    return result


def _natural(session: TrainedSession, timesteps: int) -> tuple[int, ...]:
    work = session.work
    cut = session.kept(Truncation, work.truncation, *CUT_FROM) if work.network.exists() else None
    steps = [timesteps, *([cut.chosen] if cut else [])]
    return tuple(dict.fromkeys([INT8, *map(level_bits, steps)]))
