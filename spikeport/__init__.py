"""spikeport: take a spiking neural network from PyTorch to neuromorphic hardware, with proof.

The public API; everything is loaded on first use, so importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "FloatNetwork": "spikeport.export.network",
    "InputError": "spikeport.export.errors",
    "QuantizedNetwork": "spikeport.export.network",
    "SpikeRecord": "spikeport.hw.record",
    "Verification": "spikeport.hw.verify",
    "backend": "spikeport.hw.simulate",
    "check_network": "spikeport.hw.limits",
    "encode": "spikeport.hw.stimulus",
    "estimate_cost": "spikeport.analysis.cost",
    "fisher_information": "spikeport.analysis.fisher",
    "import_nir": "spikeport.export.nir_import",
    "quantize": "spikeport.export.quantize",
    "read_nir": "spikeport.export.nir_file",
    "simulate_float": "spikeport.export.float_simulate",
    "truncate": "spikeport.analysis.truncation",
    "verify": "spikeport.hw.verify",
    "write_nir": "spikeport.export.nir_file",
    "write_onnx": "spikeport.export.onnx_graph",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'spikeport' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
