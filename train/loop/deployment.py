"""What a trained network still needs before it can be lowered."""

from __future__ import annotations

from spikeport.train.data.on_demand import Images
from spikeport.train.loop.evaluation import readout_currents
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.neurons.noise import calibrating, noise_layers

CALIBRATION_SAMPLES = 1000


def prepare_for_deployment(module: SpikingNetwork, images: Images) -> bool:
    """Freeze the membrane statistics of noise neurons on training images; other networks are ready
    as they are. Returns whether that made it another network.
    """
    if not noise_layers(module):
        return False
    with calibrating(module):
        for _ in readout_currents(module, images[:CALIBRATION_SAMPLES], max(module.timesteps, 2)):
            pass
    return True
