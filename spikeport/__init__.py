"""spikeport: take a spiking neural network from PyTorch to neuromorphic hardware, with proof.

The public API; everything is loaded on first use, so importing the package costs nothing.
"""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what `_HOME` loads, for editors and type checkers
    from spikeport.analysis.cost.devices import Device as Device
    from spikeport.analysis.cost.estimate import estimate_cost as estimate_cost
    from spikeport.analysis.cost.result import Cost as Cost
    from spikeport.analysis.cost.tables import cost_tables as cost_tables
    from spikeport.analysis.decision.timestep_cut import Truncation as Truncation
    from spikeport.analysis.decision.timestep_cut import truncate as truncate
    from spikeport.analysis.information.fisher import FisherResult as FisherResult
    from spikeport.analysis.information.fisher import fisher_information as fisher_information
    from spikeport.analysis.results.report import Report as Report
    from spikeport.api.data import dataset as dataset
    from spikeport.api.data import load_data as load_data
    from spikeport.api.parts import add_data as add_data
    from spikeport.api.parts import add_loss as add_loss
    from spikeport.api.parts import add_method as add_method
    from spikeport.api.parts import add_surrogate as add_surrogate
    from spikeport.api.running import device as device
    from spikeport.api.running import read_report as read_report
    from spikeport.api.running import report as report
    from spikeport.api.running import simulate as simulate
    from spikeport.api.training import build as build
    from spikeport.api.training import lower as lower
    from spikeport.api.training import train as train
    from spikeport.export.common.errors import BackendError as BackendError
    from spikeport.export.common.errors import InputError as InputError
    from spikeport.export.floating.simulate import simulate_float as simulate_float
    from spikeport.export.model.input import Input as Input
    from spikeport.export.model.network import FloatNetwork as FloatNetwork
    from spikeport.export.model.network import Population as Population
    from spikeport.export.model.network import QuantizedNetwork as QuantizedNetwork
    from spikeport.export.model.neuron import FloatNeuron as FloatNeuron
    from spikeport.export.model.neuron import IntegerNeuron as IntegerNeuron
    from spikeport.export.model.synapse import Connection as Connection
    from spikeport.export.model.synapse import Conv as Conv
    from spikeport.export.model.synapse import Dense as Dense
    from spikeport.export.model.synapse import Elementwise as Elementwise
    from spikeport.export.model.synapse import Pool as Pool
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
    from spikeport.hw.lava.available import require_lava as require_lava
    from spikeport.hw.lava.program import lava_processes as lava_processes
    from spikeport.hw.mapping.check import check_network as check_network
    from spikeport.hw.records.record import SpikeRecord as SpikeRecord
    from spikeport.hw.records.record import accuracy_over_time as accuracy_over_time
    from spikeport.hw.records.record import correct_over_time as correct_over_time
    from spikeport.hw.records.stimulus import encode as encode
    from spikeport.stages.foreign import deploy as deploy
    from spikeport.train.data.dataset import Dataset as Dataset
    from spikeport.train.data.dataset import Split as Split
    from spikeport.train.data.dataset import Task as Task
    from spikeport.train.loop.checkpoint import Trained as Trained
    from spikeport.train.loop.evaluation import evaluate as evaluate
    from spikeport.train.loop.masks import prune as prune
    from spikeport.train.network.architecture import Architecture as Architecture
    from spikeport.train.network.architecture import AveragePool as AveragePool
    from spikeport.train.network.architecture import ConvLayer as ConvLayer
    from spikeport.train.network.architecture import DenseLayer as DenseLayer
    from spikeport.train.network.architecture import MaxPool as MaxPool
    from spikeport.train.network.architecture import Skip as Skip
    from spikeport.train.network.spiking import SpikingNetwork as SpikingNetwork
    from spikeport.train.network.topology import Projection as Projection
    from spikeport.train.network.topology import Stage as Stage
    from spikeport.train.neurons.base import LoweredNeuron as LoweredNeuron
    from spikeport.train.neurons.base import Neuron as Neuron
    from spikeport.train.neurons.base import NeuronConfig as NeuronConfig
    from spikeport.train.neurons.surrogates import Surrogate as Surrogate
    from spikeport.train.settings.config import TrainConfig as TrainConfig
    from spikeport.train.settings.methods import Method as Method

__version__ = "0.1.0"

