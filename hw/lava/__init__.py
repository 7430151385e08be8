"""Run a quantized network as Intel Lava processes.

Importing this package does not import Lava, but makes it importable on newer Pythons.
"""

from spikeport.hw.lava.available import mend_imports

mend_imports()
