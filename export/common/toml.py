"""TOML files, with what is wrong with them told in one line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from spikeport.export.common.guard import read_bytes, reading

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOML_MAX = 1 << 20
"""Bytes of a configuration; one of ours has two thousand."""
REMEDY = "mend it, or write it anew"


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InputError: missing file, or no TOML.
    """
    with reading(path, "TOML", REMEDY):
        return parse_toml(read_bytes(path, TOML_MAX).decode("utf-8"), str(path))


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Tables from TOML text.

    Raises:
        InputError: no TOML; `where` names the text.
    """
    with reading(where, "TOML", REMEDY):  # an integer of thousands of digits, or deep nesting, are no TOMLDecodeError
        return tomllib.loads(text)
