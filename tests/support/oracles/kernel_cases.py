"""Neurons, numbers and a short training for what is run by kernels and by PyTorch, in Triton's
interpreter and on a GPU.
"""

import torch
from torch.nn import functional as F

from spikeport.train.data.registry import Task
from spikeport.train.network.build import build
from spikeport.train.neurons.dsr import DSRConfig
from spikeport.train.neurons.stbp import LIFConfig
from spikeport.train.settings.config import defaults_for
from spikeport.train.settings.methods import METHODS

CLOSE = {"rtol": 1e-5, "atol": 1e-6}
LIF_CONFIGS = [
    LIFConfig(decay=0.8, gain=0.9, threshold=0.6, strict=strict, reset=reset, detach_reset=detach)
    for strict in (True, False)
    for reset in ("zero", "subtract")
    for detach in (True, False)
]
DSR_CONFIGS = [
    DSRConfig(threshold=1.5),
    DSRConfig(kind="lif", threshold=0.4, alpha=0.3, tau=0.8, dt=0.1),
    DSRConfig(kind="lif", threshold=0.4, alpha=0.3, tau=0.8, dt=0.1, threshold_gradient="theory"),
]


def name(value: object) -> str | None:
    """A neuron's name in a test's."""
    if isinstance(value, LIFConfig):
        return f"{'>' if value.strict else '>='} {value.reset}{' detached' * value.detach_reset}"
    return f"{value.kind} {value.threshold_gradient}" if isinstance(value, DSRConfig) else None


def normal(*shape: int, seed: int = 0, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    """Normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale + shift


def losses(method: str, precision: str = "float32", device: str = "cpu") -> list[float]:
    """Losses of the first steps of a small network on random images."""
    config = defaults_for("digits", method=method, arch="6C3-P2-20", timesteps=5)
    network = build(config, Task("digits", (1, 8, 8), 10, 17)).train().to(device)
    optimizer = torch.optim.SGD(network.parameters(), 0.05)
    found = []
    torch.manual_seed(0)
    for step in range(3):
        x, y = 4 * torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(step)).to(device), torch.arange(8, device=device)
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            output = network(x, METHODS[method].training_timesteps)
        loss = F.cross_entropy(output.float().mean(0), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found
