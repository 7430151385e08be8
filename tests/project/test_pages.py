"""Whoever follows the documentation gets where it says: every command is understood, every Python
block runs.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from support.pages.page_blocks import PAGES, blocks, commands_of, furnish, named, python_of
from support.places import ROOT

from spikeport.api.parts import load_plugin
from spikeport.cli import COMMANDS, PARTS, command_parser, main
from spikeport.commands.parts.modules import command_module

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLLOWED = {
    "docs/data.md": (),
    "docs/first-steps.md": (),
    "docs/interop.md": ("simulate net.nir --backend torch --from snntorch --input x.npy --out theirs.npz",),
    "docs/own-parts.md": (),
    "docs/quantization.md": ("train --data digits --arch 6C3-P4 --timesteps 2 --epochs 2 --out runs/digits",),
    "docs/tensorboard.md": (),
    "docs/tic.md": (),
    "docs/tutorials/methods.md": (),
}
"""Pages whose commands are run as they stand, after what they take as given."""
PARSED = {
    "README.md": "one line for each command, on files and on MNIST that the reader has; the stages are run in docs/first-steps.md",
    "docs/comparison.md": "compares runs of the reader; docs/tutorials/methods.md does it from the beginning",
    "docs/configuration.md": "trains on MNIST",
    "docs/lava.md": "MNIST, all of it through Lava: an hour",
    "docs/results.md": "the runs behind the tables, hours",
    "docs/scale.md": "many processes and large files; their like runs in tests/spikeport/cluster and tests/spikeport/test_large_input.py",
    "docs/tic-experiments.md": "the runs behind the figures, hours",
    "examples/zoo/README.md": "samples of the reader",
}
"""Pages whose commands are parsed and no more, and why."""
SHOWN = {"text", "toml"}
"""Languages of blocks that are no commands: what is printed, and settings, which have a test of
their own.
"""
PRELUDES = {
    "README.md": "",
    "docs/lava.md": """
import numpy as np
from types import SimpleNamespace
import spikeport as sp
sp.require_lava()
from lava.magma.core.run_conditions import RunSteps
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
shape = (1, 8, 8)
np.save("x.npy", np.random.default_rng(0).random((2, *shape)))
camera = Source(data=np.zeros((*shape, 4), np.int32))
motor = SimpleNamespace(s_in=Sink(shape=(10,), buffer=1000).a_in)
""",
    "docs/live-modules.md": """
