"""Fifty mistakes that newcomers make: each is one line that names the mistake and the remedy,
before any long work, and leaves nothing.
"""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest

from spikeport.cli import main

SMALL = ["--arch", "4C3-P4", "--timesteps", "2", "--epochs", "1"]
STATED = "--dt 1e-3 --integrator euler --reset zero"

MISTAKES = [
    # a word that is nearly right
    ("trian --out new", "did you mean train?"),
    ("raport DIR", "did you mean report?"),
    ("train --epcohs 3 --out new", "did you mean --epochs?"),
    ("train --leanring-rate 3 --out new", "see 'spikeport train --help'"),
    ("train --method spbt --out new", "did you mean stbp?"),
    ("train --data mnsit --out new", "did you mean mnist?"),
    ("train --data fashion --out new", "did you mean fashion-mnist?"),
    ("train --recipe dsr-cifar10-lif --out new", "did you mean dsr-cifar10"),
    ("train --loss crossentropy --out new", "did you mean cross-entropy?"),
    ("train --arch resnet18 --out new", "did you mean resnet-18?"),
    ("train --arch 15C5,P2,300 --out new", "is neither like 15C5, P2, MP2 or 300"),
    ("train --accelerator gpu --out new", "choose from"),
    ("quantize net.nir --from snntroch --calibration x.npy --out q.nir", "did you mean snntorch?"),
    ("verify DIR/network.nir --input x.npy --backends engin", "did you mean engine?"),
    ("map DIR/network.nir --device loihi3", "did you mean loihi"),
    ("cost DIR/network.nir --input x.npy --device loihi-2", "did you mean loihi2?"),
    ("run --config typo.toml --out new", "did you mean timesteps?"),
    # a value that cannot be meant, told before data is read
    ("train --data mnist --timesteps 100000 --out new", "at most 10,000"),
    ("train --data mnist --timesteps 0 --out new", "timesteps is 0; it must be at least 1"),
    ("train --data mnist --epochs 0 --out new", "epochs is 0; it must be at least 1"),
    ("train --data mnist --epochs ten --out new", "invalid int value: 'ten'"),
    ("train --data mnist --seed -1 --out new", "seed is -1; it must lie in"),
    ("run --data mnist --tolerance 0 --out new", "tolerance is 0 percentage points; it lies above 0 and below 100"),
    ("run --data mnist --tolerance 500 --out new", "tolerance is 500 percentage points"),
    ("run --data mnist --weight-bits 16 --out new", "weight bits is 16; choose 2 to 8"),
    ("run --data mnist --verify-samples 0 --out new", "verify_samples is 0; compare at least 1"),
    ("run --data mnist --device my-chip --out new", "give a profile of your own, D.toml"),
    ("truncate DIR --tolerance -1 --out t.json", "tolerance is -1 percentage points"),
    ("quantize DIR --weight-bits 1 --out q.nir", "weight bits is 1; choose 2 to 8"),
    ("quantize DIR --finetune -1 --out q.nir", "--finetune is -1; give 0 for none"),
    ("cost DIR/network.nir --input x.npy --timesteps 0", "timesteps is 0"),
    ("train --arch 99999999C3-24 --out new", "take smaller layers or pool earlier"),
    # an option that would do nothing
    ("quantize DIR --timesteps 8 --out q.nir", "--timesteps does nothing here"),
    ("quantize DIR --from snntorch --out q.nir", "--from does nothing here"),
    (f"quantize net.nir {STATED} --calibration x.npy --data-dir . --out q.nir", "--data-dir does nothing here"),
    ("simulate DIR/network.nir --input x.npy --dt 1e-3 --out o.npz", "--dt does nothing here"),
    ("verify DIR/network.nir --input x.npy --reset zero", "--reset does nothing here"),
    ("verify DIR/network.nir --input x.npy --expect e.npz --backends lava", "--backends does nothing here"),
    ("run --input x.npy --out new", "--input does nothing here: it belongs to --nir"),
    ("tic DIR --input x.npy --out t.json", "--input does nothing here"),
    # a stage that is missing, or the wrong thing in its place
    ("quantize nowhere --out q.nir", "nowhere"),
    ("report empty", "spikeport train"),
    ("truncate RAW --out t.json", "spikeport quantize"),
    (f"quantize net.nir {STATED} --out q.nir", "--calibration X.npy"),
    ("quantize net.nir --calibration x.npy --out q.nir", "state --dt --integrator --reset"),
    ("verify net.nir --input x.npy", "quantize it first: spikeport quantize"),
    ("simulate DIR/network.nir --input text.npy --out o.npz", "text.npy"),
    ("simulate DIR/network.nir --input wrong.npy --out o.npz", "shape"),
    ("simulate DIR/network.nir --out o.npz", "the following arguments are required: --input"),
    ("run --nir net.nir --from norse --out new", "--input X.npy"),
    ("run --nir net.nir --from norse --data mnist --input x.npy --targets y.npy --out new", "leave one of them out"),
    ("train --data own.npz --out new", "scale it first"),
    ("train --data mnist --data-dir nowhere --out new", "nowhere"),
    # what would be lost
    ("train --arch 4C3-P4 --timesteps 2 --epochs 1 --out DIR", "--resume goes on with it, --force replaces it"),
    ("train --out x.npy", "is a file, not a directory"),
    ("train --resume --out new", "no run to resume"),
    ("quantize DIR --out notes.nir", "--force to replace it"),
    # parts of one's own
    ("train --plugin nowhere.py --out new", "nowhere.py does not exist"),
    ("train --plugin broken.py --out new", "fails in line 2"),
    ("train --plugin twice.py --out new", "'stbp' is known already; choose another name"),
]
TOO_LONG = [
    ("simulate DIR/network.nir --input x.npy --timesteps 2000000000 --out o.npz", "timesteps takes"),
    ("simulate DIR/network.nir --input x.npy --timesteps 2000000000 --backend onnx --out o.npz", "take fewer of either, or record less"),
    ("verify DIR/network.nir --input x.npy --timesteps 2000000000 --backends engine", "take fewer of either"),
    ("cost DIR/network.nir --input x.npy --timesteps 2000000000", "take fewer of either"),
    (f"simulate net.nir {STATED} --input held.npy --timesteps 10000000000 --backend torch --out o.npz", "take fewer of either"),
    ("tic DIR --timesteps 2000000000 --out t.json", "Fisher information of 2,000,000,000 timesteps"),
    (f"tic net.nir {STATED} --input held.npy --targets y.npy --timesteps 2000000000 --out t.json", "take fewer of either"),
]
"""Runs that no memory holds: told once the samples are read."""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A trained network with (DIR) and without (RAW) its integers, a foreign file, and files that
    are wrong.
    """
    root = tmp_path_factory.mktemp("place")
    for name in ("DIR", "RAW"):
        assert main(["train", *SMALL, "--out", str(root / name)]) == 0
    assert main(["quantize", str(root / "DIR"), "--out", str(root / "DIR" / "network.nir")]) == 0
    ends = {"input": nir.Input({"input": np.array([2])}), "output": nir.Output({"output": np.array([2])})}
    lif = nir.LIF(*(np.full(2, value) for value in (1e-2, 1.0, 0.0, 0.1)))
    graph = nir.NIRGraph({**ends, "w": nir.Linear(np.eye(2)), "lif": lif}, [("input", "w"), ("w", "lif"), ("lif", "output")])
    nir.write(root / "net.nir", graph)
    np.save(root / "x.npy", np.zeros((3, 1, 8, 8), np.float32))
    np.save(root / "held.npy", np.zeros((3, 2), np.float32))
    np.save(root / "wrong.npy", np.zeros((3, 5, 5), np.float32))
    np.save(root / "y.npy", np.zeros(3, int))
    np.savez(root / "own.npz", x=np.full((40, 4), 300.0), y=np.arange(40) % 2)
    (root / "text.npy").write_text("1, 2, 3")
    (root / "notes.nir").write_text("mine")
    (root / "typo.toml").write_text("[train]\ntimestep = 4\n")
    (root / "broken.py").write_text("import spikeport\nspikeport.add_los('a', None)\n")
    (root / "twice.py").write_text("import spikeport as sp\nsp.add_method('stbp', sp.Method(neuron=sp.NeuronConfig))\n")
    (root / "empty").mkdir()
    return root


@pytest.mark.parametrize(("command", "said"), TOO_LONG, ids=[command for command, _ in TOO_LONG])
def test_what_memory_cannot_hold_ends_in_one_line(command, said, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert main([*command.split(), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error and "GiB, this machine has" in error, error
    assert not Path("o.npz").exists() and not Path("t.json").exists()


def test_there_are_fifty():
    assert len(dict(MISTAKES)) == len(MISTAKES) >= 50


@pytest.mark.parametrize(("command", "said"), MISTAKES, ids=[command for command, _ in MISTAKES])
def test_a_mistake_is_one_line_with_the_remedy(command, said, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}
    capsys.readouterr()
    try:
        status = main(command.split())
    except SystemExit as stop:  # argparse
        status = stop.code
    error = capsys.readouterr().err
    assert status == 2, error
    assert error.count("\n") == 1 and said in error, error
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()} == before
    assert not (place / "new").exists()
