"""Stages of the whole path: quantization, comparison of backends, the report.

Each takes a `Session` and writes one file of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.analysis.cost.devices import Device, device_named
from spikeport.analysis.cost.estimate import estimate_cost
from spikeport.analysis.cost.exit_cost import ExitCost, exit_cost
from spikeport.analysis.cost.profile import PROFILE_SAMPLES, profile_cores
from spikeport.analysis.decision.early_exit import exit_steps, margins_over_time
from spikeport.analysis.decision.timestep_cut import Truncation
from spikeport.analysis.information.history import FisherHistory
from spikeport.analysis.results.chip_use import chip_use
from spikeport.analysis.results.layer_agreement import Agreement, layer_agreement
from spikeport.analysis.results.loss_split import LossSplit, loss_split
from spikeport.analysis.results.perturbed_accuracy import Robustness
from spikeport.analysis.results.pruning_cycles import Pruning
from spikeport.analysis.results.rasters import SampleRaster, sample_rasters
from spikeport.analysis.results.report import (
    AccuracyCurve,
    Report,
    accuracy_curve,
    installed_versions,
    network_facts,
    semantics_of,
)
from spikeport.export.common.digest import content_digest, short
from spikeport.export.common.errors import InputError
from spikeport.export.model.network import QuantizedNetwork, check_weight_bits
from spikeport.export.nir.file import write_nir
from spikeport.export.quantization.quantize import quantize
from spikeport.export.quantization.rounding import requantize
from spikeport.hw.backends.simulate import Backend, backend
from spikeport.hw.backends.through_lava import LavaProof
from spikeport.hw.backends.verify import Verification, verify
from spikeport.hw.mapping.loads import NetworkLoads
from spikeport.hw.records.record import SpikeRecord, class_scores, correct_over_time
from spikeport.hw.records.stimulus import encode
from spikeport.stages.baseline import BASELINE_FROM, Baselines
from spikeport.stages.config import LavaSettings
from spikeport.stages.folder.bound import MADE_OF, Digests
from spikeport.stages.folder.claims import check_network, network_origin
from spikeport.stages.folder.reporting import write_reported
from spikeport.stages.imported import Expected
from spikeport.stages.session import CUT_FROM, Session, SplitName
from spikeport.stages.through_lava import lava_set
from spikeport.stages.tic import kept_tic
from spikeport.stages.trained import TrainedSession
from spikeport.train.data.registry import Split
from spikeport.train.loop.qat import FinetuneConfig, finetune

STAGES = {"lava": "Lava", "onnx": "ONNX Runtime"}
"""What the report calls the accuracy that a backend reached."""
CALIBRATION_SAMPLES = 256
SHOWN_SAMPLES = 3
COMPARED_SAMPLES = 64
"""Samples on which integers are compared with the float network, layer by layer."""


@dataclass(frozen=True, kw_only=True)
class QuantizationConfig:
    """weight_bits: 2 to 8. per_channel: thresholds and scales per channel. finetune_epochs: of
    quantization-aware fine-tuning, 0 for none.
    """

    weight_bits: int = 8
    per_channel: bool = False
    finetune_epochs: int = 0

    def __post_init__(self) -> None:
        check_weight_bits(self.weight_bits)
        if self.finetune_epochs < 0:
            raise InputError(f"--finetune is {self.finetune_epochs}; give 0 for none, or more epochs")


@dataclass(frozen=True)
class Verified:
    """A comparison of backends with the reference, what went through real Lava, and accuracies
    where labels are known.
    """

    verification: Verification
    accuracy: tuple[AccuracyCurve, ...] = ()
    lava: LavaProof | None = None

    @property
    def equal(self) -> bool:
        """Whether nothing differed anywhere."""
        return self.verification.equal and (self.lava is None or self.lava.equal)


def quantize_stage(
    session: Session, out: Path, config: QuantizationConfig, *, calibration: np.ndarray | None = None, force: bool = False
) -> QuantizedNetwork:
    """Choose the integers of the float network on calibration samples, and write the `.nir`, which
    says what it was made of.

    Raises:
        InputError: settings out of range, or `out` holds a network of its own
            (`stages.folder.claims`), unless `force`.
    """
    if config.finetune_epochs and not isinstance(session, TrainedSession):
        raise InputError(f"{session.title} was not trained here; quantization-aware fine-tuning needs training data and settings")
    images = session.calibration.images[:CALIBRATION_SAMPLES] if calibration is None else calibration
    made_of = {**session.made_of("trained"), "quantization": quantization_digest(config, images)}
    check_network(out, made_of, force=force, home=session.work.root)
    network = session.lowered()
    with session.bar(len(images), "quantize") as progress:
        quantized = quantize(network, images, weight_bits=config.weight_bits, per_channel=config.per_channel)
        progress(len(images))
    if isinstance(session, TrainedSession) and config.finetune_epochs:
        settings = FinetuneConfig.after(session.trained.config, config.finetune_epochs)
        quantized = requantize(finetune(network, quantized, session.data, settings), quantized)
    quantized = saying(quantized, made_of)
    write_nir(quantized, out)
    if out.resolve() == session.work.network.resolve():
        session.network = quantized
    return quantized


def quantization_digest(config: QuantizationConfig, calibration: np.ndarray) -> str:
    """Which quantization a network comes from: the settings and the calibration data."""
    return content_digest("quantization", config, calibration)


def saying(network: QuantizedNetwork, made_of: Digests) -> QuantizedNetwork:
    """The network with what it was made of in its provenance."""
    return replace(network, provenance={**network.provenance, MADE_OF: dict(made_of)})


def verify_stage(session: Session, *, backends: Sequence[str], samples: int, lava: LavaSettings) -> Verified:
    """Compare backends on the first test samples, send the test set through Lava where it is one of
    them; keep each one's accuracy.
    """
    network, test = session.network, session.split("test")
    part = test[:samples]
    outputs: dict[str, list[np.ndarray]] = {name: [] for name in backends}

    def kept(name: str) -> Backend:
        def run(network, stimulus, record="counts", **options) -> SpikeRecord:
            result = backend(name)(network, stimulus, record, **options)
            if record == "spikes":  # not where one sample is run again for its potentials
                outputs[name].append(result.output)
            return result

        return run

    with session.bar(len(part), "verify on " + ", ".join(backends)) as progress:
        stimulus = encode(network.input, part.array, network.timesteps)
        result = verify(network, stimulus, {name: kept(name) for name in backends}, progress=progress)
    outputs.pop("engine", None)  # it runs on all test samples anyway: "quantized"
    made = {name: np.concatenate(parts) for name, parts in outputs.items()}
    proof, output = lava_set(network, test.images, lava, session.bar) if "lava" in backends else (None, None)
    if output is not None:
        made["lava"] = output
    verified = Verified(result, tuple(backend_curve(network, *each, test.labels) for each in made.items()), proof)
    session.keep(session.work.verification, verified, "network", "test")
    return verified


def backend_curve(network: QuantizedNetwork, name: str, output: np.ndarray, labels: np.ndarray) -> AccuracyCurve:
    """Accuracy of the first test samples on a backend."""
    return accuracy_curve(STAGES.get(name, name), "test", correct_over_time(output, labels[: len(output)], network.readout))


def report_stage(session: Session, *, device: str, configuration: dict | None = None) -> Report:
    """Gather what is there of this network into `report.json` and `report.html`; what speaks of
    another is left out, in words.
    """
    work, network, test = session.work, session.network, session.split("test")
    truncation = session.kept(Truncation, work.truncation, *CUT_FROM)
    without = session.kept(Baselines, work.baseline, *BASELINE_FROM)
    verified = session.kept(Verified, work.verification, "network", "test")
    chip, seed = device_named(device), session.seed
    agreement, loss = _against_float(session, test[:COMPARED_SAMPLES])
    loads = profile_cores(network, encode(network.input, test[:PROFILE_SAMPLES].array, network.timesteps), chip)
    results: dict[str, Any] = {
        "fisher": kept_tic(session, work.tic, network.timesteps),
        "fisher_history": session.kept(FisherHistory, work.tic_history, "settings"),
        "truncation": truncation,
        "verification": verified.verification if verified else None,
        "expected": expected.links if (expected := session.kept(Expected, work.expected, *CUT_FROM)) else (),
        "lava": verified.lava if verified else None,
        "robustness": session.kept(Robustness, work.robustness, "trained", "network", "test"),
        "pruning": session.kept(Pruning, work.pruning, "trained"),
    }
    _note_deployed(session)
    exits, conformal = _exit_costs(network, session.records["test"], chip, truncation, loads, seed)
    report = Report(
        title=session.title,
        subtitle=session.origin,
        network=network_facts(network),
        semantics={**semantics_of(network), **session.meaning},
        accuracy=(
            *_float_curves(session),
            *_quantized_curves(session),
            *(verified.accuracy if verified else ()),
        ),
        cost=estimate_cost(network, session.records["test"], chip, loads=loads, measured=without.measured if without else None, seed=seed),
        chip=chip_use(loads.placed),
        exit_cost=exits,
        conformal_cost=conformal,
        agreement=agreement,
        loss=loss,
        samples=_rasters(network, test),
        seeds={"seed": seed},
        versions=installed_versions(),
        configuration=session.settings if configuration is None else configuration,
        warnings=(*session.notes, *_warnings(network, session.records)),
        made_of=session.made_of(*CUT_FROM),
        **results,
    )
    return write_reported(work, report)


def _note_deployed(session: Session) -> None:
    """A cut network that is left from another one is nothing to deploy."""
    path, now = session.work.deployed, session.made_of("network")["network"]
    kept = (network_origin(path) or {}).get("network", "") if path.exists() else now
    if kept != now:
        session.note(
            f"{path.name} was cut from another quantized network ({short(kept)}, here is {short(now)}); run spikeport truncate again"
        )


def _against_float(session: Session, part: Split) -> tuple[Agreement, LossSplit]:
    """How far each layer's integers are from the float network on these samples, and which rounding
    does it.
    """
    floating, quantized = session.lowered(), session.network
    with session.bar(2 * len(part), "float against integers") as progress:
        agreement = layer_agreement(floating, quantized, part.array, progress=progress)
        return agreement, loss_split(floating, quantized, part.array, part.labels, progress=progress)


def _float_curves(session: Session) -> list[AccuracyCurve]:
    return [AccuracyCurve("float", name, len(session.split(name)), tuple(right)) for name, right in session.float_accuracy().items()]


def _quantized_curves(session: Session) -> list[AccuracyCurve]:
    """Accuracy in fixed point on every split."""
    readout = session.network.readout
    return [
        accuracy_curve("quantized", name, correct_over_time(record.output, session.split(name).labels, readout))
        for name, record in session.records.items()
    ]


def _exit_costs(
    network: QuantizedNetwork, record: SpikeRecord, device: Device, truncation: Truncation | None, loads: NetworkLoads, seed: int
) -> tuple[ExitCost | None, tuple[ExitCost, ...]]:
    """What the exit that was chosen costs on the record's samples, and what the conformal ones do."""
    if not truncation:
        return None, ()
    price = partial(exit_cost, network, record, device, loads=loads, seed=seed)
    scores = class_scores(record.output, network.readout)
    conformal = tuple(price(other.steps(scores)) for other in truncation.conformal)
    if not truncation.exit or truncation.exit.threshold is None:
        return None, conformal
    return price(exit_steps(margins_over_time(record.output, network.readout), truncation.exit.threshold)), conformal


