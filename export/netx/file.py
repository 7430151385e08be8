"""`.net` files of lava-dl, out and in.

Ours also carry `spikeport`, a JSON text that netx passes over: names, scales, input, readout, T.

Format: `layer/0`, `layer/1`, ...: each a group of datasets (`layers.Layer`), as lava-dl 0.6's
blocks write them in `export_hdf5` and its `netx.hdf5.Network` reads them; `simulation/tSample` over
`simulation/Ts`: timesteps of a sample.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.common.files import parse_json, write_bytes
from spikeport.export.common.guard import as_path, reading
from spikeport.export.common.hdf5 import UntrustedFile, opened_hdf5
from spikeport.export.model.digest import network_digest
from spikeport.export.model.network import QuantizedNetwork
from spikeport.export.netx.fit import Changes, fitted
from spikeport.export.netx.layers import Layer, layers_of
from spikeport.export.netx.reader import network_of

KEY, FORMAT = "spikeport", 1
MAX_NUMBERS = 120_000_000
"""Numbers in a file: the synapses of one Loihi 2 chip."""
MAX_LAYERS = 1000


def write_netx(network: QuantizedNetwork, path: Path | str) -> Changes:
    """Write a quantized network for lava-dl's netx; a reader never sees half a file.

    Returns:
        What changed in each population; every `exact` means that the file is the same network,
        spike for spike.

    Raises:
        InputError: populations that are not in a row, neurons that lava-dl has not, or a path that
            cannot be written.
    """
    fit, changes = fitted(network)
    layers = layers_of(fit)
    text = json.dumps({**_plan(fit), "network": network_digest(network)}, allow_nan=False)
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for number, layer in enumerate(layers):
            for key, value in layer.items():
                _put(file, f"layer/{number}/{key}", value)
        file["simulation/Ts"], file["simulation/tSample"] = 1, network.timesteps
        file[KEY] = text
    write_bytes(path, memory.getbuffer())
    return changes


def _put(file: h5py.File, way: str, value: Any) -> None:
    """The types that lava-dl writes: the layer's type in an array of one, the neuron's alone,
    weights and biases as float32.
    """
    if way.endswith("neuron/type"):
        file[way] = np.bytes_(value)
    elif isinstance(value, str):
        file.create_dataset(way, (1,), "S10", [value.encode()])
    elif way.rpartition("/")[2] in ("weight", "weight_rec", "bias"):
        file[way] = np.asarray(value, np.float32)
    else:
        file[way] = value


def _plan(network: QuantizedNetwork) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "input": asdict(network.input),
        "populations": [{"name": p.name, "shape": p.shape, "scale": np.asarray(p.scale).tolist()} for p in network.populations],
        "readout": network.readout,
        "timesteps": network.timesteps,
        "dt": network.dt,
        "integrator": network.integrator,
        "weight_bits": network.weight_bits,
        "provenance": dict(network.provenance),
    }


def exported_from(path: Path) -> str | None:
    """Digest of the network that `write_netx` was given; None for a file of lava-dl's own.

    Raises InputError as `read_netx`.
    """
    with reading(path, "a .net file of lava-dl", "export it again with lava-dl or spikeport export --to netx"), opened_hdf5(path) as file:
        if (KEY,) not in file.entries or file.entries[KEY,].kind != "text":
            return None
        plan = parse_json(str(file.read([(KEY,)])[KEY,]), f"{path}: {KEY}")
    return str(plan.get("network", "")) if isinstance(plan, dict) else None


def read_netx(path: Path | str, *, timesteps: int | None = None) -> QuantizedNetwork:
    """Read a network that lava-dl or `write_netx` wrote, as Lava runs it through netx in fixed
    point.

    Args:
        timesteps: T; of the file if it says so, else 1.

    Raises:
        InputError: no HDF5, damaged, larger than the limits, or a layer or neuron that netx or we
            have not.
    """
    path = as_path(path)
    with reading(path, "a .net file of lava-dl", "export it again with lava-dl or spikeport export --to netx"):
        with opened_hdf5(path) as file:
            layers, others = _contents(file)
        plan = parse_json(str(others[KEY]), f"{path}: {KEY}") if KEY in others else None
        if plan is not None and (not isinstance(plan, dict) or plan.get("format") != FORMAT):
            raise InputError(f"{path} has a description of spikeport that this version cannot read; it reads format {FORMAT}")
        steps = timesteps or _steps(others)
        try:
            return network_of(layers, plan, steps)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


def _contents(file: UntrustedFile) -> tuple[list[Layer], dict[str, Any]]:
    """Layers in order, and datasets elsewhere by name."""
    entries = {way: e for way, e in file.entries.items() if e.kind != "group"}
    strange = ["/".join(way) for way, e in entries.items() if e.kind == "other"]
    if strange:
        raise InputError(f"{file.path} holds {strange[0]}, which is neither numbers nor text")
    total = sum(max(e.size, e.chunk) for e in entries.values())
    if total > MAX_NUMBERS:
        raise InputError(f"{file.path} holds {total:,} numbers; networks of at most {MAX_NUMBERS:,} are read")
    names = sorted({way[1] for way in entries if way[0] == "layer" and len(way) > 2}, key=lambda n: (len(n), n))
    if names != [str(i) for i in range(len(names))] or not 0 < len(names) <= MAX_LAYERS:
        raise InputError(
            f"{file.path} is no network of lava-dl: its layers are {names[:3]}, expected layer/0, layer/1, ... up to {MAX_LAYERS}"
        )
    values = file.read(entries)
    layers: list[dict[str, Any]] = [{} for _ in names]
    for way, value in values.items():
        if way[0] == "layer" and len(way) > 2:
            layers[int(way[1])]["/".join(way[2:])] = value
    return list(layers), {"/".join(way): value for way, value in values.items() if way[0] != "layer"}


def _steps(others: dict[str, Any]) -> int:
    sample, step = (np.ravel(others.get(f"simulation/{key}", 1)) for key in ("tSample", "Ts"))
    return max(1, int(sample[0] // step[0]))
