"""One thread a test process: small tensors only lose by more, and results do not depend on the
number of cores.
"""

import signal
from collections.abc import Iterator

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C reaches the processes that a test starts, although whoever started pytest ignores it,
    as a shell does for what runs in the background: being ignored is inherited.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
