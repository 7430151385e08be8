"""What is installed is what is here: every package and data file is listed in pyproject.toml, which
setuptools cannot find by itself.
"""

from __future__ import annotations

import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from support.places import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
FOLDERS = {name: ROOT / folder for name, folder in SETUP["package-dir"].items()}


def below(folder: Path):
    """Files of a package and its subpackages, as git would keep them."""
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def package_of(path: Path) -> str:
    """The package that a file's folder installs as."""
    name, folder = next((n, f) for n, f in FOLDERS.items() if path.is_relative_to(f))
    return ".".join([name, *path.parent.relative_to(folder).parts])


def test_every_package_is_installed():
    here = {package_of(path) for folder in FOLDERS.values() for path in below(folder) if path.suffix == ".py"}
    assert here == set(SETUP["packages"])


@pytest.mark.parametrize("name", FOLDERS)
def test_every_data_file_is_installed(name):
    for path in below(FOLDERS[name]):
        patterns = SETUP["package-data"].get(package_of(path), [])
        assert path.suffix == ".py" or any(fnmatch(path.name, p) for p in patterns), f"{path.relative_to(ROOT)} would be left out"
