"""Networks of other frameworks through the command line: what is taken, told, refused and proven."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import nir
import numpy as np
import pytest

from spikeport.cli import main
from spikeport.export.nir.file import read_nir

STEPS, DT = 40, 1e-4
STATED = ["--dt", "1e-4", "--integrator", "euler", "--reset", "zero"]


def write(path: Path, tau: float = 10 * DT, threshold: float = 1.0) -> str:
    """Input(4) -> Linear -> LIF(6) -> Linear -> LIF(3), seeded."""
    rng = np.random.default_rng(0)

    def lif(n: int) -> nir.LIF:
        full = lambda value: np.full(n, value)  # noqa: E731
        return nir.LIF(full(tau), full(tau / DT), full(0.0), full(threshold), full(0.0))

    nodes = {"w": nir.Linear(rng.normal(0.4, 0.4, (6, 4))), "a": lif(6), "v": nir.Linear(rng.normal(0.3, 0.4, (3, 6))), "b": lif(3)}
    ends = {"input": nir.Input(np.array((4,))), "output": nir.Output(np.array((3,)))}
    chain = ["input", *nodes, "output"]
    nir.write(path, nir.NIRGraph({**nodes, **ends}, list(itertools.pairwise(chain))))
    return str(path)


@pytest.fixture
def x(tmp_path) -> str:
    np.save(tmp_path / "x.npy", (np.random.default_rng(1).random((5, STEPS, 4)) < 0.5).astype(np.float32))
    return str(tmp_path / "x.npy")


def snntorch_alike(x: str) -> dict[str, np.ndarray]:
    """What the network does under snnTorch's default reset: the threshold subtracted one step
    later, undecayed; float64.
    """
    rng, beta = np.random.default_rng(0), 0.9
    w, v = rng.normal(0.4, 0.4, (6, 4)), rng.normal(0.3, 0.4, (3, 6))
    inputs = np.load(x)
    ma, mb = np.zeros((5, 6)), np.zeros((5, 3))
    hidden, output = [], []
    for t in range(STEPS):
        ma = beta * ma + inputs[:, t] @ w.T - (ma > 1)
        mb = beta * mb + (ma > 1) @ v.T - (mb > 1)
        hidden.append(ma > 1)
        output.append((mb > 1).astype(np.int32))
    return {"output": np.stack(output, 1), "spikes/a": np.stack(hidden, 1)}


def test_from_snntorch_alone_is_its_default_and_expect_proves_it(tmp_path, x, capsys):
    net, record = write(tmp_path / "n.nir"), snntorch_alike(x)
    np.savez(tmp_path / "theirs.npz", **record)
    command = ["verify", net, "--from", "snntorch", "--input", x, "--expect"]
    assert main([*command, str(tmp_path / "theirs.npz")]) == 0
    said = capsys.readouterr()
    assert "all 600 bins equal" in said.out and "all 1,200 bins equal" in said.out
    assert "reset subtract one step late (reset_delay=True)" in said.err and "not in a file of snntorch: reset_mechanism" in said.err
    assert main([*command[:-1], "--no-reset-delay", "--json", "--expect", str(tmp_path / "theirs.npz")]) == 1, "options override"
    assert json.loads(capsys.readouterr().out)["first"]["node"] == "a"
    record["output"][3, 20, 2] ^= 1
    np.savez(tmp_path / "changed.npz", **record)
    assert main([*command, str(tmp_path / "changed.npz"), "--out", str(tmp_path / "link.json")]) == 1
    said = capsys.readouterr().out
    assert "1 bin of 600 differ" in said and "differs first in b, neuron (2,), timestep 20, sample 3" in said
    assert json.loads((tmp_path / "link.json").read_text())["expectation"]["equal"] is False


def test_expect_of_a_quantized_file_tells_agreement(tmp_path, x, capsys):
    net = write(tmp_path / "n.nir")
    np.savez(tmp_path / "theirs.npz", **snntorch_alike(x))
    assert main(["quantize", net, "--from", "snntorch", "--calibration", x, "--out", str(tmp_path / "q.nir")]) == 0
    capsys.readouterr()
    command = ["verify", str(tmp_path / "q.nir"), "--input", x, "--expect", str(tmp_path / "theirs.npz"), "--json"]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["kind"] == "integers" and result["output"]["different"] < 60 and result["nodes"][0]["node"] == "a"
    np.savez(tmp_path / "short.npz", output=np.zeros((5, STEPS, 4)))
    assert main([*command[:-2], str(tmp_path / "short.npz")]) == 2


def test_spikes_are_counted_under_the_same_words(tmp_path, x, capsys):
    net, q = write(tmp_path / "n.nir"), str(tmp_path / "q.nir")
    assert main(["quantize", net, *STATED, "--calibration", x, "--out", q]) == 0
    results = {}
    for backend, options in ("torch", [net, *STATED]), ("engine", [q]), ("torch", [q]):
        capsys.readouterr()
        out = str(tmp_path / f"{len(results)}.npz")
        assert main(["simulate", *options, "--backend", backend, "--input", x, "--out", out, "--record", "all", "--json"]) == 0
        made, arrays = json.loads(capsys.readouterr().out), np.load(out)
        assert made["output_spikes"] == arrays["output"].sum()
        assert made["spikes"] == arrays["spikes/a"].sum() + arrays["spikes/b"].sum()
        results[len(results)] = made
    assert len({tuple(sorted(made)) for made in results.values()}) == 2, "integers add overflows, nothing else differs"
    assert main(["simulate", net, *STATED, "--backend", "torch", "--input", x, "--out", str(tmp_path / "t.npz")]) == 0
    assert f"{results[0]['spikes']:,} spikes in 2 layers, {results[0]['output_spikes']:,} spikes in the output" in capsys.readouterr().out


def test_layers_that_never_fire_are_told_everywhere(tmp_path, x, capsys):
    net, q = write(tmp_path / "n.nir", threshold=100.0), str(tmp_path / "q.nir")
    np.savez(tmp_path / "none.npz", **{"output": np.zeros((5, STEPS, 3), np.int32), "spikes/a": np.zeros((5, STEPS, 6), bool)})
    for command in (
        ["simulate", net, *STATED, "--backend", "torch", "--input", x, "--out", str(tmp_path / "o.npz")],
        ["quantize", net, *STATED, "--calibration", x, "--out", q],
        ["simulate", q, "--input", x, "--out", str(tmp_path / "p.npz")],
        ["verify", net, *STATED, "--input", x, "--expect", str(tmp_path / "none.npz")],
    ):
        assert main(command) == 0
        assert "no layer ever fires" in capsys.readouterr().err, command
    assert main(["verify", q, "--input", x, "--backends", "engine"]) == 0
    assert "no neuron fires" in capsys.readouterr().out


def test_norse_has_two_units_of_time_and_a_long_step_is_told(tmp_path, x, capsys):
    run = ["--from", "norse", "--backend", "torch", "--input", x, "--out", str(tmp_path / "o.npz")]
    assert main(["simulate", write(tmp_path / "new.nir", tau=1e-5), *run]) == 0
    assert "read with dt 1e-06 of the file's unit (a timestep lasts 0.001 s), euler" in capsys.readouterr().err
    assert main(["simulate", write(tmp_path / "old.nir", tau=2.5e-3), *run]) == 0
    said = capsys.readouterr().err
    assert "read with dt 0.001, euler" in said and "a: dt 0.001 is 40% of a time constant" in said


@pytest.mark.parametrize(
    ("stated", "tau", "seconds"),
    [
        (["--from", "norse"], 1e-5, 1e-3),
        (["--from", "norse"], 2.5e-2, 1e-3),
        (["--from", "sinabs", "--no-multi-spike"], 10.0, 1e-3),
        (["--from", "sinabs", "--no-multi-spike", "--dt", "1", "--dt-seconds", "5e-4"], 10.0, 5e-4),
        (["--from", "snntorch"], 1e-3, 1e-4),
        (["--dt", "2e-3", "--integrator", "euler", "--reset", "zero"], 2e-2, 2e-3),
    ],
)
def test_a_network_says_its_timestep_in_seconds_whatever_unit_the_file_has(tmp_path, x, stated, tau, seconds):
    """The spikes hang on dt / tau alone, and stay."""
    q = tmp_path / "q.nir"
    assert main(["quantize", write(tmp_path / "n.nir", tau=tau), *stated, "--calibration", x, "--out", str(q)]) == 0
    assert read_nir(q).dt == pytest.approx(seconds)


def test_a_timestep_that_lasts_nothing_is_refused(tmp_path, x, capsys):
    given = ["--from", "norse", "--dt-seconds", "0", "--calibration", x, "--out", str(tmp_path / "q.nir")]
    assert main(["quantize", write(tmp_path / "n.nir", tau=1e-2), *given]) == 2
    assert "a timestep of 0.0 seconds" in capsys.readouterr().err


def test_several_spikes_a_step_are_never_dropped_in_silence(tmp_path, x, capsys):
    net, q = write(tmp_path / "n.nir", tau=10.0), str(tmp_path / "q.nir")
    quantize = ["quantize", net, "--from", "sinabs", "--calibration", x, "--out", q]
    assert main(quantize) == 2
    said = capsys.readouterr().err
    assert "fire several spikes in one step (a in" in said and not Path(q).exists()
    assert main([*quantize, "--no-multi-spike"]) == 0
    assert "one spike a step" in capsys.readouterr().err
    quiet = write(tmp_path / "quiet.nir", tau=10.0, threshold=1e7)
    assert main(["quantize", quiet, *quantize[2:-1], str(tmp_path / "r.nir")]) == 0, "where it never mattered it is exact"
