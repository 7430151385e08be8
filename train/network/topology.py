"""A network as stages joined by paths: what every architecture, chain or graph, becomes before it
is built or lowered.

A stage is one population of neurons; its incoming paths are summed, so a residual join is a stage
with two paths. A stream is a sum of currents without neurons, read by others through a `Skip`; in
the lowered network its paths lead straight to whoever reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal, TypeAlias

from spikeport.export.common.errors import InputError
from spikeport.export.model.synapse import Shape
from spikeport.train.data.registry import Task
from spikeport.train.network.architecture import Architecture, AveragePool, ConvLayer, DenseLayer, Layer, MaxPool, Skip

INPUT = "input"
READOUT = "readout"
StageKind: TypeAlias = Literal["neuron", "max_pool", "readout", "stream"]


@dataclass(frozen=True)
class Projection:
    """Synapses from a source stage. shape: the source's. pool: average pooling ahead of the
    weights, 1 for none.

    layer: the weights; `MaxPool` and `Skip` have none. lag: timesteps until spikes arrive, 1 where
    a stage sends to itself.
    """

    source: str
    shape: Shape
    layer: ConvLayer | DenseLayer | MaxPool | Skip
    pool: int = 1
    lag: int = 0

    @property
    def delays(self) -> int:
        """The largest trained axonal delay, 0 for none."""
        return self.layer.delays if isinstance(self.layer, (ConvLayer, DenseLayer)) else 0

    @property
    def pooled_shape(self) -> Shape:
        """Shape that the weights see."""
        return _pooled(self.shape, self.pool) if self.pool > 1 else self.shape

    @property
    def weight_count(self) -> int:
        """Number of weights, without a bias."""
        if isinstance(self.layer, DenseLayer):
            return prod(self.pooled_shape) * self.layer.features
        return self.pooled_shape[0] * self.layer.channels * self.layer.kernel**2 if isinstance(self.layer, ConvLayer) else 0

    @property
    def output_shape(self) -> Shape:
        """Shape of the currents."""
        if isinstance(self.layer, DenseLayer):
            return (self.layer.features,)
        if isinstance(self.layer, Skip):
            return self.pooled_shape
        if isinstance(self.layer, MaxPool):
            return _pooled(self.pooled_shape, self.layer.size)
        return _convolved(self.pooled_shape, self.layer)


@dataclass(frozen=True)
class Stage:
    """One population: a spiking layer, a max pooling of spikes, or the readout; or a stream of
    currents.
    """

    name: str
    kind: StageKind
    incoming: tuple[Projection, ...]

    @property
    def shape(self) -> Shape:
        """Shape of the population."""
        return self.incoming[0].output_shape


def behind_weights(stages: tuple[Stage, ...], path: Projection) -> bool:
    """Whether BatchNorm stands behind a path into neurons: it does behind weights or a stream;
    spikes skip it.
    """
    streams = {s.name for s in stages if s.kind == "stream"}
    return path.source in streams or not isinstance(path.layer, Skip)


def windows_of_all(stages: tuple[Stage, ...], source: str) -> int:
    """Side of the windows that all who read a stage average over before anything else; 1 where they
    differ.
    """
    readers = [path for stage in stages for path in stage.incoming if path.source == source]
    sizes = {1 if path.delays or isinstance(path.layer, MaxPool) else path.pool for path in readers}
    return sizes.pop() if len(sizes) == 1 else 1


def chain(architecture: Architecture, task: Task, *, shrinking: bool = False) -> tuple[Stage, ...]:
    """The stages of a chain of layers, readout last. shrinking: leave out pools that the map has
    become too small for.

    Raises:
        InputError: a layer that does not fit the map before it.
    """
    stages: list[Stage] = []
    source, shape, pool = INPUT, task.shape, 1
    for layer in with_readout(architecture, task.classes):
        if isinstance(layer, AveragePool):
            if shrinking and len(shape) == 3 and min(shape[1:]) < pool * layer.size:
                continue
            pool *= layer.size
            _pooled(shape, pool)
            continue
        if isinstance(layer, MaxPool) and (source == INPUT or pool > 1):
            raise InputError(
                f"architecture {architecture}: {layer} must follow spikes, not the input or another pooling; use P{layer.size}"
            )
        stages.append(_stage(stages, layer, Projection(source, shape, layer, pool)))
        source, shape, pool = stages[-1].name, stages[-1].shape, 1
    return (*stages[:-1], Stage(READOUT, "readout", stages[-1].incoming))


def with_readout(architecture: Architecture, classes: int) -> tuple[Layer, ...]:
    """The layers, ending in a dense layer of one neuron per class."""
    last = architecture.layers[-1]
    if isinstance(last, DenseLayer) and last.features == classes and not last.recurrent:
        return architecture.layers
    return (*architecture.layers, DenseLayer(classes))


def _stage(before: list[Stage], layer: Layer, path: Projection) -> Stage:
    prefix = {ConvLayer: "conv", DenseLayer: "dense", MaxPool: "pool"}[type(layer)]
    name = f"{prefix}{1 + sum(s.name.startswith(prefix) for s in before)}"
    own = Projection(name, path.output_shape, DenseLayer(path.output_shape[0]), lag=1)
    recurrent = isinstance(layer, DenseLayer) and layer.recurrent
    return Stage(name, "max_pool" if prefix == "pool" else "neuron", (path, own) if recurrent else (path,))


def _pooled(shape: Shape, size: int) -> Shape:
    if len(shape) != 3 or min(shape[1:]) < size:
        raise InputError(f"pooling by {size} does not fit a map of shape {shape}; leave a pooling layer out")
    return (shape[0], shape[1] // size, shape[2] // size)


def _convolved(shape: Shape, conv: ConvLayer) -> Shape:
    if len(shape) != 3:
        raise InputError(f"convolution {conv} cannot follow a dense layer; put it ahead of the first one")
    sizes = [(n + 2 * conv.padding - conv.kernel) // conv.stride + 1 for n in shape[1:]]
    if min(sizes) < 1:
        raise InputError(f"kernel of {conv} is larger than its map of shape {shape}; pad it (p{conv.kernel // 2}) or pool less")
    return (conv.channels, *sizes)
