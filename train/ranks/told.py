"""One line for all: when processes end together, the first that comes to it says why."""

from __future__ import annotations

import os
from datetime import timedelta

from spikeport.train.ranks import launch

CONTACT = timedelta(seconds=5)


def tells() -> bool:
    """Whether this process is the one that says why all end; asked once by each.

    torchrun's own process keeps the count, so that it outlives the processes; where that does not
    answer, everyone says it.
    """
    if launch.size() == 1:
        return True
    import torch.distributed as dist  # noqa: PLC0415  slow to import, and few processes are launched so

    try:
        store = dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=CONTACT)
        return int(store.add(f"spikeport/told/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", 1)) == 1
    except (KeyError, ValueError, RuntimeError, ImportError, AttributeError):  # the last two: stopped while torch is loading
        return True
