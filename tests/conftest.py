"""One thread per test process: the networks here are tiny, and threads that wait for one another cost ten times the work."""

import torch

torch.set_num_threads(1)
