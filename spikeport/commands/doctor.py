"""Tell what is installed, what works on this machine, and how to get the rest.

Every line is tried, not looked up: Lava is imported and run, the engine is compared with the
reference. Exit status 1 if something that the main job needs does not work; what is optional may be
missing.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from spikeport.commands.parts.options import add_json, emit, table
from spikeport.export.common.errors import InputError
from spikeport.export.common.guard import reason
from spikeport.export.model.network import Connection, Dense, Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.hw.backends.verify import verify
from spikeport.hw.lava.available import require_lava
from spikeport.hw.records.stimulus import encode

EXAMPLES = """examples:
  spikeport doctor
  spikeport doctor --json
"""
EXTRAS = {
    "snntorch": "snntorch",
    "spikingjelly": "",
    "pandas": "notebook",
    "matplotlib": "notebook",
    "shtab": "completion",
    "mkdocs": "docs",
}
"""Optional packages, and the extra that brings each ("" for none)."""


class Finding(NamedTuple):
    """One line. state: "works", "absent" (optional) or "BROKEN"; remedy: a command, or what to do."""

    what: str
    state: str
    detail: str
    remedy: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport doctor`."""
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Look, and say."""
    found = examined()
    rows = [(f.what, f.state, f.detail + (f"; {f.remedy}" if f.remedy else "")) for f in found]
    emit(arguments, [f._asdict() for f in found], table(rows, ("", "", "")))
    return 1 if any(f.state == "BROKEN" for f in found) else 0


def examined() -> list[Finding]:
    """All findings, in order."""
    return [
        Finding("spikeport", "works", f"{version('spikeport')}, Python {platform.python_version()}, {platform.platform()}"),
        _tried("engine", _backend("engine"), "reinstall numba and numpy"),
        _tried("ONNX Runtime", _backend("onnx"), "pip install --force-reinstall onnxruntime"),
        _lava(),
        _tried("nir", lambda: f"nir {version('nir')}, h5py {version('h5py')}", "pip install --force-reinstall nir h5py"),
        Finding(
            "processor", "works", f"{os.cpu_count()} cores; {', '.join(processor_features()) or 'no integer or bfloat16 dot products'}"
        ),
        _gpu(),
        *(_extra(package, extra) for package, extra in EXTRAS.items()),
    ]


def processor_features() -> list[str]:
    """What this processor has of the instructions that the engine and bfloat16 training gain by."""
    names = {
        "avx512_vnni": "VNNI",
        "avx_vnni": "AVX-VNNI",
        "avx512_bf16": "bfloat16",
        "amx_bf16": "AMX bfloat16",
        "avx512f": "AVX-512",
        "avx2": "AVX2",
    }
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return []
    return [shown for flag, shown in names.items() if flag in flags]


def small_network() -> QuantizedNetwork:
    """Three inputs, two neurons: what backends are tried on."""
    neuron = IntegerNeuron(du=np.array(4095), dv=np.array(800), threshold=np.array(90), bias_mantissa=np.array(0))
    weight = np.array([[60, -20, 30], [-10, 70, 20]], np.int8)
    return QuantizedNetwork(
        input=Input("input", (3,)),
        populations=(Population("output", (2,), neuron),),
        connections=(Connection("synapses", "input", "output", Dense(weight)),),
        output="output",
        readout="spike_count",
        timesteps=6,
        dt=1e-3,
        integrator="per timestep",
        weight_bits=8,
    )


def _backend(name: str) -> Callable[[], str]:
    def run() -> str:
        network = small_network()
        spikes = np.random.default_rng(0).integers(0, 2, (4, 6, 3))
        result = verify(network, encode(network.input, spikes, 6), [name])
        if not result.equal:
            raise RuntimeError(str(result.first))
        return f"equal to the reference, {result.spikes} spikes"

    return run


def _tried(what: str, trial: Callable[[], str], remedy: str) -> Finding:
    try:
        return Finding(what, "works", trial())
    except Exception as error:
        return Finding(what, "BROKEN", reason(error), remedy)


def _lava() -> Finding:
    try:
        require_lava()
    except InputError as error:
        return Finding("Lava", "absent", str(error))
    return _tried(f"Lava {_version('lava-nc')}", _backend("lava"), "pip install --force-reinstall lava-nc==0.10.0")


def _gpu() -> Finding:
    if torch.cuda.is_available():
        return Finding("GPU", "works", f"{torch.cuda.get_device_name()}; train with --accelerator cuda")
    return Finding("GPU", "absent", f"PyTorch {torch.__version__} finds no CUDA device; training runs on the CPU")


def _extra(package: str, extra: str) -> Finding:
    place = f"'spikeport[{extra}]'" if extra else package
    try:
        import_module(package)
    except ImportError:
        return Finding(package, "absent", "optional", f"pip install {place}")
    except Exception as error:
        return Finding(package, "BROKEN", reason(error), f"pip install --force-reinstall {package}")
    return Finding(package, "works", _version(package))


def _version(package: str) -> Any:
    try:
        return version(package)
    except PackageNotFoundError:
        return f"for {sys.implementation.name}"
