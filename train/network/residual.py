"""Residual networks as stages: two paths into one stage, or currents that run along a stream.

Spiking joins (Zheng et al. 2020, figure 2): a block is conv - neurons - conv, its sum with the
shortcut goes into neurons. The shortcut is the block's input itself, or a 1 x 1 convolution where
the map changes.

Pre-activation (He et al. 2016b; Meng et al. 2022): a block is neurons - conv - neurons - conv,
added to the stream that its neurons read through BatchNorm. Where the map changes, a 1 x 1
convolution of the first neurons' output starts a new stream. In the head, neurons follow the
stream.

Maps of 128 pixels and more are first reduced by four, with a 7 x 7 convolution of stride 2 and
average pooling in place of He's overlapping max pooling, and have neurons in between.
"""

from __future__ import annotations

from dataclasses import replace

from spikeport.train.data.registry import Task
from spikeport.train.network.architecture import ConvLayer, DenseLayer, Skip
from spikeport.train.network.residual_plans import ResidualPlan
from spikeport.train.network.topology import INPUT, READOUT, Projection, Stage

LARGE = 128


class _Builder:
    """Stages so far. `at`: name, shape and pooling of what the next layer reads."""

    def __init__(self, task: Task) -> None:
        self.stages: list[Stage] = []
        self.at = Projection(INPUT, task.shape, Skip())

    def add(self, name: str, layer: ConvLayer | DenseLayer | Skip, *joined: Projection, stream: bool = False) -> Projection:
        """A stage that reads the last one through a layer, and other paths; returns where it can be
        read.
        """
        self.stages.append(Stage(name, "stream" if stream else "neuron", (replace(self.at, layer=layer), *joined)))
        self.at = Projection(name, self.stages[-1].shape, Skip())
        return self.at

    def finish(self, classes: int) -> tuple[Stage, ...]:
        """With the readout."""
        return (*self.stages, Stage(READOUT, "readout", (replace(self.at, layer=DenseLayer(classes)),)))


def residual(plan: ResidualPlan, task: Task) -> tuple[Stage, ...]:
    """The stages of a plan.

    Raises:
        InputError: the task's input is no map, or too small.
    """
    builder, spiking = _Builder(task), plan.join == "spiking"
    large = len(task.shape) == 3 and min(task.shape[1:]) >= LARGE
    stem = plan.stem or plan.widths[0]
    builder.add("stem", ConvLayer(stem, 7, 2, 3) if large else _conv(stem), stream=not (spiking or large))
    if large:
        builder.at = replace(builder.at, pool=2)
    block = _spiking_block if spiking else _pre_activation_block
    for group, (width, count) in enumerate(zip(plan.widths, plan.blocks), start=1):
        for number in range(1, count + 1):
            block(builder, f"group{group}block{number}", width, 2 if number == 1 and (group > 1 or plan.halves_first) else 1)
    _head(builder, plan)
    return builder.finish(task.classes)


def _head(builder: _Builder, plan: ResidualPlan) -> None:
    if plan.join == "pre-activation":
        builder.add("last", Skip())
    builder.at = replace(builder.at, pool=min(builder.at.shape[1:]))
    if plan.mean_fires:
        builder.add("mean", Skip())
    if plan.hidden:
        builder.add("hidden", DenseLayer(plan.hidden))


def _spiking_block(builder: _Builder, name: str, width: int, stride: int) -> None:
    start = builder.at
    same = stride == 1 and start.shape[0] == width
    shortcut = start if same else replace(start, layer=ConvLayer(width, 1, stride, 0))
    builder.add(f"{name}a", _conv(width, stride))
    builder.add(f"{name}b", _conv(width), shortcut)


def _pre_activation_block(builder: _Builder, name: str, width: int, stride: int) -> None:
    stream = builder.at
    same = stride == 1 and stream.shape[0] == width
    spikes = builder.add(f"{name}a", Skip())
    builder.add(f"{name}b", _conv(width, stride))
    shortcut = stream if same and stream.pool == 1 else replace(spikes, layer=ConvLayer(width, 1, stride, 0))
    builder.add(f"{name}sum", _conv(width), shortcut, stream=True)


def _conv(width: int, stride: int = 1) -> ConvLayer:
    return ConvLayer(width, 3, stride, 1)
