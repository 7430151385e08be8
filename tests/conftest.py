"""One thread a test process: small tensors only lose by more, and results do not depend on the
number of cores.
"""

import torch

torch.set_num_threads(1)
