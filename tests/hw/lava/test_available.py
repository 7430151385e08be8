"""Lava can be loaded after others have used multiprocessing, and its absence is told in one line."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
from support.networks.random_networks import random_network, random_stimulus

from spikeport.cli import main
from spikeport.export.common.errors import InputError
from spikeport.hw.backends import simulate
from spikeport.hw.lava import available, backend
from spikeport.hw.semantics import reference


@pytest.mark.lava
def test_lava_loads_after_a_lock_was_made():
    pytest.importorskip("lava")
    code = "import multiprocessing; multiprocessing.RLock(); from spikeport.hw.lava.available import require_lava; require_lava()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("version, how", [((3, 10, 13), "numpy<2"), ((3, 12, 1), "--ignore-requires-python --no-deps lava-nc==0.10.0")])
def test_who_has_no_lava_is_told_the_command_that_installs_it(monkeypatch, version, how):
    def missing(name):
        raise ModuleNotFoundError("No module named 'lava'")

    monkeypatch.setattr(available.sys, "version_info", version)
    monkeypatch.setattr(available.importlib, "import_module", missing)
    with pytest.raises(InputError, match=f"cannot be imported .*pip install .*{how}"):
        available.require_lava()


def test_instances_as_defaults_are_made_anew_for_each_object():
    """As Lava's module has them, which Python 3.11 and newer refuse; afterwards all is as before."""
    original = dataclasses.dataclass

    @dataclasses.dataclass
    class Inner:
        n: int = 0

    with available._defaults_made_anew():

        @dataclasses.dataclass
        class Outer:
            inner: Inner = Inner()  # noqa: RUF009

        @dataclasses.dataclass(frozen=True)
        class Frozen:
            inner: Inner = Inner(3)  # noqa: RUF009

    a, b = Outer(), Outer()
    a.inner.n = 1
    assert b.inner.n == 0 and Frozen().inner.n == 3
    assert dataclasses.dataclass is original


@pytest.mark.lava
@pytest.mark.skipif(sys.version_info < (3, 11), reason="Lava imports as it is on Python 3.10")
def test_lava_runs_on_newer_pythons():
    """Real processes, LIF and Dense, with numpy 2 where that is there."""
    pytest.importorskip("lava", reason="lava-nc is not installed")
    network = random_network(4, noise=False)
    x = random_stimulus(4, network)
    expected, actual = (run(network, x, "spikes") for run in (reference.run, backend.run))
    assert (expected.output == actual.output).all()


def test_a_run_that_cannot_be_verified_does_not_begin(monkeypatch, tmp_path, capsys):
    def refuse():
        raise InputError("Lava is not here")

    monkeypatch.setattr(simulate, "require_lava", refuse)
    assert main(["run", "--out", str(tmp_path / "run"), "--backends", "engine,lava"]) == 2
    assert capsys.readouterr().err == "spikeport run: Lava is not here\n"
    assert not (tmp_path / "run").exists()
