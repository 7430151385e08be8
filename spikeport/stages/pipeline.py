"""Stages of the whole path: quantization, comparison of backends, the report. Each takes a `Session` and writes one file of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.analysis.common.jsonable import to_json
from spikeport.analysis.cost.devices import Device, device_named
from spikeport.analysis.cost.estimate import estimate_cost
from spikeport.analysis.cost.exit_cost import ExitCost, exit_cost
from spikeport.analysis.cost.profile import PROFILE_SAMPLES, profile_cores
from spikeport.analysis.decision.early_exit import exit_steps, margins_over_time
from spikeport.analysis.decision.timestep_cut import Truncation
from spikeport.analysis.information.history import FisherHistory
from spikeport.analysis.pages.render import write_page
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
    write_report,
)
from spikeport.export.common.digest import content_digest, short
from spikeport.export.common.errors import InputError
from spikeport.export.model.network import FloatNetwork, QuantizedNetwork, check_weight_bits
from spikeport.export.nir.file import write_nir
from spikeport.export.quantization.quantize import quantize
from spikeport.export.quantization.rounding import requantize
from spikeport.hw.backends.simulate import Backend, backend
from spikeport.hw.backends.verify import Verification, verify
from spikeport.hw.mapping.loads import NetworkLoads
from spikeport.hw.records.record import SpikeRecord, correct_over_time
from spikeport.hw.records.stimulus import encode
from spikeport.stages.bound import MADE_OF, Digests
from spikeport.stages.claims import check_network, network_origin
from spikeport.stages.session import SPLITS, Bar, Session, SplitName
from spikeport.stages.tic import kept_tic
from spikeport.train.data.registry import Split
from spikeport.train.loop.qat import FinetuneConfig, finetune
from spikeport.train.network.architecture import ARCHITECTURES
from spikeport.train.network.lowering import lower

STAGES = {"lava": "Lava", "onnx": "ONNX Runtime"}
"""What the report calls the accuracy that a backend reached."""
CALIBRATION_SAMPLES = 256
SHOWN_SAMPLES = 3
COMPARED_SAMPLES = 64
"""Samples on which integers are compared with the float network, layer by layer."""
CUT_FROM = ("trained", "network", "validation", "test")
"""What the choice of T' is made of."""


@dataclass(frozen=True, kw_only=True)
class QuantizationConfig:
    """weight_bits: 2 to 8. per_channel: thresholds and scales per channel. finetune_epochs: of quantization-aware fine-tuning, 0 for none."""

    weight_bits: int = 8
    per_channel: bool = False
    finetune_epochs: int = 0

    def __post_init__(self) -> None:
        check_weight_bits(self.weight_bits)
        if self.finetune_epochs < 0:
            raise InputError(f"--finetune is {self.finetune_epochs}; give 0 for none, or more epochs")


@dataclass(frozen=True)
class Verified:
    """A comparison of backends, and the accuracy of each on the same samples where their labels are known."""

    verification: Verification
    accuracy: tuple[AccuracyCurve, ...] = ()


def quantize_stage(
    session: Session, out: Path, config: QuantizationConfig, *, calibration: np.ndarray | None = None, force: bool = False
) -> QuantizedNetwork:
    """Lower the trained network, choose its integers on training images, and write the `.nir`, which says what it was made of.

    Raises:
        InputError: settings out of range, or `out` holds a network of its own (`stages.claims`), unless `force`.
    """
    trained, data = session.trained, session.data
    images = data.train.images[:CALIBRATION_SAMPLES] if calibration is None else calibration
    made_of = {**session.made_of("trained"), "quantization": quantization_digest(config, images)}
    check_network(out, made_of, force=force, home=session.work.root)
    network = lower(trained.module)
    with session.bar(len(images), "quantize") as progress:
        quantized = quantize(network, images, weight_bits=config.weight_bits, per_channel=config.per_channel)
        progress(len(images))
    if config.finetune_epochs:
        c = trained.config
        settings = FinetuneConfig(epochs=config.finetune_epochs, shift=c.shift, flip=c.flip, seed=c.seed, threads=c.threads)
        quantized = requantize(finetune(network, quantized, data, settings), quantized)
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


def verify_stage(session: Session, *, backends: Sequence[str], samples: int) -> Verification:
    """Compare backends on the first test samples, and keep each backend's accuracy on them."""
    network, part = session.network, session.data.test[:samples]
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
    curves = [
        accuracy_curve(STAGES.get(name, name), "test", correct_over_time(np.concatenate(parts), part.labels, network.readout))
        for name, parts in outputs.items()
        if name != "engine"  # the engine runs on all test samples anyway: "quantized"
    ]
    session.keep(session.work.verification, Verified(result, tuple(curves)), "network", "test")
    return result


