"""TOML files, with what is wrong with them told in one line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from spikeport.export.common.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InputError: missing file, or no TOML.
    """
    try:
        return parse_toml(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path} cannot be read as TOML ({error})") from None


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Tables from TOML text.

    Raises:
        InputError: no TOML; `where` names the text.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, an integer of thousands of digits, or deep nesting
        raise InputError(f"{where} cannot be read as TOML ({error})") from None
