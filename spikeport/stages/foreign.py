"""The whole path for a network of another framework: data of the user's own in place of training,
the same report at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from warnings import warn

import numpy as np

from spikeport.analysis.results.report import Report
from spikeport.export.common.progress import silent_bar
from spikeport.export.model.network import FloatNetwork
from spikeport.hw.backends.simulate import usual_backends
from spikeport.stages.config import RunConfig
from spikeport.stages.folder.claims import claimed
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.imported import Foreign, ImportedSession, keep
from spikeport.stages.session import Bar
from spikeport.stages.whole import all_stages
from spikeport.train.settings.config import TrainConfig


def deploy(
    network: FloatNetwork,
    samples: np.ndarray,
    labels: np.ndarray,
    out: Path | str,
    *,
    expected: Mapping[str, np.ndarray] | None = None,
    name: str = "network",
    weight_bits: int = 8,
    tolerance: float = 1.0,
    device: str = "loihi2",
    backends: Sequence[str] | None = None,
    verify_samples: int = 50,
    lava_samples: int | None = None,
    lava_seconds: float = 120.0,
    seed: int = 0,
    force: bool = False,
) -> Report:
    """Quantize a network of another framework, prove it, cut its timesteps, price it; `report.html`
    and the rest land in `out`.

    Args:
        network: from `from_snntorch`, `import_nir` and the like.
        samples, labels: `(samples, *shape)` held over time or `(samples, timesteps, *shape)`, and a
            class for each. Half of them choose (calibration, T', exit), half confirm.
        expected: `output` `(samples, timesteps, classes)` and, if you like, `spikes/<population>`,
            recorded in the network's own framework.
        backends: to verify on, of "engine", "lava" and "onnx"; None for the first two, with a
            warning where Lava cannot be imported.
        lava_samples, lava_seconds: samples that go through real Lava, None for all that confirm,
            and the time that they may take.
        tolerance: accuracy loss in percentage points that T' may cost. seed: of the halves, the
            intervals and sampled labels.
        force: replace what another network's run, or one on other data, left in `out`.

    Raises:
        InputError: arrays that do not fit, parameters that no register holds, or another network's
            run in `out`.
    """
    config = RunConfig(
        train=TrainConfig(seed=seed),
        weight_bits=weight_bits,
        tolerance=tolerance,
        device=device,
        verify_samples=verify_samples,
        lava_samples="all" if lava_samples is None else str(lava_samples),
        lava_seconds=lava_seconds,
    )
    foreign = Foreign(name, "as imported", network, np.asarray(samples), np.asarray(labels), seed, expected=expected)
    usual, note = usual_backends() if backends is None else (list(backends), "")
    if note:
        warn(note, stacklevel=2)
    return foreign_run(Workspace(Path(out)), foreign, config, usual, silent_bar, force=force)


def foreign_run(work: Workspace, foreign: Foreign, config: RunConfig, backends: Sequence[str], bar: Bar, *, force: bool) -> Report:
    """Keep what was brought along in the folder and run every stage but training; a run of the same
    network and data is gone on with.

    Raises:
        InputError: another network's run is there, or one on other data, unless `force`; or as the
            stages.
    """
    with claimed(work, force=force, brought=foreign.made_of):
        keep(work, foreign)
        return all_stages(ImportedSession.of(work, foreign, bar), config, backends)
