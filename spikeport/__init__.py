"""spikeport: take a spiking neural network from PyTorch to neuromorphic hardware, with proof.

The public API; everything is loaded on first use, so importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "FloatNetwork": "spikeport.export.model.network",
    "InputError": "spikeport.export.common.errors",
    "QuantizedNetwork": "spikeport.export.model.network",
    "SpikeRecord": "spikeport.hw.records.record",
    "Verification": "spikeport.hw.backends.verify",
    "backend": "spikeport.hw.backends.simulate",
    "check_network": "spikeport.hw.semantics.limits",
    "encode": "spikeport.hw.records.stimulus",
    "estimate_cost": "spikeport.analysis.cost.estimate",
    "fisher_information": "spikeport.analysis.information.fisher",
    "import_nir": "spikeport.export.nir.foreign.importer",
    "lava_processes": "spikeport.hw.lava.program",
    "quantize": "spikeport.export.quantization.quantize",
    "read_netx": "spikeport.export.netx.file",
    "read_nir": "spikeport.export.nir.file",
    "simulate_float": "spikeport.export.floating.simulate",
    "truncate": "spikeport.analysis.decision.timestep_cut",
    "verify": "spikeport.hw.backends.verify",
    "write_float_onnx": "spikeport.export.onnx.float_graph",
    "write_netx": "spikeport.export.netx.file",
    "write_nir": "spikeport.export.nir.file",
    "write_onnx": "spikeport.export.onnx.graph",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'spikeport' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
