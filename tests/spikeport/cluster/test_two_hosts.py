"""Two hosts: network namespaces of this machine, each with an interface of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.networks.random_networks import random_network, random_stimulus

from spikeport.export.nir.file import write_nir

pytest.importorskip("distributed", reason="needs the extra: pip install 'spikeport[scale]'")
pytestmark = pytest.mark.slow
HOSTS = {"spikeport-a": "10.77.0.1", "spikeport-b": "10.77.0.2"}
ADDRESS = "tcp://10.77.0.1:8786"
SAMPLES = 4000


def ip(*words: str) -> None:
    """A command of iproute2."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def hosts():
    first, second = HOSTS
    try:
        for name in HOSTS:
            ip("netns", "add", name)
        ip("link", "add", "spk-a", "netns", first, "type", "veth", "peer", "name", "spk-b", "netns", second)
        for (name, address), link in zip(HOSTS.items(), ("spk-a", "spk-b")):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", link)
            ip("-n", name, "link", "set", link, "up")
            ip("-n", name, "link", "set", "lo", "up")
    except (OSError, subprocess.CalledProcessError) as error:
        remove()
        pytest.skip(f"network namespaces cannot be made here: {getattr(error, 'stderr', None) or error}")
    yield HOSTS
    remove()


def remove() -> None:
    """The namespaces, and the link between them with the first."""
    for name in HOSTS:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def at(host: str, *words: str, **options) -> subprocess.Popen:
    """Start a command of Python on a host."""
    return subprocess.Popen(["ip", "netns", "exec", host, sys.executable, "-m", *words], **options)


def test_two_hosts_give_one_result_also_when_one_is_lost(hosts, tmp_path: Path):
    network = random_network(3)
    write_nir(network, tmp_path / "network.nir")
    np.save(tmp_path / "x.npy", random_stimulus(3, network, SAMPLES).over_time())
    first, second = hosts
    simulate = ["spikeport", "simulate", str(tmp_path / "network.nir"), "--input", str(tmp_path / "x.npy"), "--record", "all"]
    subprocess.run([sys.executable, "-m", *simulate, "--out", str(tmp_path / "one.npz")], check=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    worker = ("distributed.cli.dask_worker", ADDRESS, "--nthreads", "1", "--no-nanny", "--no-dashboard")
    running = [
        at(first, "distributed.cli.dask_scheduler", "--host", hosts[first], "--port", "8786", "--no-dashboard", **quiet),
        at(first, *worker, "--host", hosts[first], **quiet),
        at(second, *worker, "--host", hosts[second], **quiet),
    ]
    try:
        ready = f"import distributed; distributed.Client('{ADDRESS}', timeout=120).wait_for_workers(2, timeout=120)"
        subprocess.run(["ip", "netns", "exec", second, sys.executable, "-c", ready], check=True, **quiet)
        for out, lost in (("two.npz", False), ("lost.npz", True)):
            with at(second, *simulate, "--scheduler", ADDRESS, "--out", str(tmp_path / out), stderr=subprocess.PIPE, text=True) as asked:
                said = iter(asked.stderr)
                assert "2 at a time" in next(said) and "engine" in next(said)  # shards are on their way
                if lost:
                    running[1].kill()
                assert asked.wait(300) == 0, "".join(said)
    finally:
        for process in running:
            process.kill()
            process.wait()
    with np.load(tmp_path / "one.npz") as one:
        for name in ("two.npz", "lost.npz"):
            with np.load(tmp_path / name) as other:
                assert one.files == other.files and all(np.array_equal(one[key], other[key]) for key in one.files)
