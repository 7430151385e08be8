"""Train the same network without spikes, in int8 and with as many bits as its timesteps tell apart:
what the spiking one is compared with.

Same data, architecture, epochs and settings; activations and weights are rounded in training (8-bit
weights). The report, made again, shows the accuracy beside the energy. One pass takes the place of
T timesteps, so each training takes about 1 / T of the spiking one's time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from spikeport.analysis.common.numbers import percent
from spikeport.commands.parts.options import add_data, add_force, add_json, emit, output_file, progress_bar, table
from spikeport.export.common.errors import InputError
from spikeport.stages.baseline import BASELINE_FROM, baseline_stage
from spikeport.stages.folder.bound import bound
from spikeport.stages.folder.claims import held
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.trained import TrainedSession

EXAMPLES = """examples:
  spikeport baseline runs/digits && spikeport report runs/digits
  spikeport baseline runs/mnist --bits 8,4,2 --json
"""
BITS_MAX = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport baseline`."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="a training directory")
    parser.add_argument("--bits", default="", metavar="B,B", help="of activations; default 8, and ceil(log2(T + 1)) for T and T'")
    parser.add_argument("--out", type=output_file, metavar="baseline.json", help="default DIR/baseline.json, which the report shows")
    add_force(parser, "what another network or program left at --out")
    add_data(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Train, test, and print one row for each."""
    bits = _bits(arguments.bits)
    out = arguments.out or Workspace(arguments.directory).baseline
    with held(out.parent):
        session = TrainedSession.opened(arguments.directory, arguments.data_dir, progress_bar)
        result = baseline_stage(session, out, bits=bits, force=arguments.force)
    rows = [(f"{n.bits}-bit activations", n.epoch, percent(n.validation), percent(n.test)) for n in result.networks]
    spiking = session.trained.metrics
    float_row = ("spiking, float", spiking.get("epoch", "-"), *(_last(spiking, f"{name}_accuracy") for name in ("validation", "test")))
    head = ("network", "best epoch", "validation", f"test ({result.samples:,} samples)")
    emit(arguments, bound(result, session.made_of(*BASELINE_FROM)), table([*rows, float_row], head), session.notes)
    return 0


def _last(metrics, key: str) -> str:
    return percent(metrics[key][-1]) if metrics.get(key) else "-"


def _bits(text: str) -> tuple[int, ...]:
    try:
        bits = tuple(dict.fromkeys(int(part) for part in text.split(",") if part.strip()))
    except ValueError:
        bits = (0,)
    if any(not 1 <= b <= BITS_MAX for b in bits):
        raise InputError(f"--bits {text!r} should be numbers from 1 to {BITS_MAX}, such as 8,3")
    return bits