def _rasters(network: QuantizedNetwork, part: Split) -> tuple[SampleRaster, ...]:
    """What the page shows spike for spike: the first samples of a split."""
    shown = part[:SHOWN_SAMPLES]
    stimulus = encode(network.input, shown.array, network.timesteps)
    return sample_rasters(network, stimulus, backend("engine")(network, stimulus, "spikes"), shown.labels, len(shown))


def _warnings(network: QuantizedNetwork, records: Mapping[SplitName, SpikeRecord]) -> tuple[str, ...]:
    """What a run's records and the network itself give reason to doubt."""
    lost = {name: count for r in records.values() for name, count in r.overflows.items() if count}
    overflow = tuple(f"{name}: {count} neuron-steps left the range of their registers" for name, count in lost.items())
    return (*overflow, *_idle(network, records["test"]), *network.provenance.get("notes", ()))


def _idle(network: QuantizedNetwork, record: SpikeRecord) -> Iterator[str]:
    """What does nothing on the test data, and so proves nothing where backends are equal."""
    silent = [p.name for p in network.populations if p.neuron.spiking and not record.spike_counts[p.name].any()]
    samples = f"{len(record):,} test samples: that backends are equal says little here"
    if silent:
        names = f"{', '.join(silent[:-1])} and {silent[-1]} never fire" if len(silent) > 1 else f"{silent[0]} never fires"
        yield f"{names} in {samples}"
    if len(record) > 1 and (record.output == record.output[:1]).all():
        yield f"the output is the same for all {samples}"