_HOME = {
    "Architecture": "spikeport.train.network.architecture",
    "AveragePool": "spikeport.train.network.architecture",
    "BackendError": "spikeport.export.common.errors",
    "Connection": "spikeport.export.model.synapse",
    "Conv": "spikeport.export.model.synapse",
    "ConvLayer": "spikeport.train.network.architecture",
    "Cost": "spikeport.analysis.cost.result",
    "Dataset": "spikeport.train.data.dataset",
    "Dense": "spikeport.export.model.synapse",
    "DenseLayer": "spikeport.train.network.architecture",
    "Device": "spikeport.analysis.cost.devices",
    "Elementwise": "spikeport.export.model.synapse",
    "FisherResult": "spikeport.analysis.information.fisher",
    "FloatNetwork": "spikeport.export.model.network",
    "FloatNeuron": "spikeport.export.model.neuron",
    "Input": "spikeport.export.model.input",
    "InputError": "spikeport.export.common.errors",
    "IntegerNeuron": "spikeport.export.model.neuron",
    "LoweredNeuron": "spikeport.train.neurons.base",
    "MaxPool": "spikeport.train.network.architecture",
    "Method": "spikeport.train.settings.methods",
    "Neuron": "spikeport.train.neurons.base",
    "NeuronConfig": "spikeport.train.neurons.base",
    "Pool": "spikeport.export.model.synapse",
    "Population": "spikeport.export.model.network",
    "Projection": "spikeport.train.network.topology",
    "QuantizedNetwork": "spikeport.export.model.network",
    "Report": "spikeport.analysis.results.report",
    "Skip": "spikeport.train.network.architecture",
    "SpikeRecord": "spikeport.hw.records.record",
    "SpikingNetwork": "spikeport.train.network.spiking",
    "Split": "spikeport.train.data.dataset",
    "Stage": "spikeport.train.network.topology",
    "Surrogate": "spikeport.train.neurons.surrogates",
    "Task": "spikeport.train.data.dataset",
    "TrainConfig": "spikeport.train.settings.config",
    "Trained": "spikeport.train.loop.checkpoint",
    "Truncation": "spikeport.analysis.decision.timestep_cut",
    "Verification": "spikeport.hw.backends.verify",
    "accuracy_over_time": "spikeport.hw.records.record",
    "add_data": "spikeport.api.parts",
    "add_loss": "spikeport.api.parts",
    "add_method": "spikeport.api.parts",
    "add_surrogate": "spikeport.api.parts",
    "backend": "spikeport.hw.backends.simulate",
    "build": "spikeport.api.training",
    "check_network": "spikeport.hw.mapping.check",
    "cost_tables": "spikeport.analysis.cost.tables",
    "correct_over_time": "spikeport.hw.records.record",
    "dataset": "spikeport.api.data",
    "deploy": "spikeport.stages.foreign",
    "device": "spikeport.api.running",
    "encode": "spikeport.hw.records.stimulus",
    "estimate_cost": "spikeport.analysis.cost.estimate",
    "evaluate": "spikeport.train.loop.evaluation",
    "fisher_information": "spikeport.analysis.information.fisher",
    "from_snntorch": "spikeport.export.modules.snntorch",
    "from_spikingjelly": "spikeport.export.modules.spikingjelly",
    "import_nir": "spikeport.export.nir.foreign.importer",
    "lava_processes": "spikeport.hw.lava.program",
    "load_data": "spikeport.api.data",
    "lower": "spikeport.api.training",
    "prune": "spikeport.train.loop.masks",
    "quantize": "spikeport.export.quantization.quantize",
    "read_netx": "spikeport.export.netx.file",
    "read_nir": "spikeport.export.nir.file",
    "read_report": "spikeport.api.running",
    "report": "spikeport.api.running",
    "require_lava": "spikeport.hw.lava.available",
    "simulate": "spikeport.api.running",
    "simulate_float": "spikeport.export.floating.simulate",
    "train": "spikeport.api.training",
    "truncate": "spikeport.analysis.decision.timestep_cut",
    "verify": "spikeport.hw.backends.verify",
    "write_float_onnx": "spikeport.export.onnx.float_graph",
    "write_netx": "spikeport.export.netx.file",
    "write_nir": "spikeport.export.nir.file",
    "write_onnx": "spikeport.export.onnx.graph",
}
__all__ = list(_HOME)


class _Training(ModuleType):
    """The folder `spikeport.train`, which is also the function `train` of `spikeport.api.training`."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return import_module(_HOME["train"]).train(*arguments, **options)


class _Package(ModuleType):
    """This package; the import system sets the folder `train` in the function's place, so the
    folder learns to be called.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "train":
            value.__class__ = _Training
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name == "train":
        return import_module("spikeport.train")
    if name not in _HOME:
        raise AttributeError(f"module 'spikeport' has no attribute {name!r}{_nearest(name)}")
    return getattr(import_module(_HOME[name]), name)


def _nearest(name: str) -> str:
    near = get_close_matches(name, __all__, 1)
    return f"; did you mean {near[0]}?" if near else ""


def __dir__() -> list[str]:
    return __all__
