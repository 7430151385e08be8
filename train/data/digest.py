"""Which data a result speaks of: a digest of a split's samples and labels."""

from __future__ import annotations

import os

from spikeport.export.common.digest import content_digest
from spikeport.train.data.dataset import Split
from spikeport.train.data.on_demand import OnDemand


def split_digest(split: Split) -> str:
    """A digest of samples and labels in their order; 64 hexadecimal digits.

    Of samples that are read on demand, which no memory holds, their files' names below the folder that all share stand for them.
    """
    if not isinstance(split.images, OnDemand):
        return content_digest("split", split.images, split.labels)
    names = [str(name) for name in split.images.files]
    shared = os.path.commonpath([os.path.dirname(name) for name in names])  # noqa: PTH120
    relative = [os.path.relpath(name, shared or ".") for name in names]
    kind = (split.images.shape, str(split.images.dtype().dtype))
    return content_digest("split on demand", relative, *kind, split.labels)
