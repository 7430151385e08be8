"""The fast engine: the integer semantics of `spikeport.hw.semantics.reference`, bit for bit,
thousands of times faster.
"""

from spikeport.hw.engine.profile import Profile
from spikeport.hw.engine.stream import run

__all__ = ["Profile", "run"]
