"""A float network in a file of our own: arrays in an `.npz`, the rest as JSON beside them, sealed
with the network's digest.

No exchange format holds all that a float network may be (firing rules, late resets, bias of the
current), so this is for folders in which later stages need the network again, not for other tools.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.export.common.arrays import read_npz
from spikeport.export.common.digest import short
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import parse_json, write_bytes
from spikeport.export.common.guard import reading
from spikeport.export.model.digest import network_digest
from spikeport.export.model.network import FloatNetwork, Input, Population
from spikeport.export.model.neuron import FloatNeuron, Noise
from spikeport.export.model.synapse import Connection, Conv, Dense, Elementwise, Pool

PLAN, DIGEST = "plan", "digest"
KINDS = {kind.__name__: kind for kind in (FloatNetwork, Input, Population, FloatNeuron, Noise, Connection, Conv, Dense, Elementwise, Pool)}


def write_float(network: FloatNetwork, path: Path) -> None:
    """Write a float network whole; `read_float` gives it back with the same digest.

    Raises:
        OutputError: the path cannot be written.
    """
    arrays: dict[str, np.ndarray] = {}
    plan = json.dumps({DIGEST: network_digest(network), "network": _plain(network, arrays)}, allow_nan=False)
    held = io.BytesIO()
    np.savez_compressed(held, **arrays, **{PLAN: np.array(plan)})
    write_bytes(path, held.getbuffer())


def read_float(path: Path) -> FloatNetwork:
    """Read what `write_float` wrote.

    Raises:
        InputError: missing, damaged, changed, or no such file.
    """
    remedy = "make it again with spikeport run --nir"
    with reading(path, "a float network", remedy):
        arrays = read_npz(path)
        plan = parse_json(str(arrays.pop(PLAN)), f"{path}: {PLAN}")
        network = _built(plan["network"], arrays)
        if not isinstance(network, FloatNetwork) or network_digest(network) != plan[DIGEST]:
            raise InputError(f"{path} is not the network that was written ({short(str(plan[DIGEST]))}); {remedy}")
        return network


def is_float_file(path: Path) -> bool:
    """Whether `write_float` wrote a file, and nothing changed it."""
    try:
        read_float(path)
    except InputError:
        return False
    return True


def _plain(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """JSON values; arrays are named by their number.

    A mapping is wrapped, so that its keys mean nothing here.
    """
    if isinstance(value, np.ndarray):
        arrays[str(len(arrays))] = value
        return {"array": str(len(arrays) - 1)}
    if is_dataclass(value) and not isinstance(value, type):
        return {"is": type(value).__name__, "with": {f.name: _plain(getattr(value, f.name), arrays) for f in fields(value)}}
    if isinstance(value, Mapping):
        return {"map": {key: _plain(item, arrays) for key, item in value.items()}}
    if isinstance(value, (tuple, list)):
        return [_plain(item, arrays) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _built(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The way back; whatever does not fit raises, see `export.common.guard.reading`."""
    if isinstance(value, list):
        return tuple(_built(item, arrays) for item in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    if "map" in value:
        return {key: _built(item, arrays) for key, item in value["map"].items()}
    return KINDS[value["is"]](**{name: _built(item, arrays) for name, item in value["with"].items()})