def report_stage(session: Session, *, device: str, configuration: dict | None = None) -> Report:
    """Gather what is there of this network into `report.json` and `report.html`; what speaks of another is left out, in words."""
    work, trained, network = session.work, session.trained, session.network
    truncation = session.kept(Truncation, work.truncation, *CUT_FROM)
    verified = session.kept(Verified, work.verification, "network", "test")
    chip, seed = device_named(device), trained.config.seed
    agreement, loss = against_float(lower(trained.module), network, session.data.test[:COMPARED_SAMPLES], session.bar)
    loads = profile_cores(network, encode(network.input, session.data.test[:PROFILE_SAMPLES].array, network.timesteps), chip)
    results: dict[str, Any] = {
        "fisher": kept_tic(session, work.tic, network.timesteps),
        "fisher_history": session.kept(FisherHistory, work.tic_history, "settings"),
        "truncation": truncation,
        "verification": verified.verification if verified else None,
        "robustness": session.kept(Robustness, work.robustness, "trained", "network", "test"),
        "pruning": session.kept(Pruning, work.pruning, "trained"),
    }
    _note_deployed(session)
    report = Report(
        title=f"{ARCHITECTURES.get(trained.config.arch, trained.config.arch)} on {trained.config.data}",
        subtitle=f"trained with {trained.config.method}, {session.data.source}, reported {time.strftime('%Y-%m-%d')}",
        network=network_facts(network),
        semantics=semantics_of(network),
        accuracy=(
            *_float_curves(session),
            *quantized_curves(network, session.records, {name: session.split(name) for name in SPLITS}),
            *(verified.accuracy if verified else ()),
        ),
        cost=estimate_cost(network, session.records["test"], chip, loads=loads, seed=seed),
        exit_cost=exit_cost_of(network, session.records["test"], chip, truncation, loads=loads, seed=seed),
        agreement=agreement,
        loss=loss,
        samples=rasters_of(network, session.data.test),
        seeds={"seed": seed},
        versions=installed_versions(),
        configuration=configuration or {"train": to_json(trained.config)},
        warnings=(*session.notes, *warnings_of(network, session.records)),
        made_of=session.made_of(*CUT_FROM),
        **results,
    )
    write_report(report, work.report)
    write_page(report, work.report.with_suffix(".html"))
    return report


def _note_deployed(session: Session) -> None:
    """A cut network that is left from another one is nothing to deploy."""
    path, now = session.work.deployed, session.made_of("network")["network"]
    kept = (network_origin(path) or {}).get("network", "") if path.exists() else now
    if kept != now:
        session.note(
            f"{path.name} was cut from another quantized network ({short(kept)}, here is {short(now)}); run spikeport truncate again"
        )


def against_float(network: FloatNetwork, quantized: QuantizedNetwork, part: Split, bar: Bar) -> tuple[Agreement, LossSplit]:
    """How far each layer's integers are from the float network on these samples, and which rounding does it."""
    with bar(2 * len(part), "float against integers") as progress:
        agreement = layer_agreement(network, quantized, part.array, progress=progress)
        return agreement, loss_split(network, quantized, part.array, part.labels, progress=progress)


def _float_curves(session: Session) -> list[AccuracyCurve]:
    """A training that has not ended has not looked at test data."""
    metrics, sizes = session.trained.metrics, {name: len(session.split(name)) for name in SPLITS}
    return [AccuracyCurve("float", s, sizes[s], tuple(metrics[key])) for s in SPLITS if (key := f"{s}_accuracy") in metrics]


def quantized_curves(
    network: QuantizedNetwork, records: Mapping[SplitName, SpikeRecord], splits: Mapping[SplitName, Split]
) -> list[AccuracyCurve]:
    """Accuracy in fixed point on every split."""
    return [
        accuracy_curve("quantized", name, correct_over_time(record.output, splits[name].labels, network.readout))
        for name, record in records.items()
    ]


def exit_cost_of(
    network: QuantizedNetwork,
    record: SpikeRecord,
    device: Device,
    truncation: Truncation | None,
    *,
    loads: NetworkLoads | None = None,
    seed: int,
) -> ExitCost | None:
    """What the exit that was chosen costs on the record's samples."""
    if not truncation or not truncation.exit or truncation.exit.threshold is None:
        return None
    steps = exit_steps(margins_over_time(record.output, network.readout), truncation.exit.threshold)
    return exit_cost(network, record, device, steps, loads=loads, seed=seed)


def rasters_of(network: QuantizedNetwork, part: Split) -> tuple[SampleRaster, ...]:
    """What the page shows spike for spike: the first samples of a split."""
    shown = part[:SHOWN_SAMPLES]
    stimulus = encode(network.input, shown.array, network.timesteps)
    return sample_rasters(network, stimulus, backend("engine")(network, stimulus, "spikes"), shown.labels, len(shown))


def warnings_of(network: QuantizedNetwork, records: Mapping[SplitName, SpikeRecord]) -> tuple[str, ...]:
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
