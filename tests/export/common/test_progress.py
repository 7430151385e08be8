"""What long commands say about where they are: a bar in a terminal, a line per stage elsewhere."""

from __future__ import annotations

import io

import pytest

from spikeport.cli import main
from spikeport.export.common.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("shown", [True, False])
def test_a_bar_in_a_terminal_and_a_line_elsewhere(monkeypatch, shown):
    for screen in (Terminal(), io.StringIO()):
        monkeypatch.setattr("sys.stderr", screen)
        with progress_bar(1300, "verify", leave=True, shown=shown) as bar:
            said = screen.getvalue()
            bar.update(1300)
        if not shown:
            assert screen.getvalue() == ""
        elif screen.isatty():
            assert "verify:" in said and "1300/1300" in screen.getvalue()
        else:
            assert said == screen.getvalue() == "verify: 1,300 samples\n"


def test_run_names_every_stage(tmp_path, capsys):
    out = tmp_path / "demo"
    run = [
        "run",
        "--arch",
        "4C3-P2-8",
        "--epochs",
        "2",
        "--timesteps",
        "2",
        "--verify-samples",
        "4",
        "--backends",
        "engine",
        "--out",
        str(out),
    ]
    assert main([*run, "--json"]) == 0
    stages = [line.split(":")[0] for line in capsys.readouterr().err.splitlines()]
    for stage in ("training demo", "quantize", "Fisher information", "engine, validation", "engine, test", "verify on engine"):
        assert stages.count(stage) == 1
    assert main([*run[:3], "--epochs", "2", *run[5:]]) == 0
    assert "training demo" not in capsys.readouterr().err  # finished before
