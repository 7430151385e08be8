"""The whole path for a network of another framework: data of the user's own in place of training, the same report at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.analysis.common.jsonable import to_json
from spikeport.analysis.common.numbers import counted
from spikeport.analysis.cost.devices import device_named
from spikeport.analysis.cost.estimate import estimate_cost
from spikeport.analysis.cost.profile import PROFILE_SAMPLES, profile_cores
from spikeport.analysis.decision.timestep_cut import Truncation
from spikeport.analysis.information.fisher import FisherResult
from spikeport.analysis.pages.render import write_page
from spikeport.analysis.results.report import (
    AccuracyCurve,
    Report,
    accuracy_curve,
    installed_versions,
    network_facts,
    semantics_of,
    write_report,
)
from spikeport.export.common.digest import content_digest
from spikeport.export.common.errors import InputError
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.model.digest import network_digest
from spikeport.export.model.network import FloatNetwork, QuantizedNetwork
from spikeport.export.nir.file import write_nir
from spikeport.export.quantization.quantize import quantize
from spikeport.hw.backends.expect import Expectation, expect_float, expect_integers
from spikeport.hw.backends.simulate import backend
from spikeport.hw.backends.verify import Verification, verify
from spikeport.hw.records.record import SpikeRecord
from spikeport.hw.records.record_file import save_record
from spikeport.hw.records.stimulus import encode
from spikeport.stages.bound import write_bound
from spikeport.stages.claims import claimed
from spikeport.stages.config import RunConfig
from spikeport.stages.pipeline import (
    CALIBRATION_SAMPLES,
    COMPARED_SAMPLES,
    QuantizationConfig,
    Verified,
    against_float,
    exit_cost_of,
    quantization_digest,
    quantized_curves,
    rasters_of,
    saying,
    warnings_of,
)
from spikeport.stages.session import SPLITS, Bar, SplitName, engine_record
from spikeport.stages.tic import TicConfig, of_float_network, write_tic
from spikeport.stages.truncation import LAVA_SAMPLES, answers, confirmed_in_lava, decided
from spikeport.stages.workspace import Workspace
from spikeport.train.data.dataset import Split, cut
from spikeport.train.settings.config import TrainConfig


@dataclass(frozen=True, eq=False)
class Foreign:
    """What came from elsewhere. name: of the file. meaning: how it is read, in words.

    expected: spikes recorded in the user's own framework (`hw.backends.expect.read_expected`), or None.
    """

    name: str
    meaning: str
    network: FloatNetwork
    samples: np.ndarray
    labels: np.ndarray
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
    backends: Sequence[str] = ("engine", "lava"),
    verify_samples: int = 50,
    seed: int = 0,
    force: bool = False,
) -> Report:
    """Quantize a network of another framework, prove it, cut its timesteps, price it; `report.html` and the rest land in `out`.

    Args:
        network: from `from_snntorch`, `import_nir` and the like.
        samples, labels: `(samples, *shape)` held over time or `(samples, timesteps, *shape)`, and a class for each. Half of them
            choose (calibration, T', exit), half confirm.
        expected: `output` `(samples, timesteps, classes)` and, if you like, `spikes/<population>`, recorded in the network's own framework.
        tolerance: accuracy loss in percentage points that T' may cost. seed: of the halves, the intervals and sampled labels.
        force: replace what another run left in `out`.

    Raises:
        InputError: arrays that do not fit, parameters that no register holds, or another run in `out`.
    """
    config = RunConfig(
        train=TrainConfig(seed=seed), weight_bits=weight_bits, tolerance=tolerance, device=device, verify_samples=verify_samples
    )
    foreign = Foreign(name, "as imported", network, np.asarray(samples), np.asarray(labels), expected)
    work = Workspace(Path(out))
    with claimed(work, force=force):
        return foreign_run(work, foreign, config, list(backends), _no_bar)


@contextmanager
def _no_bar(total: int, name: str) -> Iterator[Callable[[int], None]]:
    """Shows nothing: a notebook's cell ends in the report."""
    yield lambda count: None


def foreign_run(work: Workspace, foreign: Foreign, config: RunConfig, backends: list[str], bar: Bar) -> Report:
    """Quantize, verify, measure information, cut timesteps, price, report. The first half of the samples, classes in proportion, chooses
    (calibration, T', exit); the other half confirms and is what accuracies are reported of."""
    network, seed = foreign.network, config.train.seed
    everything = Split(foreign.samples, foreign.labels.astype(np.int64))
    splits = dict(zip(SPLITS, cut(everything, len(everything) // 2, seed)))
    expected = _theirs(foreign)
    quantized = _quantized(work, foreign, splits["validation"], config, bar)
    links = (*expected, *((expect_integers(quantized, foreign.samples, foreign.expected),) if foreign.expected is not None else ()))
    made_of = {"network": network_digest(quantized), "input": content_digest("input", foreign.samples, foreign.labels)}
    records = {name: _recorded(work, name, quantized, part, made_of, bar) for name, part in splits.items()}
    floating = {name: _float_correct(network, part, bar) for name, part in splits.items()}
    fisher = _information(work, foreign, splits["validation"], seed, made_of, bar)
    lava_samples = min(LAVA_SAMPLES, config.verify_samples) if "lava" in backends else 0
    truncation = _cut(work, quantized, splits, records, floating, fisher, config, made_of, lava_samples, bar)
    verified = _verified(quantized, splits["test"][: config.verify_samples], backends, bar)
    write_bound(work.verification, verified, made_of)
    device = device_named(config.device)
    loads = profile_cores(quantized, encode(quantized.input, splits["test"][:PROFILE_SAMPLES].array, quantized.timesteps), device)
    report = _report(foreign, quantized, splits, records, config, bar)
    report = replace(
        report,
        accuracy=(*_float_curves(floating), *report.accuracy, *verified.accuracy),
        fisher=fisher,
        truncation=truncation,
        cost=estimate_cost(quantized, records["test"], device, loads=loads, seed=seed),
        exit_cost=exit_cost_of(quantized, records["test"], device, truncation, loads=loads, seed=seed),
        verification=verified.verification,
        expected=links,
        made_of=made_of,
    )
    write_report(report, work.report)
    write_page(report, work.report.with_suffix(".html"))
    return report


def _theirs(foreign: Foreign) -> tuple[Expectation, ...]:
    return (expect_float(foreign.network, foreign.samples, foreign.expected),) if foreign.expected is not None else ()


def _quantized(work: Workspace, foreign: Foreign, part: Split, config: RunConfig, bar: Bar) -> QuantizedNetwork:
    images = part.array[:CALIBRATION_SAMPLES]
    settings = QuantizationConfig(weight_bits=config.weight_bits, per_channel=config.per_channel)
    made_of = {"source": network_digest(foreign.network), "quantization": quantization_digest(settings, images)}
    with bar(len(images), "quantize") as progress:
        quantized = saying(quantize(foreign.network, images, weight_bits=config.weight_bits, per_channel=config.per_channel), made_of)
        progress(len(images))
    write_nir(quantized, work.network)
    return quantized


def _recorded(
    work: Workspace, name: SplitName, network: QuantizedNetwork, part: Split, made_of: Mapping[str, str], bar: Bar
) -> SpikeRecord:
    with bar(len(part), f"engine, {name}") as progress:
        record = engine_record(network, part, progress)
    save_record(work.record(name), record, made_of)
    return record


def _float_correct(network: FloatNetwork, part: Split, bar: Bar) -> np.ndarray:
    """Whether the float network is right after 1..T timesteps, bool `(samples, T)`; ties go to the lowest class."""
    with bar(len(part), "float reference") as progress:
        output = simulate_float(network, part.array, network.timesteps, progress=progress)["output"]
    flat = output.reshape(*output.shape[:2], -1).astype(np.float64)
    scores = flat if network.readout == "membrane_potential" else flat.cumsum(axis=1)
    return scores.argmax(axis=2) == part.labels[:, None]


def _information(work: Workspace, foreign: Foreign, part: Split, seed: int, made_of: Mapping[str, str], bar: Bar) -> FisherResult:
    config = TicConfig(seed=seed)
    with bar(min(len(part), config.samples), "Fisher information") as progress:
        result = of_float_network(foreign.network, part.array, part.labels, config, progress)
    write_tic(result, None, foreign.name, work.tic, made_of)
    return result


def _cut(
    work: Workspace,
    network: QuantizedNetwork,
    splits: Mapping[SplitName, Split],
    records: Mapping[SplitName, SpikeRecord],
    floating: Mapping[SplitName, np.ndarray],
    fisher: FisherResult,
    config: RunConfig,
    made_of: Mapping[str, str],
    lava_samples: int,
    bar: Bar,
) -> Truncation:
    """T' and exit, chosen on the first half and confirmed on the second; the cut network is written."""
    validation, test = (answers(network, splits[name], records[name], floating[name][:, -1]) for name in SPLITS)
    result = decided(validation, test, fisher, config.tolerance)
    deployed = saying(network.with_timesteps(result.chosen), made_of)
    result = confirmed_in_lava(result, deployed, splits["test"][:lava_samples], bar)
    write_nir(deployed, work.deployed)
    write_bound(work.truncation, result, made_of)
    return result


def _verified(network: QuantizedNetwork, part: Split, backends: list[str], bar: Bar) -> Verified:
    with bar(len(part), "verify on " + ", ".join(backends)) as progress:
        stimulus = encode(network.input, part.array, network.timesteps)
        result: Verification = verify(network, stimulus, {name: backend(name) for name in backends}, progress=progress)
    return Verified(result)


def _float_curves(floating: Mapping[SplitName, np.ndarray]) -> list[AccuracyCurve]:
    return [accuracy_curve("float", name, correct) for name, correct in floating.items()]


def _report(
    foreign: Foreign,
    network: QuantizedNetwork,
    splits: Mapping[SplitName, Split],
    records: Mapping[SplitName, SpikeRecord],
    config: RunConfig,
    bar: Bar,
) -> Report:
    """What needs no decision and no price: sizes, meaning, accuracy in fixed point, samples."""
    agreement, loss = against_float(foreign.network, network, splits["test"][:COMPARED_SAMPLES], bar)
    settings: dict[str, Any] = {name: value for name, value in to_json(config).items() if name not in ("train", "data_dir")}
    return Report(
        title=foreign.name,
        subtitle=f"imported, {len(foreign.samples):,} samples, reported {time.strftime('%Y-%m-%d')}",
        network=network_facts(network),
        semantics={**semantics_of(network), "read as": foreign.meaning},
        accuracy=tuple(quantized_curves(network, records, splits)),
        agreement=agreement,
        loss=loss,
        samples=rasters_of(network, splits["test"]),
        seeds={"seed": config.train.seed},
        versions=installed_versions(),
        configuration=settings,
        warnings=warnings_of(network, records),
    )
