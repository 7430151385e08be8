"""The stages of the whole path. Each reads what earlier stages left in a `Workspace` and writes one file of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from spikeport.analysis.common.jsonable import read_as, to_json
from spikeport.analysis.cost.devices import Device, device_named
from spikeport.analysis.cost.estimate import estimate_cost
from spikeport.analysis.cost.exit_cost import ExitCost, exit_cost
from spikeport.analysis.cost.profile import PROFILE_SAMPLES, profile_cores
from spikeport.analysis.decision.early_exit import exit_steps, margins_over_time
from spikeport.analysis.decision.timestep_cut import Truncation
from spikeport.analysis.information.fisher import FisherResult
from spikeport.analysis.information.history import read_history
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
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import write_json
from spikeport.export.model.network import FloatNetwork, QuantizedNetwork
from spikeport.export.nir.file import read_nir, write_nir
from spikeport.export.quantization.quantize import quantize
from spikeport.export.quantization.rounding import requantize
from spikeport.hw.backends.simulate import Backend, backend
from spikeport.hw.backends.verify import Verification, verify
from spikeport.hw.mapping.loads import CoreLoads
from spikeport.hw.records.record import SpikeRecord, correct_over_time, join_records
from spikeport.hw.records.record_file import load_record, save_record
from spikeport.hw.records.stimulus import encode
from spikeport.stages.tic import TicConfig, kept_tic, of_trained, write_tic
from spikeport.stages.workspace import Workspace
from spikeport.train.data.on_demand import in_batches
from spikeport.train.data.registry import Dataset, Split
from spikeport.train.loop.qat import FinetuneConfig, finetune
from spikeport.train.network.architecture import ARCHITECTURES
from spikeport.train.network.lowering import lower

Bar = Callable[[int, str], AbstractContextManager[Callable[[int], None]]]
"""Makes a progress bar for so many samples under a name."""
SplitName = Literal["validation", "test"]
STAGES = {"lava": "Lava", "onnx": "ONNX Runtime"}
"""What the report calls the accuracy that a backend reached."""
CALIBRATION_SAMPLES = 256
COMPARED_SAMPLES = 64
"""Samples on which integers are compared with the float network, layer by layer."""
ENGINE_SAMPLES = 1024
"""Samples that are integers at a time."""


@dataclass(frozen=True)
class KeptVerification:
    """A comparison of backends, and what each reached on the same samples."""

    verification: Verification
    accuracy: tuple[AccuracyCurve, ...] = ()


def quantize_stage(
    work: Workspace,
    data: Dataset,
    out: Path,
    bar: Bar,
    *,
    weight_bits: int,
    per_channel: bool,
    finetune_epochs: int,
    calibration: np.ndarray | None = None,
) -> QuantizedNetwork:
    """Lower the trained network, choose its integers on training images, and write the `.nir`."""
    trained = work.trained()
    images = data.train.images[:CALIBRATION_SAMPLES] if calibration is None else calibration
    network = lower(trained.module)
    with bar(len(images), "quantize") as progress:
        quantized = quantize(network, images, weight_bits=weight_bits, per_channel=per_channel)
        progress(len(images))
    if finetune_epochs:
        c = trained.config
        settings = FinetuneConfig(epochs=finetune_epochs, shift=c.shift, flip=c.flip, seed=c.seed, threads=c.threads)
        quantized = requantize(finetune(network, quantized, data, settings), quantized)
    write_nir(quantized, out)
    return quantized


def records(work: Workspace, data: Dataset, bar: Bar) -> tuple[QuantizedNetwork, dict[SplitName, SpikeRecord]]:
    """The quantized network and the engine's record of it on validation and test data, made where missing or out of date."""
    if not work.network.exists():
        raise InputError(f"{work.network} does not exist; make it with: spikeport quantize {work.root} --out {work.network}")
    network = read_nir(work.network)
    found: dict[SplitName, SpikeRecord] = {}
    for split in ("validation", "test"):
        path, part = work.record(split), split_of(data, split)
        if not _current(path, work.network):
            with bar(len(part), f"engine, {split}") as progress:
                save_record(path, _engine_record(network, part, progress))
        found[split] = load_record(path, network, len(part))
    return network, found


