"""What a project owes: one version, licences of all it needs, a site without warnings, names that
editors complete.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from support.places import ROOT

import spikeport

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGE = re.compile(r"[a-z0-9-]+")
OF_DEVELOPERS = {"dev", "bench", "browser"}
"""Extras that nobody needs who uses spikeport."""


def test_the_version_stands_in_one_place():
    assert SETUP["dynamic"] == ["version"] and "version" not in SETUP
    assert re.fullmatch(r"\d+\.\d+\.\d+", spikeport.__version__)
    assert f"version: {spikeport.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## {spikeport.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_licence_of_every_dependency_is_listed():
    extras = [line for name, lines in SETUP["optional-dependencies"].items() if name not in OF_DEVELOPERS for line in lines]
    needed = {PACKAGE.match(line)[0] for line in [*SETUP["dependencies"], *extras]}
    listed = set(re.findall(r"^\| ([a-z0-9-]+) \|", (ROOT / "docs" / "licences.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert needed == listed - {"package"}


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    api = (tmp_path / "reference" / "api" / "index.html").read_text(encoding="utf-8")
    assert all(f'id="{home}.{name}"' in api for name, home in spikeport._HOME.items())
    assert "usage: spikeport quantize" in (tmp_path / "reference" / "command-line" / "index.html").read_text(encoding="utf-8")


def test_editors_complete_the_names():
    jedi = pytest.importorskip("jedi")
    project = jedi.Project(str(ROOT / ".typing"), sys_path=[str(ROOT / ".typing"), *sys.path])

    def completed(text: str) -> set[str]:
        return {c.name for c in jedi.Script(text, project=project).complete()}

    assert set(spikeport.__all__) <= completed("import spikeport as sp\nsp.")
    assert {"energy", "static", "title"} <= completed("import spikeport as sp\nsp.device('loihi2').")
    assert {"weight_bits", "with_timesteps", "to_frame"} <= completed("import spikeport as sp\nsp.read_nir('a.nir').")
    (signature,) = jedi.Script("import spikeport as sp\nsp.build(", project=project).get_signatures()
    assert [p.name for p in signature.params][:2] == ["arch", "data"]


@pytest.mark.slow
def test_type_checkers_know_what_comes_back(tmp_path):
    lines = ["import spikeport as sp", "data = sp.load_data('digits')", "network = sp.build('8', data)"]
    expected = {
        "data": "Dataset",
        "network": "SpikingNetwork",
        "sp.train(network, data, out='runs')": "Trained",
        "sp.lower(network)": "FloatNetwork",
        "sp.device('loihi2')": "Device",
        "sp.report('runs')": "Report",
    }
    (tmp_path / "user.py").write_text("\n".join([*lines, *(f"reveal_type({text})" for text in expected)]), encoding="utf-8")
    mypy = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(tmp_path / "user.py")]
    said = subprocess.run(mypy, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    revealed = re.findall(r'Revealed type is "[\w.]*\.(\w+)"', said)
    assert revealed == list(expected.values()), said


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_environment(tmp_path):
    """Built from the repository and installed beside the dependencies that are here, away from the
    source.
    """
    pytest.importorskip("build")
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"spikeport-{spikeport.__version__}-py3")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)], check=True)
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (site / "borrowed.pth").write_text("\n".join(p for p in sys.path if p.endswith("site-packages")), encoding="utf-8")
    run = ["run", "--arch", "4C3-P4", "--epochs", "1", "--timesteps", "2", "--backends", "engine", "--verify-samples", "2", "--out", "run"]
    for command in ([str(python), "-m", "spikeport", *run], [str(tmp_path / "venv" / "bin" / "spikeport"), "check", "run/network.nir"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    where = "import spikeport.export.nir.file as f; print(f.__file__)"
    place = subprocess.run([str(python), "-c", where], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert place.startswith(str(site))
