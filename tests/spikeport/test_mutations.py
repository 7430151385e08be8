"""Damaged and hostile files of every kind that is read: one line, never a traceback, a hang or
memory without end.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.files.fuzzed_readers import damage_and_read, prepare
from support.places import TESTS

FILES, WORKERS, PATIENCE = 3000, 2, 300.0
"""Of the long run; processes; seconds after which a file counts as a hang, on a machine with other
work.
"""
LIMIT, MEMORY = 12 << 30, 3000
"""Address space of a worker, most of it never touched, in bytes; and what it may really use, in MB.
"""
QUICK = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("in-order")
    prepare(place)
    return place


def test_a_few_damaged_files(folder):
    outcomes = [damage_and_read(folder, seed, whole_runs=False) for seed in range(QUICK)]
    assert not [outcome for outcome in outcomes if outcome.wrong]
    refused = sum(bool(outcome.said) for outcome in outcomes)
    assert QUICK / 3 < refused < QUICK  # some damage is none: noise in a picture


@pytest.mark.slow
def test_three_thousand_damaged_files(folder, tmp_path):
    with ThreadPoolExecutor(WORKERS) as pool:
        share = FILES // WORKERS
        lines = [line for part in pool.map(lambda k: _worker(folder, k * share, share), range(WORKERS)) for line in part]
    peaks = [line["megabytes"] for line in lines if "megabytes" in line]
    outcomes = [line for line in lines if "megabytes" not in line]
    assert len(outcomes) == FILES and len(peaks) == WORKERS
    assert not [outcome for outcome in outcomes if outcome["wrong"]]
    assert max(outcome["seconds"] for outcome in outcomes) < PATIENCE
    assert max(peak[who] for peak in peaks for who in peak) < MEMORY
    print(Counter(outcome["name"] for outcome in outcomes), peaks)


def _worker(folder: Path, first: int, count: int) -> list[dict]:
    """What a process of its own says of so many files; `spikeport` is imported ahead of the tests'
    folder of that name.
    """
    code = f"import sys, spikeport; sys.path.append({str(TESTS)!r}); from pathlib import Path; from support.files.fuzzed_readers import main_loop"
    own = folder.parent / f"worker-{first}"
    command = f"import shutil; shutil.copytree({str(folder)!r}, {str(own)!r}); main_loop(Path({str(own)!r}), {first}, {count}, {LIMIT})"
    said = subprocess.run([sys.executable, "-c", f"{code}; {command}"], capture_output=True, text=True, timeout=count * 20, check=False)
    assert said.returncode == 0, said.stderr[-2000:]
    return [json.loads(line) for line in said.stdout.splitlines()]