def _engine_record(network: QuantizedNetwork, part: Split, progress: Callable[[int], None]) -> SpikeRecord:
    """The engine's record of a whole split, some samples after the other: as integers, a large data set would not fit into memory."""
    starts = range(0, len(part), ENGINE_SAMPLES)

    def records() -> Iterator[SpikeRecord]:
        for start, images in zip(starts, in_batches(part.images, [slice(start, start + ENGINE_SAMPLES) for start in starts])):
            stimulus = encode(network.input, images, network.timesteps, first=start)
            yield backend("engine")(network, stimulus, progress=progress)

    return join_records(records(), len(part))


def split_of(data: Dataset, name: SplitName) -> Split:
    """A split by name."""
    return data.validation if name == "validation" else data.test


def tic_stage(work: Workspace, data: Dataset, out: Path, bar: Bar, *, config: TicConfig | None = None) -> FisherResult:
    """Fisher information of the trained float network on validation samples, as configured or as usual."""
    trained = work.trained()
    config = config or TicConfig(seed=trained.config.seed)
    with bar(min(len(data.validation), config.samples), "Fisher information") as progress:
        result = of_trained(trained.module, data.validation, config, progress)
    write_tic(result, read_history(work.tic_history), f"{trained.config.arch} on {trained.config.data}", out)
    return result


def verify_stage(work: Workspace, data: Dataset, bar: Bar, *, backends: Sequence[str], samples: int) -> Verification:
    """Compare backends on the first test samples, and keep each backend's accuracy on them."""
    network = read_nir(work.network)
    part = data.test[:samples]
    outputs: dict[str, list[np.ndarray]] = {name: [] for name in backends}

    def kept(name: str) -> Backend:
        def run(network, stimulus, record="counts", **options) -> SpikeRecord:
            found = backend(name)(network, stimulus, record, **options)
            if record == "spikes":  # not where one sample is run again for its potentials
                outputs[name].append(found.output)
            return found

        return run

    with bar(len(part), "verify on " + ", ".join(backends)) as progress:
        stimulus = encode(network.input, part.array, network.timesteps)
        result = verify(network, stimulus, {name: kept(name) for name in backends}, progress=progress)
    curves = [
        accuracy_curve(STAGES.get(name, name), "test", correct_over_time(np.concatenate(parts), part.labels, network.readout))
        for name, parts in outputs.items()
        if name != "engine"  # the engine runs on all test samples anyway: "quantized"
    ]
    write_verification(work.verification, result, curves)
    return result


def write_verification(path: Path, result: Verification, accuracy: Sequence[AccuracyCurve] = ()) -> None:
    """Write JSON, whole, that the report reads. accuracy: of each backend on the same samples, where their labels are known."""
    write_json(path, to_json(KeptVerification(result, tuple(accuracy))))


def report_stage(work: Workspace, data: Dataset, bar: Bar, *, device: str, configuration: dict | None = None) -> Report:
    """Gather what is there into `report.json` and `report.html`."""
    trained = work.trained()
    network, found = records(work, data, bar)
    truncation = read_as(Truncation, work.truncation) if work.truncation.exists() else None
    verification, verified_curves = _verification(work)
    chip, seed = device_named(device), trained.config.seed
    agreement, loss = against_float(lower(trained.module), network, data.test[:COMPARED_SAMPLES], bar)
    loads = profile_cores(network, encode(network.input, data.test[:PROFILE_SAMPLES].array, network.timesteps), chip)
    report = Report(
        title=f"{ARCHITECTURES.get(trained.config.arch, trained.config.arch)} on {trained.config.data}",
        subtitle=f"trained with {trained.config.method}, {data.source}, reported {time.strftime('%Y-%m-%d')}",
        network=network_facts(network),
        semantics=semantics_of(network),
        accuracy=(*_float_curves(trained.metrics, data), *_quantized_curves(network, found, data), *verified_curves),
        fisher=kept_tic(work.tic, network.timesteps),
        fisher_history=read_history(work.tic_history),
        truncation=truncation,
        cost=estimate_cost(network, found["test"], chip, loads=loads, seed=seed),
        exit_cost=_exit_cost(network, found["test"], chip, truncation, loads, seed),
        verification=verification,
        agreement=agreement,
        loss=loss,
        robustness=read_as(Robustness, work.robustness) if work.robustness.exists() else None,
        pruning=read_as(Pruning, work.pruning) if work.pruning.exists() else None,
        samples=_rasters(network, data),
        seeds={"seed": seed},
        versions=installed_versions(),
        configuration=configuration or {"train": to_json(trained.config)},
        warnings=(*work.notes(), *_warnings(network, found)),
    )
    write_report(report, work.root / "report.json")
    write_page(report, work.root / "report.html")
    return report


