"""15C5-P2-40C5-P2-300-10 with BatchNorm and LIF neurons in other frameworks, each in the form its
documentation recommends.

Every builder returns a module from images `(N, 1, 28, 28)` to the readout's current, averaged over
time, `(N, 10)`. The neuron is

    h = v / 2 + x,  s = [h > 1],  v = 0 where it fired, detached,  ds/dh = 1 / (1 + (pi (h - 1))^2)

except where a builder says what its framework has instead. The first layer's input is held over
time and computed once by all.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

CLASSES = 10


def synapses() -> nn.ModuleList:
    """The weights into each layer, with pooling ahead of them and BatchNorm behind."""
    return nn.ModuleList(
        [
            nn.Sequential(nn.Conv2d(1, 15, 5, bias=False), nn.BatchNorm2d(15)),
            nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(15, 40, 5, bias=False), nn.BatchNorm2d(40)),
            nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(640, 300, bias=False), nn.BatchNorm1d(300)),
            nn.Sequential(nn.Linear(300, CLASSES)),
        ]
    )


def snntorch_neurons() -> nn.Module:
    """snnTorch's neurons of one layer, for one timestep at a time."""
    import snntorch  # noqa: PLC0415
    from snntorch import surrogate  # noqa: PLC0415

    return snntorch.Leaky(beta=0.5, reset_mechanism="zero", reset_delay=False, spike_grad=surrogate.atan(alpha=2.0))


class SnnTorch(nn.Module):
    """A loop over time with `Leaky` neurons; BatchNorm, in a loop, sees one timestep at a time."""

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        self.timesteps, self.synapses = timesteps, synapses()
        self.neurons = nn.ModuleList(snntorch_neurons() for _ in range(3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        membranes = [neuron.reset_mem() for neuron in self.neurons]
        first = self.synapses[0](images)
        total = torch.zeros(())
        for _ in range(self.timesteps):
            current = first
            for k, neuron in enumerate(self.neurons):
                spikes, membranes[k] = neuron(current, membranes[k])
                current = self.synapses[k + 1](spikes)
            total = total + current
        return total / self.timesteps


def spikingjelly_neurons() -> nn.Module:
    """SpikingJelly's neurons of one layer, over all timesteps at once; version 2 chooses its
    kernels by device.
    """
    from spikingjelly.activation_based import neuron, surrogate  # noqa: PLC0415

    kind = {"tau": 2.0, "decay_input": False, "v_reset": 0.0, "detach_reset": True, "step_mode": "m"}
    return neuron.LIFNode(surrogate_function=surrogate.ATan(), **kind)


class SpikingJelly(nn.Module):
    """Multi-step mode: every layer over all timesteps at once."""

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        from spikingjelly.activation_based import functional, layer  # noqa: PLC0415

        self.timesteps, self.forget = timesteps, functional.reset_net
        first, *others = synapses()
        stages: list[nn.Module] = [spikingjelly_neurons()]
        for k, other in enumerate(others):
            stages.append(layer.SeqToANNContainer(*other))
            if k + 1 < len(others):
                stages.append(spikingjelly_neurons())
        self.first, self.later = first, nn.Sequential(*stages)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.forget(self)
        first = self.first(images)
        return self.later(first.unsqueeze(0).expand(self.timesteps, *first.shape)).mean(0)


class NorseNeurons(nn.Module):
    """Norse's box-shaped LIF step (no synaptic filter) over time.

    dt / tau_mem = 1/2 halves the input; currents are doubled to give the same neuron. It has no
    arctan surrogate; SuperSpike's 1 / (1 + |x|)^2 is as cheap.
    """

    def __init__(self) -> None:
        super().__init__()
        from norse.torch.functional.lif_box import LIFBoxFeedForwardState, LIFBoxParameters, lif_box_feed_forward_step  # noqa: PLC0415

        self.state, self.step = LIFBoxFeedForwardState, lif_box_feed_forward_step
        self.parameters_ = LIFBoxParameters(
            tau_mem_inv=torch.tensor(500.0), v_th=torch.tensor(1.0), method="super", alpha=torch.tensor(1.0)
        )

    def forward(self, currents: torch.Tensor) -> torch.Tensor:
        state, spikes = self.state(v=torch.zeros_like(currents[0])), []
        for current in 2 * currents:
            s, state = self.step(current, state, self.parameters_, dt=0.001)
            spikes.append(s)
        return torch.stack(spikes)


class Norse(nn.Module):
    """Its layers lifted over all timesteps at once.

    `Lift` applies a module to one timestep at a time, and so BatchNorm.
    """

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        import norse.torch as norse  # noqa: PLC0415

        self.timesteps, self.fire = timesteps, NorseNeurons()
        first, *others = synapses()
        self.first, self.later = first, nn.ModuleList(norse.Lift(other) for other in others)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = self.first(images)
        currents = first.unsqueeze(0).expand(self.timesteps, *first.shape)
        for lifted in self.later:
            currents = lifted(self.fire(currents))
            currents = currents[0] if isinstance(currents, tuple) else currents
        return currents.mean(0)


RIVALS: dict[str, Callable[[int], nn.Module]] = {"snntorch": SnnTorch, "spikingjelly": SpikingJelly, "norse": Norse}
