"""All stages in a row, of a network that was trained here or brought along."""

from __future__ import annotations

from collections.abc import Sequence

from spikeport.analysis.common.jsonable import to_json
from spikeport.analysis.results.report import Report
from spikeport.stages.baseline import BASELINE_FROM, Baselines, baseline_stage
from spikeport.stages.config import RunConfig
from spikeport.stages.imported import ImportedSession
from spikeport.stages.pipeline import QuantizationConfig, quantize_stage, report_stage, verify_stage
from spikeport.stages.session import CUT_FROM, Session
from spikeport.stages.tic import tic_stage
from spikeport.stages.trained import TrainedSession
from spikeport.stages.truncation import LAVA_SAMPLES, truncate_stage


def all_stages(session: Session, config: RunConfig, backends: Sequence[str]) -> Report:
    """Quantize, compare with recorded spikes where there are some, measure information, cut
    timesteps, verify, report.

    Each stage has what the ones before it made.
    """
    work, imported = session.work, isinstance(session, ImportedSession)
    quantization = QuantizationConfig(
        weight_bits=config.weight_bits, per_channel=config.per_channel, finetune_epochs=config.finetune_epochs
    )
    quantize_stage(session, work.network, quantization, force=imported)  # all that speaks of the former one is made anew below
    if isinstance(session, ImportedSession) and session.foreign.expected is not None:
        session.keep(work.expected, session.expect(session.foreign.expected), *CUT_FROM)
    tic_stage(session, work.tic)
    lava_samples = min(LAVA_SAMPLES, config.verify_samples) if "lava" in backends else 0
    truncate_stage(session, work.truncation, tolerance=config.tolerance, lava_samples=lava_samples)
    if isinstance(session, TrainedSession) and config.baselines and session.kept(Baselines, work.baseline, *BASELINE_FROM) is None:
        baseline_stage(session, work.baseline)
    verify_stage(session, backends=backends, samples=config.verify_samples, lava=config.lava)
    left_out = ("train", "data_dir") if imported else ("data_dir",)  # where the data lay is nobody's business
    settings = {name: value for name, value in to_json(config).items() if name not in left_out}
    return report_stage(session, device=config.device, configuration=settings)