import snntorch as snn
import torch
from torch import nn
net = nn.Sequential(nn.Linear(6, 4), snn.Leaky(beta=0.9, init_hidden=True, output=True))
sample = torch.rand(2, 6)
calibration_images = torch.rand(20, 6).numpy()
""",
}
"""What the Python of a page takes as given: a network, data, a camera and a motor."""
NEEDS = {"docs/lava.md": "lava", "README.md": "lava", "docs/tutorials/lava-program.md": "lava", "docs/live-modules.md": "snntorch"}
NEEDS["docs/tutorials/snntorch.md"] = "snntorch"
ON_A_CHIP = "from lava.magma.core.run_configs import Loihi2HwCfg"
"""Where the part of docs/lava.md begins that only a chip can run."""


@pytest.fixture(scope="module", autouse=True)
def own_parts():
    """docs/own-parts.md names them."""
    load_plugin(ROOT / "examples" / "my_parts.py")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    furnish(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if commands_of(page)], ids=named)
def test_every_command_is_understood(page):
    for line in commands_of(page):
        name, *words = shlex.split(line.split(" && ")[0].split(" > ")[0].split(" >> ")[0])[1:]
        if name.startswith("-"):
            continue
        assert name in COMMANDS, line
        if "--help" not in words:
            command_parser(command_module(name), name).parse_args(words)


def test_no_block_is_left_out_without_a_reason():
    """Commands run or say why not; a block of output hides no command; Python runs on every page."""
    assert {named(page) for page in PAGES if commands_of(page)} == {*FOLLOWED, *PARSED} and not {*FOLLOWED} & {*PARSED}
    for page in PAGES:
        for language, text in blocks(page):
            assert language in {"", "bash", "python", *SHOWN}, f"{named(page)}: {language}"
            assert language not in SHOWN or not re.search(r"^spikeport ", text, re.MULTILINE), f"{named(page)}: {text}"


def test_settings_on_a_page_are_settings(tmp_path, capsys):
    """TOML: a configuration that `train` takes, or the entry points that spikeport looks for."""
    found = [text for page in PAGES for language, text in blocks(page) if language == "toml"]
    assert found
    for text in found:
        table = tomllib.loads(text)
        if "train" in table:
            (tmp_path / "c.toml").write_text(text, encoding="utf-8")
            assert main(["train", "--config", str(tmp_path / "c.toml"), "--print-config", "--out", str(tmp_path / "r")]) == 0
            shown = tomllib.loads(capsys.readouterr().out)
            assert all(table["train"][name] == shown["train"][name] for name in table["train"] if name != "events")
            assert table["train"].get("events", {}).items() <= shown["train"]["events"].items()
        else:
            assert list(table["project"]["entry-points"]) == [PARTS]


def test_what_a_page_installs_can_be_installed():
    """Extras that it names are there."""
    there = set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"])
    for page in PAGES:
        for extras in re.findall(r"(?:'\.|spikeport)\[([\w,]+)\]'", page.read_text(encoding="utf-8")):
            assert set(extras.split(",")) <= there, f"{named(page)}: {extras}"


@pytest.mark.slow
@pytest.mark.parametrize("page", FOLLOWED)
def test_commands_of_a_page_run(page, place, capfd):
    for line in FOLLOWED[page]:
        assert main(line.split()) == 0
    for line in commands_of(ROOT / page):
        status = main(shlex.split(line)[1:])
        assert status == 0, f"{line}: {capfd.readouterr().err}"


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if python_of(page)], ids=named)
def test_the_python_of_a_page_runs(page, place):
    name = named(page)
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    script = PRELUDES.get(name, "") + python_of(page).partition(ON_A_CHIP)[0]
    Path("page.py").write_text(script, encoding="utf-8")
    told = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    with Path("said").open("w+", encoding="utf-8") as said:
        ran = subprocess.Popen([sys.executable, "page.py"], cwd=place, env=told, stdout=said, stderr=said, start_new_session=True)
        try:
            status = ran.wait(timeout=300)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(ran.pid, signal.SIGKILL)  # Lava's processes, where a page forgot to stop them
    assert status == 0, Path("said").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_watched_training_shows_every_layer(place):
    """docs/tensorboard.md, as TensorBoard reads it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    Path("page.py").write_text(python_of(ROOT / "docs" / "tensorboard.md"), encoding="utf-8")
    subprocess.run([sys.executable, "page.py"], check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    seen = EventAccumulator("runs/watched-layers").Reload()
    scalars, histograms = (set(seen.Tags()[kind]) for kind in ("scalars", "histograms"))
    layers = {name.removeprefix("rate/") for name in scalars if name.startswith("rate/")}
    assert len(layers) == 2
    assert {f"threshold/{layer}" for layer in layers} | {"information/centroid", "information/after step 4"} <= scalars
    assert {f"potential/{layer}" for layer in layers} <= histograms and sum(n.startswith("weights/") for n in histograms) == 3
    for name in scalars:
        assert [event.step for event in seen.Scalars(name)] == [1, 2, 3]


def test_private_modules_are_nobodys_business():
    """A page for users imports `spikeport` and no more; docs/lava.md speaks of the Lava backend's
    own options.
    """
    for page in PAGES:
        private = [line for line in python_of(page).splitlines() if line.startswith(("from spikeport.", "import spikeport."))]
        assert named(page) == "docs/lava.md" or not private, f"{named(page)}: {private}"
