"""On Python 3.11 and newer Lava is importable once our package is."""

import spikeport.hw.lava  # noqa: F401
