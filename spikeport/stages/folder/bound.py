"""Results that say what they were made of, and are believed only where that is still there.

A JSON result carries its kind, and digests of what it was made of by name: `trained` (weights and
settings of a training), `network` (a quantized network), `settings` (of a training), `training`
(samples), `validation` and `test` (data), `input` (an array of the user's). File times decide
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from spikeport.analysis.common.jsonable import from_json, to_json
from spikeport.export.common.digest import short
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import read_json, write_json
from spikeport.export.model.network import QuantizedNetwork

T = TypeVar("T")
Digests = Mapping[str, str]
"""Digests of what a result was made of, by name."""
KIND, MADE_OF = "kind", "made_of"
WHAT = {
    "trained": "trained network",
    "network": "quantized network",
    "settings": "training",
    "quantization": "quantization (its settings or calibration data)",
}
"""What is not data."""


def write_bound(path: Path, result: Any, made_of: Digests) -> None:
    """Write a result as JSON with its kind and what it was made of.

    Raises:
        OutputError: the path cannot be written.
    """
    write_json(path, bound(result, made_of))


def bound(result: Any, made_of: Digests) -> dict[str, Any]:
    """A result as JSON values, with its kind and what it was made of."""
    return {KIND: type(result).__name__, MADE_OF: dict(made_of), **to_json(result)}


def read_bound(kind: type[T], path: Path, now: Digests) -> tuple[T | None, str]:
    """A result, and "" ; or None, and why it is left out, "" where no file is.

    now: digests of what is there now. A result that was made of anything else by one of these names
    is left out.

    Raises:
        InputError: a file that is damaged, or no result of this kind though it says so.
    """
    if not path.exists():
        return None, ""
    try:
        fields = read_json(path)
    except InputError as error:
        return None, f"{path.name} is left out: {error}"
    if reason := stale(kept_digests(fields, kind.__name__), now):
        return None, f"{path.name} is left out: {reason}"
    return _parsed(kind, fields, path), ""


def read_result(kind: type[T], path: Path) -> T:
    """A result by itself, whatever it was made of.

    Raises:
        InputError: missing, damaged, or no result of this kind.
    """
    fields = read_json(path)
    if kept_digests(fields, kind.__name__) is None:
        raise InputError(f"{path} holds no {kind.__name__} that spikeport wrote; make it again")
    return _parsed(kind, fields, path)


def _parsed(kind: type[T], fields: Mapping[str, Any], path: Path) -> T:
    try:
        return from_json(kind, {name: value for name, value in fields.items() if name not in (KIND, MADE_OF)})
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def stale(made_of: Digests | None, now: Digests) -> str:
    """Why a result does not speak of what is there now, in words; "" where it does."""
    if not made_of:
        return "it does not say which network it speaks of"
    other = next((name for name in made_of if name in now and made_of[name] != now[name]), None)
    if other is None:
        return "" if any(name in now for name in made_of) else "it speaks of nothing that is here"
    what = WHAT.get(other, f"{other} data")
    return f"it was made of another {what} ({short(made_of[other])}, here is {short(now[other])})"


def json_digests(path: Path, kind: str) -> Digests | None:
    """What a JSON result of a kind was made of; None for any other file."""
    try:
        return kept_digests(read_json(path), kind)
    except InputError:
        return None


def kept_digests(fields: Any, kind: str) -> Digests | None:
    """The same of JSON values that were read."""
    if not isinstance(fields, dict) or fields.get(KIND) != kind or not isinstance(fields.get(MADE_OF), dict):
        return None
    return {str(name): str(digest) for name, digest in fields[MADE_OF].items()}


def network_made_of(network: QuantizedNetwork) -> Digests:
    """What a quantized network says it was made of; empty where it does not say."""
    kept = network.provenance.get(MADE_OF)
    return {str(name): str(digest) for name, digest in kept.items()} if isinstance(kept, Mapping) else {}
