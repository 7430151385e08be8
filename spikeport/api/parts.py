"""Parts of one's own: a surrogate, a loss, a method with its neurons, a data set, known by a name
in Python and on the command line.

A file of them (`--plugin my_parts.py`, docs/own-parts.md) imports spikeport and calls these
functions; so does a package that has an entry point of the group `spikeport.parts`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, MutableMapping
from importlib.metadata import EntryPoint
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, TypeVar

import torch

from spikeport.export.common.errors import InputError
from spikeport.export.common.guard import as_path, check_regular, reason
from spikeport.train.data.dataset import Dataset, Splits
from spikeport.train.data.formats.event_bins import EventBins
from spikeport.train.data.registry import DATASETS
from spikeport.train.neurons.surrogates import SURROGATES
from spikeport.train.settings.config import DATA_DEFAULTS, TrainConfig
from spikeport.train.settings.methods import METHODS, Method
from spikeport.train.settings.named_losses import PLAIN, LossFunction, loss_named

Part = TypeVar("Part")
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
PLUGIN_MAX = 1 << 24
"""Bytes of a plugin's file."""


def add_surrogate(name: str, derivative: Callable[[torch.Tensor, float], torch.Tensor]) -> None:
    """A surrogate derivative, from now on a `kind` of `[train.neuron.surrogate]`.

    derivative: of (x, width), x the potentials less the threshold, a tensor that it may overwrite;
    gives ds/dx of the same shape. It runs in PyTorch on every accelerator; only the surrogates that
    ship have fused kernels.

    Raises:
        InputError: the name is taken, or no name.
    """
    _add(SURROGATES, "surrogate", name, derivative)


def add_loss(name: str, loss: LossFunction) -> None:
    """A loss, from now on known to `--loss`.

    loss: of (output, labels, neuron): the readout's output `(T, N, classes)`, labels int64 `(N,)`,
    the neurons' configuration; a scalar, the mean over the batch where `accumulate` is to mean
    what it says.

    Raises:
        InputError: the name is taken, or no name.
    """
    _add(PLAIN, "loss", name, loss)


def add_method(name: str, method: Method) -> None:
    """A training method, which brings neurons of your own (`NeuronConfig`) or other settings, from
    now on known to `--method`.

    Raises:
        InputError: the name is taken, or no name, or its loss is unknown.
    """
    try:
        loss_named(method.loss)
    except InputError as error:
        raise InputError(f"method {name}: {error}, or add one first with sp.add_loss") from None
    _add(METHODS, "method", name, method)


def add_data(name: str, loader: Callable[[Path | None, int, int], Dataset], **defaults: Any) -> None:
    """A data set, from now on known to `--data`.

    loader: of (folder from `--data-dir` or None, seed of splits, timesteps); gives what
    `sp.dataset` makes. defaults: fields of `TrainConfig` that suit it, such as `arch="100",
    epochs=20`.

    Raises:
        InputError: the name is taken, or no name, or defaults out of range.
    """

    def load(asked: str, folder: Path | None, splits: Splits, timesteps: int, bins: EventBins) -> Dataset:
        splits.refuse_own_number(asked)
        return loader(folder, splits.seed, timesteps).named(asked)

    usual = TrainConfig(**{"data": name, "arch": "100", "epochs": 20, **defaults})
    _add(DATASETS, "data set", name, load)
    DATA_DEFAULTS[name] = usual


def load_plugin(path: str | Path) -> None:
    """Run a file of parts, once; it is Python and may do anything that you may.

    Raises:
        InputError: no such file, or it fails; the message has its own reason and line.
    """
    place = as_path(path).resolve()
    check_regular(place, PLUGIN_MAX)
    name = f"spikeport_plugin_{place.stem}"
    if getattr(sys.modules.get(name), "__file__", None) == str(place):
        return
    spec = spec_from_file_location(name, place)
    if spec is None or spec.loader is None:
        raise InputError(f"--plugin {path} is no Python file; name one that ends in .py")
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InputError(f"--plugin {path} fails{_line(error, str(place))}: {reason(error)}; mend it, or leave it out") from error


def load_installed(entries: Iterable[EntryPoint]) -> None:
    """Parts of installed packages; one that cannot be imported is an InputError that names it."""
    for entry in entries:
        try:
            entry.load()
        except Exception as error:
            raise InputError(
                f"the installed parts {entry.name} ({entry.value}) fail: {reason(error)}; mend or remove the package"
            ) from error


def _add(registry: MutableMapping[str, Part], kind: str, name: str, part: Part) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InputError(f"{kind} {name!r} is no name; take small letters, digits, and - _ . between them")
    if name in registry:
        raise InputError(f"{kind} {name!r} is known already; choose another name")
    registry[name] = part


def _line(error: BaseException, place: str) -> str:
    """Where in the file it failed, in words; "" where that is not known."""
    trace, line = error.__traceback__, getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    while trace:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == place else line
        trace = trace.tb_next
    return f" in line {line}" if line else ""