def against_float(network: FloatNetwork, quantized: QuantizedNetwork, part: Split, bar: Bar) -> tuple[Agreement, LossSplit]:
    """How far each layer's integers are from the float network on these samples, and which rounding does it."""
    with bar(2 * len(part), "float against integers") as progress:
        agreement = layer_agreement(network, quantized, part.array, progress=progress)
        return agreement, loss_split(network, quantized, part.array, part.labels, progress=progress)


def _current(path: Path, network: Path) -> bool:
    """Whether a file is there and was made of the network that is there now."""
    return path.exists() and network.exists() and path.stat().st_mtime >= network.stat().st_mtime


def _verification(work: Workspace) -> tuple[Verification | None, list[AccuracyCurve]]:
    if not _current(work.verification, work.network):  # of no network any more
        return None, []
    kept = read_as(KeptVerification, work.verification)
    return kept.verification, list(kept.accuracy)


def _float_curves(metrics, data: Dataset) -> list[AccuracyCurve]:
    """A training that has not ended has not looked at test data."""
    splits: tuple[SplitName, ...] = ("validation", "test")
    return [AccuracyCurve("float", s, len(split_of(data, s)), tuple(metrics[key])) for s in splits if (key := f"{s}_accuracy") in metrics]


def _quantized_curves(network: QuantizedNetwork, found: dict[SplitName, SpikeRecord], data: Dataset) -> list[AccuracyCurve]:
    return [
        accuracy_curve("quantized", split, correct_over_time(record.output, split_of(data, split).labels, network.readout))
        for split, record in found.items()
    ]


def _exit_cost(
    network: QuantizedNetwork,
    record: SpikeRecord,
    device: Device,
    truncation: Truncation | None,
    loads: Mapping[str, CoreLoads],
    seed: int,
) -> ExitCost | None:
    """What the exit that was chosen costs on the record's samples."""
    if not truncation or not truncation.exit or truncation.exit.threshold is None:
        return None
    steps = exit_steps(margins_over_time(record.output, network.readout), truncation.exit.threshold)
    return exit_cost(network, record, device, steps, loads=loads, seed=seed)


def _rasters(network: QuantizedNetwork, data: Dataset, count: int = 3) -> tuple[SampleRaster, ...]:
    part = data.test[:count]
    stimulus = encode(network.input, part.array, network.timesteps)
    return sample_rasters(network, stimulus, backend("engine")(network, stimulus, "spikes"), part.labels, count)


def _warnings(network: QuantizedNetwork, found: dict[SplitName, SpikeRecord]) -> tuple[str, ...]:
    lost = {name: count for r in found.values() for name, count in r.overflows.items() if count}
    overflow = tuple(f"{name}: {count} neuron-steps left the range of their registers" for name, count in lost.items())
    return (*overflow, *_idle(network, found["test"]), *network.provenance.get("notes", ()))


def _idle(network: QuantizedNetwork, record: SpikeRecord) -> Iterator[str]:
    """What does nothing on the test data, and so proves nothing where backends are equal."""
    silent = [p.name for p in network.populations if p.neuron.spiking and not record.spike_counts[p.name].any()]
    samples = f"{len(record):,} test samples: that backends are equal says little here"
    if silent:
        names = f"{', '.join(silent[:-1])} and {silent[-1]} never fire" if len(silent) > 1 else f"{silent[0]} never fires"
        yield f"{names} in {samples}"
    if len(record) > 1 and (record.output == record.output[:1]).all():
        yield f"the output is the same for all {samples}"
