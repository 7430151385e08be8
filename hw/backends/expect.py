"""Spikes recorded in the user's own framework against ours, in float or in integers: the first link
of the chain of proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from spikeport.export.common.arrays import read_npz
from spikeport.export.common.errors import InputError
from spikeport.export.floating.layers import Step
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.model.network import FloatNetwork, Network, QuantizedNetwork
from spikeport.hw.backends.simulate import backend
from spikeport.hw.records.record import answers_over_time
from spikeport.hw.records.record_file import MADE_OF
from spikeport.hw.records.stimulus import encode

RELATIVE = 1e-4
"""Readouts that are potentials or currents are equal if they differ by no more than this part of
the largest.
"""


@dataclass(frozen=True)
class ForeignDifference:
    """The first bin that is not theirs; 0-based sample, timestep and neuron index.

    theirs, ours: spikes, or the readout's value. our_potential: before reset, what was compared
    with `threshold`; their_potential: theirs there, None where they recorded none under
    `potentials/<node>`.
    """

    node: str
    sample: int
    timestep: int
    neuron: tuple[int, ...]
    theirs: float
    ours: float
    our_potential: float
    threshold: float
    their_potential: float | None = None

    def __str__(self) -> str:
        potential = "not recorded" if self.their_potential is None else f"{self.their_potential:.8g}"
        return (
            f"differs first in {self.node}, neuron {self.neuron}, timestep {self.timestep}, sample {self.sample}: theirs {self.theirs:g} "
            f"(v {potential}), ours {self.ours:g} (v {self.our_potential:.8g} before reset, threshold {self.threshold:.8g})"
        )


@dataclass(frozen=True)
class NodeAgreement:
    """bins: neuron-steps compared. different: how many are unequal. theirs, ours: spikes (0 where
    the node does not spike).
    """

    node: str
    bins: int
    different: int
    theirs: int
    ours: int


@dataclass(frozen=True)
class Expectation:
    """What their record and ours say of one another.

    kind: our float meaning, or the integers. output: the readout's agreement. nodes: those of
    `spikes/<node>` in their record.
    same_classes: samples with the same answer after the last timestep. first: None where all is
    equal, and for integers, which are not expected to be.
    """

    kind: Literal["float", "integers"]
    samples: int
    timesteps: int
    output: NodeAgreement
    nodes: tuple[NodeAgreement, ...]
    same_classes: int
    first: ForeignDifference | None = None

    @property
    def equal(self) -> bool:
        """Whether every bin agreed."""
        return not any(node.different for node in (self.output, *self.nodes))

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "equal": self.equal}


def read_expected(path: Path) -> dict[str, np.ndarray]:
    """Their record: `output` (samples, timesteps, classes), and where given `spikes/<node>` and
    `potentials/<node>`.

    A record that `spikeport simulate` wrote is one too; what else it says of itself is left out.

    Raises:
        InputError: as `read_npz`, without `output`, or not all finite numbers.
    """
    arrays = {name: array for name, array in read_npz(path).items() if name != MADE_OF}
    if "output" not in arrays:
        raise InputError(f"{path} has no array `output` (samples, timesteps, classes); it holds {', '.join(arrays) or 'nothing'}")
    for key, array in arrays.items():
        if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
            raise InputError(f"{path}: {key} holds {array.dtype} values that are not all finite numbers")
    shape = arrays["output"].shape
    if len(shape) < 3:
        raise InputError(f"{path}: output has shape {shape}; expected (samples, timesteps, classes)")
    if not all(shape):
        raise InputError(f"{path}: output has shape {shape}, so it holds nothing; record at least 1 sample, 1 timestep and 1 class")
    return arrays


def expect_float(
    network: FloatNetwork, array: np.ndarray, expected: Mapping[str, np.ndarray], *, ours: Mapping[str, np.ndarray] | None = None
) -> Expectation:
    """Run the float meaning in float32, as frameworks do, and compare every bin.

    Args:
        array: input as `simulate_float` takes it, as many samples as `expected`.
        expected: from `read_expected`.
        ours: what `simulate_float` gave for these samples, where it ran already; used if it holds
            the spikes and the timesteps of `expected`.

    Raises:
        InputError: shapes or node names do not fit the network.
    """
    nodes = _check(network, array, expected)
    timesteps = expected["output"].shape[1]
    ours = _part(ours, nodes, timesteps) or simulate_float(network, array, timesteps, record=bool(nodes))
    places = {key: _different(network, key, expected[key], ours[key]) for key in ("output", *nodes)}
    made = _agreement("float", network, expected, ours, places)
    if made.equal:
        return made
    return replace(made, first=_first(network, array, expected, ours, places))


def expect_integers(
    network: QuantizedNetwork, array: np.ndarray, expected: Mapping[str, np.ndarray], *, ours: Mapping[str, np.ndarray] | None = None
) -> Expectation:
    """Run the integers on the engine and say how far they agree, as `expect_float`; readouts are
    compared in physical units.

    ours: `output` and `spikes/<population>` of an earlier run of the integers, as in
    `expect_float`.
    """
    nodes = _check(network, array, expected)
    timesteps = expected["output"].shape[1]
    ours = _part(ours, nodes, timesteps)
    if ours is None:
        record = backend("engine")(network, encode(network.input, array, timesteps), "spikes" if nodes else "counts")
        ours = {"output": record.output, **{key: record.spikes[_node(network, key)] for key in nodes}}
    if network.readout != "spike_count":
        ours = {**ours, "output": ours["output"] * (network[network.output].scale / 64)}
    places = {key: _different(network, key, expected[key], ours[key]) for key in ("output", *nodes)}
    return _agreement("integers", network, expected, ours, places)


def spiking_nodes(expected: Mapping[str, np.ndarray]) -> list[str]:
    """Keys of the nodes whose spikes a record holds, `spikes/<node>`."""
    return [key for key in expected if key.startswith("spikes/")]


def _part(ours: Mapping[str, np.ndarray] | None, nodes: list[str], timesteps: int) -> Mapping[str, np.ndarray] | None:
    """The first timesteps of a run, which is the shorter run; None where it does not hold what is
    asked for.
    """
    if ours is None or not {"output", *nodes} <= ours.keys() or ours["output"].shape[1] < timesteps:
        return None
    return {key: ours[key][:, :timesteps] for key in ("output", *nodes)}


def _check(network: Network, array: np.ndarray, expected: Mapping[str, np.ndarray]) -> list[str]:
    """Keys of the spikes to compare, once everything fits."""
    samples, timesteps = expected["output"].shape[:2]
    if len(array) != samples:
        raise InputError(f"the input has {len(array)} samples, the expected output {samples}; they must be the same samples")
    nodes = spiking_nodes(expected)
    spiking = {p.name for p in network.populations if p.neuron.spiking}
    if strange := [key for key in nodes if key.partition("/")[2] not in spiking]:
        raise InputError(f"{strange[0]} names no spiking node of the network; choose from {', '.join(sorted(spiking))}")
    for key in ("output", *nodes):
        size = network[_node(network, key)].size
        if expected[key].shape[:2] != (samples, timesteps) or expected[key].size != samples * timesteps * size:
            raise InputError(
                f"{key} has shape {expected[key].shape}; expected {samples} samples x {timesteps} timesteps x {size} neurons of "
                f"{_node(network, key)}"
            )
    return nodes


def _node(network: Network, key: str) -> str:
    return network.output if key == "output" else key.partition("/")[2]


def _different(network: Network, key: str, theirs: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """Where they differ, bool in the shape of ours."""
    theirs = theirs.reshape(ours.shape)
    if network[_node(network, key)].neuron.spiking:
        return theirs != ours
    return np.abs(theirs - ours) > RELATIVE * max(np.abs(theirs).max(initial=0), np.abs(ours).max(initial=0))


def _agreement(
    kind: Literal["float", "integers"],
    network: Network,
    expected: Mapping[str, np.ndarray],
    ours: Mapping[str, np.ndarray],
    places: Mapping[str, np.ndarray],
) -> Expectation:
    def agreement(key: str) -> NodeAgreement:
        spiking = network[_node(network, key)].neuron.spiking
        counts = [int(a[key].sum()) if spiking else 0 for a in (expected, ours)]
        return NodeAgreement(_node(network, key), places[key].size, int(places[key].sum()), *counts)

    samples, timesteps = expected["output"].shape[:2]
    theirs = expected["output"].reshape(ours["output"].shape)
    same = answers_over_time(theirs, network.readout)[:, -1] == answers_over_time(ours["output"], network.readout)[:, -1]
    nodes = tuple(agreement(key) for key in places if key != "output")
    return Expectation(kind, samples, timesteps, agreement("output"), nodes, int(same.sum()))


def _first(
    network: FloatNetwork,
    array: np.ndarray,
    expected: Mapping[str, np.ndarray],
    ours: Mapping[str, np.ndarray],
    places: Mapping[str, np.ndarray],
) -> ForeignDifference:
    """Earliest in sample, then timestep, then order of update; the sample is run again for its
    potentials.
    """
    order = {p.name: i for i, p in enumerate(network.populations)}
    firsts = {key: tuple(map(int, np.argwhere(where)[0])) for key, where in places.items() if where.any()}
    key = min(firsts, key=lambda k: (*firsts[k][:2], order[_node(network, k)]))
    node, (sample, step, *neuron) = _node(network, key), firsts[key]
    membrane: dict[str, np.ndarray] = {}

    def keep(name: str, course: Step) -> None:
        if name == node:
            membrane[name] = course.membrane[:, 0].numpy()

    simulate_float(network, array[sample : sample + 1], expected["output"].shape[1], observe=keep)
    recorded = expected.get(f"potentials/{node}")
    shape = (*expected["output"].shape[:2], *network[node].shape)
    fits = recorded is not None and recorded.size == np.prod(shape)
    return ForeignDifference(
        node=node,
        sample=sample,
        timestep=step,
        neuron=tuple(neuron),
        theirs=float(expected[key].reshape(ours[key].shape)[firsts[key]]),
        ours=float(ours[key][firsts[key]]),
        our_potential=float(membrane[node][step][tuple(neuron)]),
        threshold=float(np.broadcast_to(network[node].neuron.threshold, network[node].shape)[tuple(neuron)]),
        their_potential=float(recorded.reshape(shape)[firsts[key]]) if recorded is not None and fits else None,
    )
