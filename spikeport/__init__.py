"""spikeport: take a spiking neural network from PyTorch to neuromorphic hardware, with proof.

The public API; everything is loaded on first use, so importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what `_HOME` loads, for editors and type checkers
    from spikeport.analysis.cost.estimate import estimate_cost as estimate_cost
    from spikeport.analysis.decision.timestep_cut import truncate as truncate
    from spikeport.analysis.information.fisher import fisher_information as fisher_information
    from spikeport.export.common.errors import InputError as InputError
    from spikeport.export.floating.simulate import simulate_float as simulate_float
    from spikeport.export.model.network import FloatNetwork as FloatNetwork
    from spikeport.export.model.network import QuantizedNetwork as QuantizedNetwork
    from spikeport.export.modules.snntorch import from_snntorch as from_snntorch
    from spikeport.export.modules.spikingjelly import from_spikingjelly as from_spikingjelly
    from spikeport.export.netx.file import read_netx as read_netx
    from spikeport.export.netx.file import write_netx as write_netx
    from spikeport.export.nir.file import read_nir as read_nir
    from spikeport.export.nir.file import write_nir as write_nir
    from spikeport.export.nir.foreign.importer import import_nir as import_nir
    from spikeport.export.onnx.float_graph import write_float_onnx as write_float_onnx
    from spikeport.export.onnx.graph import write_onnx as write_onnx
    from spikeport.export.quantization.quantize import quantize as quantize
    from spikeport.hw.backends.simulate import backend as backend
    from spikeport.hw.backends.verify import Verification as Verification
    from spikeport.hw.backends.verify import verify as verify
    from spikeport.hw.lava.program import lava_processes as lava_processes
    from spikeport.hw.mapping.check import check_network as check_network
    from spikeport.hw.records.record import SpikeRecord as SpikeRecord
    from spikeport.hw.records.stimulus import encode as encode
    from spikeport.stages.foreign import deploy as deploy

__version__ = "0.1.0"

_HOME = {
    "FloatNetwork": "spikeport.export.model.network",
    "InputError": "spikeport.export.common.errors",
    "QuantizedNetwork": "spikeport.export.model.network",
    "SpikeRecord": "spikeport.hw.records.record",
    "Verification": "spikeport.hw.backends.verify",
    "backend": "spikeport.hw.backends.simulate",
    "check_network": "spikeport.hw.mapping.check",
    "deploy": "spikeport.stages.foreign",
    "encode": "spikeport.hw.records.stimulus",
    "estimate_cost": "spikeport.analysis.cost.estimate",
    "fisher_information": "spikeport.analysis.information.fisher",
    "from_snntorch": "spikeport.export.modules.snntorch",
    "from_spikingjelly": "spikeport.export.modules.spikingjelly",
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
