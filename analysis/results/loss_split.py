"""What quantization costs, by the kind of parameter: one kind at a time as the integers have it,
everything else in float64.

In a fine-tuned network the weights' row holds what training changed, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spikeport.analysis.results.paired_runs import Run, SpikeOverlap, overlap, run_float, run_integers, sample_chunks
from spikeport.export.floating.simulate import physical_input
from spikeport.export.model import registers as reg
from spikeport.export.model.network import FloatNetwork, FloatNeuron, Population, QuantizedNetwork
from spikeport.export.quantization.bias_neurons import with_bias_neurons
from spikeport.export.quantization.dequantize import dequantize

Turn = Callable[[FloatNeuron, FloatNeuron], FloatNeuron]
"""Float neuron and its quantized meaning to the neuron of which one kind of parameter is rounded.
"""


@dataclass(frozen=True)
class LossRow:
    """A run in which only `rounded` took part, against the float network.

    spikes: of all spiking populations together; float first. answers_changed: share of samples.
    accuracy: None without labels.
    """

    rounded: str
    spikes: SpikeOverlap
    answers_changed: float
    accuracy: float | None


@dataclass(frozen=True)
class LossSplit:
    """Rows from single kinds to everything; shares do not add up, as errors may cancel. accuracy:
    of the float network.
    """

    samples: int
    timesteps: int
    accuracy: float | None
    rows: tuple[LossRow, ...]


def loss_split(
    network: FloatNetwork,
    quantized: QuantizedNetwork,
    data: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> LossSplit:
    """Measure what each kind of rounding does to spikes, answers and accuracy.

    Args:
        network: what was quantized. quantized: what came out; populations and connections are
            matched by name.
        data: `(samples, *shape)` held over time or `(samples, timesteps or more, *shape)`. labels:
            `(samples,)`.

    Raises:
        InputError: the data do not fit the network.
    """
    own = {p.name for p in network.populations}
    network = with_bias_neurons(network).with_timesteps(quantized.timesteps)
    values, _ = physical_input(network.input, data, network.timesteps)
    rounded_input = quantized.input.rounded(values)
    cases = _cases(network, quantized)
    floats: list[Run] = []
    runs: dict[str, list[Run]] = {}
    for part in sample_chunks(network, len(values)):
        floats.append(_spikes_of(own, run_float(network, values, part)))
        made = {
            "input": run_float(network, rounded_input, part),
            **{name: run_float(case, values, part) for name, case in cases.items()},
            "all parameters and the input": run_float(dequantize(quantized), rounded_input, part),
            "everything: the integers": run_integers(quantized, values, part),
        }
        for name, run in made.items():
            runs.setdefault(name, []).append(_spikes_of(own, run))
        if progress:
            progress(len(floats[-1].answers))
    rows = tuple(_row(name, floats, parts, labels) for name, parts in runs.items())
    return LossSplit(len(values), network.timesteps, _accuracy(floats, labels), rows)


def _cases(network: FloatNetwork, quantized: QuantizedNetwork) -> Mapping[str, FloatNetwork]:
    """Float networks of which one kind of parameter has the value that its integers stand for."""
    meaning = dequantize(quantized)
    weights = {c.name: c for c in meaning.connections}
    rounded = replace(
        network,
        connections=tuple(replace(c, op=weights[c.name].op) if c.name in weights else c for c in network.connections),
    )
    return {
        "weights": rounded,
        "weights, with biases that make up for them": _turned(rounded, meaning, _corrected_bias),
        "thresholds and reset values": _turned(network, meaning, _threshold),
        "biases": replace(network, populations=tuple(_own_bias(p, quantized) for p in network.populations)),
        "decays": _turned(network, meaning, lambda n, m: replace(n, alpha=m.alpha, beta=m.beta)),
    }


def _turned(network: FloatNetwork, meaning: FloatNetwork, turn: Turn) -> FloatNetwork:
    by_name = {p.name: p.neuron for p in meaning.populations}
    populations = (replace(p, neuron=turn(p.neuron, by_name[p.name])) if p.name in by_name else p for p in network.populations)
    return replace(network, populations=tuple(populations))


def _threshold(n: FloatNeuron, m: FloatNeuron) -> FloatNeuron:
    return replace(n, threshold=m.threshold, reset_value=m.reset_value, strict=m.strict)


def _corrected_bias(n: FloatNeuron, m: FloatNeuron) -> FloatNeuron:
    return replace(n, bias=m.bias)


def _own_bias(p: Population[FloatNeuron], quantized: QuantizedNetwork) -> Population[FloatNeuron]:
    """The population's own biases, without correction, on the grid of its register."""
    to = next((q for q in quantized.populations if q.name == p.name), None)
    if to is None:
        return p
    grid = to.scale * reg.STATE_UNIT * (1 << to.neuron.bias_exponent)
    return replace(p, neuron=replace(p.neuron, bias=np.rint(p.neuron.bias / grid) * grid))


def _spikes_of(populations: set[str], run: Run) -> Run:
    """Without potentials, and without neurons that only stand for a bias."""
    return replace(run, spikes={name: raster for name, raster in run.spikes.items() if name in populations}, potentials={})


def _row(name: str, floats: Sequence[Run], runs: Sequence[Run], labels: np.ndarray | None) -> LossRow:
    spikes = SpikeOverlap(0, 0, 0)
    for first, second in zip(floats, runs):
        for population in first.spikes.keys() & second.spikes.keys():
            spikes += overlap(first.spikes[population], second.spikes[population])
    changed = np.concatenate([a.answers != b.answers for a, b in zip(floats, runs)])
    return LossRow(name, spikes, float(changed.mean()), _accuracy(runs, labels))


def _accuracy(runs: Sequence[Run], labels: np.ndarray | None) -> float | None:
    return None if labels is None else float((np.concatenate([r.answers for r in runs]) == labels).mean())
