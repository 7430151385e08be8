"""Members of HDF5 files that nobody vouches for: what a file keeps itself, never what it points to elsewhere."""

from __future__ import annotations

from pathlib import Path

import h5py

from spikeport.export.common.errors import InputError


def own_member(group: h5py.Group, name: str, path: Path) -> h5py.Group | h5py.Dataset | h5py.Datatype:
    """A member of a group in the file at `path`, checked before HDF5 opens whatever it points to.

    Raises:
        InputError: a link, or data that lie in another file.
        KeyError: no such member.
    """
    if not isinstance(group.get(name, getlink=True), (h5py.HardLink, type(None))):
        raise InputError(f"{path} holds a link ({name}) instead of data; store the data itself there")
    item = group[name]
    if isinstance(item, h5py.Dataset) and (item.is_virtual or item.external):
        raise InputError(f"{path} keeps {item.name} in another file; store the data itself there")
    return item
