"""Where the module of a command is; each has `add_arguments`, `execute` and `EXAMPLES`."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

TRAINING = ("train", "prune", "sweep", "baseline")
"""Those in the room `training`."""


def command_module(name: str) -> ModuleType:
    """The module of a command."""
    room = "training." if name in TRAINING else ""
    return import_module(f"spikeport.commands.{room}{name}")
