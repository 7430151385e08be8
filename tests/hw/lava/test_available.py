"""Lava can be loaded after others have used multiprocessing, and its absence is told in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from spikeport.cli import main
from spikeport.export.common.errors import InputError
from spikeport.hw.backends import simulate
from spikeport.hw.lava import available


@pytest.mark.lava
def test_lava_loads_after_a_lock_was_made():
    pytest.importorskip("lava")
    code = "import multiprocessing; multiprocessing.RLock(); from spikeport.hw.lava.available import require_lava; require_lava()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_newer_pythons_are_told_what_to_do(monkeypatch):
    monkeypatch.setattr(available.sys, "version_info", (3, 12, 1))
    with pytest.raises(InputError, match=r"does not import on Python 3\.12; run on Python 3\.10"):
        available.require_lava()


def test_a_run_that_cannot_be_verified_does_not_begin(monkeypatch, tmp_path, capsys):
    def refuse():
        raise InputError("Lava is not here")

    monkeypatch.setattr(simulate, "require_lava", refuse)
    assert main(["run", "--out", str(tmp_path / "run"), "--backends", "engine,lava"]) == 2
    assert capsys.readouterr().err == "spikeport run: Lava is not here\n"
    assert not (tmp_path / "run").exists()
